"""How control writes the replica. Level 2. One writer; every commit is synced to disk (no writemap, no nosync).

Edges take no lock, so that nothing they can write to is ever read by control (docs/decisions/010). LMDB would therefore use the
pages of an old snapshot again while an edge reads them; read transactions of control's own, younger and older than PIN_S, keep
them for long enough.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

import lmdb
import msgspec

from switchgear.replica import entries
from switchgear.replica.entries import STORED_MS, HolderEntry, KeyEntry, Snapshot, Spend, StoredThing
from switchgear.replica.reader import MAP_BYTES, PIN_S, READERS_MAX
from switchgear.routing.states import Health

STORED_MAX = 6_000_000
"""Things whose owners are known, at some 250 bytes each of the map's 4 GiB; keys and what they spent count too."""
STORED_LOOKS = 200_000
"""Entries looked at in one go for what is out of date: a tenth of a second."""


class Kept(msgspec.Struct, frozen=True):
    """Published keys that stayed although the store says otherwise."""

    older: list[KeyEntry]
    """Of a lower version there."""
    missing: list[KeyEntry]
    """Not there, and not revoked."""


class KeptHolders(msgspec.Struct, frozen=True):
    """Published teams, users, projects and profiles that stayed although the store says otherwise."""

    older: list[HolderEntry]
    """Of a lower version there."""
    missing: list[HolderEntry]
    """Not there, and not removed."""


class Publisher:
    """Writes keys and snapshots."""

    def __init__(self, folder: Path, now_s: Callable[[], float] = time.monotonic) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._env = lmdb.open(str(folder), map_size=MAP_BYTES, max_readers=READERS_MAX, mode=0o640, metasync=True)
        self._now_s = now_s
        self._pinning = threading.Lock()
        self._stored_at = entries.STORED_PREFIX
        self._pins: list[tuple[float, lmdb.Transaction]] = [(now_s(), self._env.begin())]
        """Read transactions with the times when they began, oldest first; each keeps all snapshots since then."""
        self.check_readers()

    def _change(self) -> "lmdb.Transaction":
        """Begin a write, keeping every snapshot that was the latest within the last PIN_S seconds."""
        with self._pinning:
            now = self._now_s()
            while len(self._pins) > 1 and now - self._pins[1][0] >= PIN_S:
                self._pins.pop(0)[1].abort()
            if now - self._pins[-1][0] >= PIN_S / 4:
                self._pins.append((now, self._env.begin()))
        return self._env.begin(write=True)

    def check_readers(self) -> int:
        """Free the slots of readers that died; returns how many."""
        return int(self._env.reader_check())

    def epoch(self) -> int:
        """Return the epoch of the last publication, 0 before the first."""
        with self._env.begin() as txn:
            raw = txn.get(entries.EPOCH)
        return int.from_bytes(raw, "big") if raw else 0

    def current(self) -> Snapshot | None:
        """Return what is published."""
        with self._env.begin() as txn:
            raw = txn.get(entries.SNAPSHOT)
        return entries.decode_snapshot(raw) if raw else None

    def revoked_keys(self) -> list[KeyEntry]:
        """Return the published keys that are revoked."""
        with self._env.begin() as txn, txn.cursor() as cursor:
            found = [entries.decode_key(raw) for key in list(_keys(cursor)) if (raw := txn.get(key)) is not None]
        return [entry for entry in found if entry.revoked]

    def entry_of(self, key_id: str) -> KeyEntry | None:
        """Return a key as it is published; None when it is not."""
        with self._env.begin() as txn:
            raw = txn.get(entries.KEY_PREFIX + key_id.encode())
        return entries.decode_key(raw) if raw is not None else None

    def version_of(self, key_id: str) -> int:
        """Return the version of a key as it is published; 0 when it is not."""
        entry = self.entry_of(key_id)
        return entry.version if entry is not None else 0

    def find_key(self, name: str) -> KeyEntry | None:
        """Return a published key by name or id; looks at all of them."""
        with self._env.begin() as txn, txn.cursor() as cursor:
            for key in list(_keys(cursor)):
                raw = txn.get(key)
                entry = entries.decode_key(raw) if raw is not None else None
                if entry is not None and name in {entry.name, entry.id}:
                    return entry
        return None

    def put_key(self, entry: KeyEntry, imported: Sequence[bytes] = ()) -> None:
        """Add or replace one key; returns when the commit is on disk. A key that clients held before is also found by the keyed
        hashes of `imported`."""
        with self._change() as txn:
            txn.put(entries.KEY_PREFIX + entry.id.encode(), entries.encode(entry))
            for mac in imported:
                txn.put(entries.HASH_PREFIX + mac, entry.id.encode())

    def put_snapshot(self, snapshot: Snapshot) -> None:
        """Publish routes and freezes."""
        with self._change() as txn:
            txn.put(entries.SNAPSHOT, entries.encode(snapshot))
            txn.put(entries.EPOCH, snapshot.epoch.to_bytes(8, "big"))

    def put_spends(self, spends: dict[str, Spend]) -> None:
        """Publish what keys used today, in one commit."""
        with self._change() as txn:
            for key_id, spend in spends.items():
                txn.put(entries.SPEND_PREFIX + key_id.encode(), entries.encode(spend))

    def put_health(self, health: Health) -> None:
        """Publish whose breakers are open."""
        with self._change() as txn:
            txn.put(entries.HEALTH, entries.encode(health))

    def health(self) -> Health:
        """Return what was published of breakers."""
        with self._env.begin() as txn:
            raw = txn.get(entries.HEALTH)
        return entries.decode_health(raw) if raw else Health()

    def put_stored(self, stored: dict[str, StoredThing]) -> int:
        """Publish whose the things are that providers keep, in one commit; returns how many found no room. Who made a thing
        stays its owner: another's claim to it is not taken."""
        left = 0
        with self._change() as txn:
            room = STORED_MAX - txn.stat()["entries"]
            for name, entry in stored.items():
                key = entries.stored_key(name)
                raw = txn.get(key)
                known = entries.decode_stored(raw) if raw is not None else None
                if known is not None and known.scope != entry.scope and known.until_ms >= entry.until_ms - STORED_MS:
                    continue
                if raw is None and room <= 0:
                    left += 1
                    continue
                room -= raw is None
                txn.put(key, entries.encode(entry))
        return left

    def replace_pending(self, pending: dict[str, bytes]) -> None:
        """Make the published answers that are made in the background exactly these, in one commit: id → Pending, encoded."""
        wanted = {entries.pending_key(name): raw for name, raw in pending.items()}
        with self._env.begin() as view, view.cursor() as cursor:
            known = {key: bytes(view.get(key) or b"") for key in list(_keys(cursor, entries.PENDING_PREFIX))}
        if known == wanted:
            return
        with self._change() as txn:
            for key in known.keys() - wanted.keys():
                txn.delete(key)
            for key, raw in wanted.items():
                if known.get(key) != raw:
                    txn.put(key, raw)

    def put_ended(self, attempts: Iterable[str]) -> None:
        """Say of attempts, by id, that what edges hold for them has ended."""
        with self._change() as txn:
            for attempt in attempts:
                txn.put(entries.ENDED_PREFIX + attempt.encode(), b"1")

    def drop_ended(self, attempts: Iterable[str]) -> None:
        """Forget that."""
        with self._change() as txn:
            for attempt in attempts:
                txn.delete(entries.ENDED_PREFIX + attempt.encode())

    def drop_stored(self, now_ms: int) -> int:
        """Forget what no provider keeps any more, a part of all at a time; returns how many. A long look would keep others from
        writing, so only the deletion is a write."""
        old: list[bytes] = []
        seen = 0
        with self._env.begin() as view, view.cursor() as cursor:
            is_there = cursor.set_range(self._stored_at)
            while is_there and seen < STORED_LOOKS and bytes(cursor.key()).startswith(entries.STORED_PREFIX):
                if entries.decode_stored(bytes(cursor.value())).until_ms < now_ms:
                    old.append(bytes(cursor.key()))
                seen += 1
                is_there = cursor.next()
            self._stored_at = bytes(cursor.key()) if is_there and seen == STORED_LOOKS else entries.STORED_PREFIX
        if not old:
            return 0
        with self._change() as txn:
            for key in old:
                txn.delete(key)
        return len(old)

    def replace_keys(
        self,
        keys: Iterable[tuple[KeyEntry, Sequence[bytes]]],
        doubted: Collection[str] = (),
        *,
        accept: bool = False,
    ) -> Kept:
        """Make the published keys these, in one commit; unchanged ones are not written. One that is published newer, or that is not
        among these, stays as it is and is told, unless `accept`. In any case what is published stays of the ids in `doubted` and
        of revoked keys: none is let in again under its version, and one that is gone stays for the day when its row is put back."""
        older, missing = [], []
        with self._change() as txn:
            wanted: set[bytes] = set()

            def keep(published: KeyEntry) -> None:
                wanted.add(entries.KEY_PREFIX + published.id.encode())
                wanted.update(entries.HASH_PREFIX + secret.mac for secret in published.secrets)

            for entry, imported in keys:
                key = entries.KEY_PREFIX + entry.id.encode()
                raw, before = entries.encode(entry), txn.get(key)
                if before != raw:
                    published = entries.decode_key(bytes(before)) if before is not None else None
                    is_kept = _lets_in if accept else _is_newer
                    if published is not None and is_kept(published, entry):
                        older.append(published)
                        keep(published)
                        continue
                    txn.put(key, raw)
                wanted.add(key)
                for mac in imported:
                    hash_key = entries.HASH_PREFIX + mac
                    wanted.add(hash_key)
                    txn.put(hash_key, entry.id.encode())
            with txn.cursor() as cursor:
                for key in [key for key in _keys(cursor) if key not in wanted]:
                    before = txn.get(key)
                    published = entries.decode_key(bytes(before)) if before is not None else None
                    is_doubted = published is not None and published.id in doubted
                    if published is None or (accept and not is_doubted and not published.revoked):
                        txn.delete(key)
                        continue
                    keep(published)
                    if not is_doubted and not published.revoked:
                        missing.append(published)
                stale = [
                    key for key in _keys(cursor, entries.HASH_PREFIX) if key not in wanted and key != entries.HEALTH
                ]
            for key in stale:
                txn.delete(key)
        return Kept(older, missing)

    def holder_of(self, kind: str, identity: str) -> HolderEntry | None:
        """Return a team, user, project or profile as it is published; None when it is not."""
        with self._env.begin() as txn:
            raw = txn.get(entries.holder_key(kind, identity))
        return entries.decode_holder(raw) if raw is not None else None

    def find_holder(self, kind: str, name: str) -> HolderEntry | None:
        """Return what is published under a name; looks at all of them."""
        with self._env.begin() as txn, txn.cursor() as cursor:
            for key in list(_keys(cursor, entries.holder_key(kind, ""))):
                raw = txn.get(key)
                entry = entries.decode_holder(raw) if raw is not None else None
                if entry is not None and entry.name == name and not entry.removed:
                    return entry
        return None

    def put_holder(self, entry: HolderEntry) -> None:
        """Add or replace one; returns when the commit is on disk, and holds for the next request of its keys."""
        with self._change() as txn:
            txn.put(entries.holder_key(entry.kind, entry.id), entries.encode(entry))
            _next_generation(txn)

    def replace_holders(
        self, holders: Iterable[HolderEntry], doubted: Collection[tuple[str, str]] = (), *, accept: bool = False
    ) -> KeptHolders:
        """Make the published teams, users, projects and profiles these, in one commit; unchanged ones are not written. One that is
        published newer, or that is not among these, stays as it is and is told, unless `accept`. In any case what is published
        stays of the kinds and ids in `doubted`."""
        older, missing = [], []
        with self._change() as txn:
            wanted: set[bytes] = set()
            is_changed = txn.get(entries.GENERATION) is None
            for entry in holders:
                key = entries.holder_key(entry.kind, entry.id)
                wanted.add(key)
                raw, before = entries.encode(entry), txn.get(key)
                if before == raw:
                    continue
                published = entries.decode_holder(bytes(before)) if before is not None else None
                if published is not None and published.version > entry.version and not accept:
                    older.append(published)
                    continue
                txn.put(key, raw)
                is_changed = True
            with txn.cursor() as cursor:
                gone = [key for key in _keys(cursor, entries.HOLDER_PREFIX) if key not in wanted]
            for key in gone:
                published = entries.decode_holder(bytes(txn.get(key) or b""))
                if (published.kind, published.id) in doubted or published.removed:
                    continue
                if accept:
                    txn.delete(key)
                    is_changed = True
                else:
                    missing.append(published)
            if is_changed:
                _next_generation(txn)
        return KeptHolders(older, missing)

    def close(self) -> None:
        """Close the environment."""
        for _, pin in self._pins:
            pin.abort()
        self._env.close()


def _next_generation(txn: "lmdb.Transaction") -> None:
    before = int.from_bytes(txn.get(entries.GENERATION) or b"", "big")
    txn.put(entries.GENERATION, (before + 1).to_bytes(8, "big"))


def _is_newer(published: KeyEntry, entry: KeyEntry) -> bool:
    """Tell whether an entry would bring back what was published before, or let a revoked key in again under its version."""
    return published.version > entry.version or _lets_in(published, entry)


def _lets_in(published: KeyEntry, entry: KeyEntry) -> bool:
    """Tell whether an entry would let a revoked key in again without being newer."""
    return published.revoked and not entry.revoked and published.version >= entry.version


def _keys(cursor: "lmdb.Cursor", prefix: bytes = entries.KEY_PREFIX) -> Iterable[bytes]:
    if not cursor.set_range(prefix):
        return
    for found in cursor.iternext(keys=True, values=False):
        key = bytes(found)
        if not key.startswith(prefix):
            return
        yield key
