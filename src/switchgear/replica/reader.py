"""How an edge reads the replica: look-ups that see the latest commit. Level 2 (docs/invariants.md S2).

Each look-up is a read transaction of its own, so a revocation holds for the next request, and an idle edge never pins old
pages. Edges write nothing, not even LMDB's lock file: control keeps the pages of the last PIN_S seconds for them instead
(docs/decisions/010).
"""

from pathlib import Path
from time import monotonic

import lmdb
import msgspec

from switchgear.replica import entries, holding
from switchgear.replica.entries import HolderEntry, KeyEntry, Pending, Snapshot, Spend, StoredThing
from switchgear.routing.states import Health

MAP_BYTES = 4 * 1024**3
READERS_MAX = 256
PIN_S = 0.25
"""A look-up takes microseconds. The pages it reads are kept for so long at least."""
STALE_S = 0.1
"""A look-up that took longer (the process was stopped in the middle) is done again."""
DECODED_KEYS_MAX = 10_000
DECODED_HOLDERS_MAX = 10_000


class ReplicaReader:
    """One per edge."""

    def __init__(self, folder: Path) -> None:
        """Open read-only. Raises lmdb.Error while control has not made the replica yet."""
        self._env = lmdb.open(
            str(folder),
            readonly=True,
            lock=False,
            map_size=MAP_BYTES,
            readahead=False,
        )
        self._epoch = b""
        self._snapshot: Snapshot | None = None
        self._health: tuple[bytes | None, Health] = (None, Health())
        self._decoded: dict[bytes, KeyEntry] = {}
        self._generation = b""
        self._holders: dict[tuple[str, str], HolderEntry] = {}

    def look_up(self, key_id: str) -> tuple[Snapshot | None, KeyEntry | None]:
        """Return the current snapshot and the key of that id, as of one moment, with what it belongs to. Whoever keeps what follows
        from a snapshot keeps it as long as the snapshot is the same value: a change of a team makes a new one."""
        # py-lmdb keeps spare read transactions: beginning one renews it, ending it frees its pages.
        while True:
            started = monotonic()
            with self._env.begin() as txn:
                epoch = txn.get(entries.EPOCH)
                generation = txn.get(entries.GENERATION) or b""
                snapshot = txn.get(entries.SNAPSHOT) if epoch != self._epoch else None
                raw = txn.get(entries.KEY_PREFIX + key_id.encode())
            if monotonic() - started < STALE_S:
                break
        if generation != self._generation:
            self._generation = generation
            self._decoded.clear()
            self._holders.clear()
            if epoch == self._epoch and self._snapshot is not None:
                self._snapshot = msgspec.structs.replace(self._snapshot)
        if epoch != self._epoch:
            self._snapshot = entries.decode_snapshot(snapshot) if snapshot is not None else None
            self._epoch = epoch or b""
        return self._snapshot, self._decode(raw) if raw is not None else None

    def look_up_hash(self, mac: bytes) -> KeyEntry | None:
        """Return the key that was imported by hash."""
        key_id = self._get(entries.HASH_PREFIX + mac)
        raw = self._get(entries.KEY_PREFIX + key_id) if key_id is not None else None
        return self._decode(raw) if raw is not None else None

    def snapshot(self) -> Snapshot | None:
        """Return the current snapshot, or None before the first was published."""
        return self.look_up("")[0]

    def spend(self, key_id: str) -> Spend | None:
        """Return what a key used on the last day that it used anything."""
        raw = self._get(entries.SPEND_PREFIX + key_id.encode())
        return entries.decode_spend(raw) if raw is not None else None

    def stored(self, name: str) -> StoredThing | None:
        """Return whose something is that a provider keeps."""
        raw = self._get(entries.stored_key(name))
        return entries.decode_stored(raw) if raw is not None else None

    def is_ended(self, attempt: str) -> bool:
        """Tell whether control knows what an attempt cost, so that nothing is held for it any more."""
        return self._get(entries.ENDED_PREFIX + attempt.encode()) is not None

    def pending(self) -> dict[str, Pending]:
        """Return the answers that are made in the background, by id; all of them are looked at."""
        prefix = entries.PENDING_PREFIX
        while True:
            started = monotonic()
            found: dict[str, Pending] = {}
            with self._env.begin() as txn, txn.cursor() as cursor:
                is_there = cursor.set_range(prefix)
                while is_there and (key := bytes(cursor.key())).startswith(prefix):
                    found[key[len(prefix) :].decode()] = entries.decode_pending(bytes(cursor.value()))
                    is_there = cursor.next()
            if monotonic() - started < STALE_S:
                return found

    def health(self) -> Health:
        """Return what the edges share of deployments: the same value until another is published."""
        raw = self._get(entries.HEALTH)
        if raw != self._health[0]:
            self._health = (raw, Health() if raw is None else entries.decode_health(raw))
        return self._health[1]

    def _get(self, key: bytes) -> bytes | None:
        while True:
            started = monotonic()
            with self._env.begin() as txn:
                raw: bytes | None = txn.get(key)
            if monotonic() - started < STALE_S:
                return raw

    def close(self) -> None:
        """Close the environment."""
        self._env.close()

    def _decode(self, raw: bytes) -> KeyEntry:
        # The same bytes are the same key while no team changes: a changed key has other bytes, so nothing here is stale.
        entry = self._decoded.get(raw)
        if entry is None:
            if len(self._decoded) >= DECODED_KEYS_MAX:
                self._decoded.clear()
            entry = self._decoded[raw] = holding.held(entries.decode_key(raw), self._holder)
        return entry

    def _holder(self, kind: str, identity: str) -> HolderEntry:
        found = self._holders.get((kind, identity))
        if found is None:
            if len(self._holders) >= DECODED_HOLDERS_MAX:
                self._holders.clear()
            raw = self._get(entries.holder_key(kind, identity))
            if raw is not None:
                found = entries.decode_holder(raw)
            else:
                found = holding.gone(kind, identity) if self._generation else holding.bare(kind, identity)
            self._holders[kind, identity] = found
        return found
