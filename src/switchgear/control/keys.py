"""The life of a virtual key: made, taken over from another gateway, changed, rotated, revoked. Level 5."""

import asyncio
import functools
from typing import Any

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from switchgear.control import holders
from switchgear.control.handle import Control
from switchgear.control.observers import ChangedKeys
from switchgear.control.publication import IMPORTED, Publication
from switchgear.control.stops import Stops
from switchgear.core import key_policy, organisation, virtual_key
from switchgear.core.errors import ConflictError, StaleError, UserError
from switchgear.core.ids import KeyId, random_base62
from switchgear.core.nearest import meant
from switchgear.replica.entries import KeyEntry
from switchgear.store import ledger_rows, objects
from switchgear.store.database import StoreGoneError
from switchgear.store.objects import KeyRow, KeySecretRow

OPENING = "opening"
"""Kind of the objects that say what a key spent before it came here, by its id."""
ID_PREFIX_MIN = 4
"""So many characters of an id may stand for it, where they are one's only."""
OVERLAP_MS = 3_600_000


class Keys:
    """All virtual keys."""

    def __init__(self, control: Control, stops: Stops, publication: Publication, changed: ChangedKeys) -> None:
        """`changed` is told of keys that bring with them what they spent, so that it is published at once."""
        self._control = control
        self._changed = changed
        self._stops = stops
        self._publication = publication

    async def create(self, row: KeyRow, actor: str) -> tuple[KeyRow, str]:
        """Make a key; `row` has the names of whom it belongs to. Returns it, with their ids, and its token, which is not stored.
        Raises UserError for a name that does not exist."""
        now = self._control.clock.wall_ms()
        key_id, token = virtual_key.mint(self._control.entropy)
        new = msgspec.structs.replace(
            row, id=key_id, created_ms=now, updated_ms=now, secrets=(self._secret(token, None),)
        )

        def work(connection: Connection) -> KeyRow:
            made = holders.key_with_ids(connection, new)
            objects.add_key(connection, made)
            objects.write_audit(connection, now, actor, "key.create", made.name, {"id": made.id})
            return made

        made = await self._control.write(work)
        await self._publication.publish_key(made)
        return made, token

    async def take_over(self, row: KeyRow, digest: bytes, spent_nanousd: int, actor: str) -> KeyRow:
        """Take over a key that clients hold already, by the SHA-256 of it. Raises ConflictError when it is known."""
        now = self._control.clock.wall_ms()
        pepper_id = max(self._control.peppers)
        mac = virtual_key.keyed_hash(self._control.peppers[pepper_id], digest)
        identity = KeyId(random_base62(self._control.entropy, 12))
        secret = KeySecretRow(mac=mac, pepper_id=pepper_id)
        new = msgspec.structs.replace(
            row, id=identity, created_ms=now, updated_ms=now, source=IMPORTED, secrets=(secret,)
        )

        def work(connection: Connection) -> KeyRow:
            for other in objects.key_names(connection, [mac]).values():
                raise ConflictError(f"the key {new.name!r} is known here already, as {other!r}")
            row = holders.key_with_ids(connection, new)
            objects.add_key(connection, row)
            if spent_nanousd:
                objects.set_object(connection, OPENING, row.id, msgspec.json.encode(spent_nanousd), now)
            detail = {"id": row.id, "spent_nanousd": spent_nanousd}
            objects.write_audit(connection, now, actor, "key.import", row.name, detail)
            return row

        row = await self._control.write(work)
        await self._publication.publish_key(row)
        self._changed.add([row.id])
        return row

    async def spent(self, row: KeyRow) -> tuple[int, int]:
        """Return what a key spent (before it came here, here), in nano-USD."""

        def work(connection: Connection) -> tuple[int, int]:
            before = objects.objects(connection, OPENING).get(row.id)
            until = self._control.clock.wall_ms() // 3_600_000 + 1
            total = ledger_rows.spent_by_key(connection, {row.id}, until).get(row.id, 0)
            return (msgspec.json.decode(before, type=int) if before else 0), total

        return await self._control.read(work)

    def _secret(self, token: str, not_after_ms: int | None) -> KeySecretRow:
        pepper_id = max(self._control.peppers)
        mac = virtual_key.keyed_hash(self._control.peppers[pepper_id], virtual_key.digest(token))
        return KeySecretRow(mac=mac, pepper_id=pepper_id, not_after_ms=not_after_ms)

    async def find(self, name: str) -> KeyRow:
        """Return a key by name, by id, or by the beginning of its id. Raises UserError."""
        found = await self._control.read_urgently(lambda c: objects.keys(c, name))
        if found:
            return found[0]
        rows = await self._control.read(objects.key_list)
        begin = [f"{key_name} ({identity})" for identity, key_name in rows if identity.startswith(name)]
        if len(name) >= ID_PREFIX_MIN and len(begin) == 1:
            identity = next(identity for identity, _ in rows if identity.startswith(name))
            return (await self._control.read(lambda c: objects.keys(c, identity)))[0]
        if len(name) >= ID_PREFIX_MIN and begin:
            raise UserError(
                f"{len(begin)} keys have ids that begin with {name!r}", f"say which: {', '.join(begin[:10])}", 2
            )
        raise UserError(
            f"there is no key {name!r}{meant(name, [key_name for _, key_name in rows])}",
            "list them: switchgear key list",
            2,
        )

    async def change(self, name: str, changes: dict[str, Any], actor: str, version: int | None = None) -> KeyRow:
        """Change a key's fields; `changes` has names. `version` is the one the caller saw, to notice a clash. A key that goes to
        another team leaves what was booked where it was, and what it has under way ends there."""
        old = await self.find(name)
        await self._check_changeable(old)
        if version is not None and version != old.version:
            raise StaleError(f"the key {name!r} changed in the meantime", "look at it again and repeat the change")
        new = msgspec.structs.replace(old, **changes, version=old.version + 1, updated_ms=self._control.clock.wall_ms())
        references = {field: kind for field, kind in organisation.KEY_REFERENCES.items() if field in changes}

        def work(connection: Connection) -> KeyRow:
            row = holders.key_with_ids(connection, new, references)
            objects.replace_key(connection, row, old.version)
            objects.write_audit(connection, new.updated_ms, actor, "key.update", row.name, sorted(changes))
            return row

        row = await self._control.write_urgently(work)
        await self._publication.publish_key(row)
        return row

    async def _store_key(self, row: KeyRow, old: KeyRow, actor: str, action: str, detail: object) -> None:
        def work(connection: Connection) -> None:
            objects.replace_key(connection, row, old.version)
            objects.write_audit(connection, self._control.clock.wall_ms(), actor, action, row.name, detail)

        await self._control.write_urgently(work)  # a rotation must go through

    async def rotate(self, name: str, overlap_ms: int, force: bool, actor: str) -> tuple[KeyRow, str]:
        """Give a key a new secret; the old one holds until the overlap ends."""
        old = await self.find(name)
        await self._check_changeable(old)
        now = self._control.clock.wall_ms()
        live = [s for s in old.secrets if s.not_after_ms is None or s.not_after_ms > now]
        if len(live) > 1 and not force:
            raise ConflictError(
                f"the key {name!r} was rotated already and its previous secret still holds",
                "wait for the overlap to end, or use --force to end it now",
            )
        _, token = virtual_key.mint(self._control.entropy, KeyId(old.id))
        until = now + overlap_ms
        kept = (
            tuple(msgspec.structs.replace(s, not_after_ms=until) for s in live if s.not_after_ms is None)
            if overlap_ms > 0
            else ()
        )
        row = msgspec.structs.replace(
            old, version=old.version + 1, updated_ms=now, secrets=(self._secret(token, None), *kept)
        )
        await self._store_key(row, old, actor, "key.rotate", {"overlap_ms": overlap_ms})
        await self._publication.publish_key(row)
        return row, token

    async def revoke(self, name: str, actor: str) -> KeyRow:
        """Revoke a key: holds for the next request on every edge when this returns."""
        try:
            old = await self.find(name)
        except (StoreGoneError, DatabaseError):
            return await self._revoke_published(name)
        except UserError:
            if await asyncio.to_thread(self._control.publisher.find_key, name) is None:
                raise
            return await self._revoke_published(name)  # its row was taken away
        published = await asyncio.to_thread(self._control.publisher.entry_of, old.id)
        old = _believed(old, published)
        if old.revoked_ms is not None:
            return old
        if old.source == "file":
            raise UserError(
                f"the key {name!r} is declared in the configuration file",
                f"remove it there; to stop it at once: switchgear freeze key {name}",
                2,
            )
        now = self._control.clock.wall_ms()
        version = max(old.version, published.version if published is not None else 0) + 1
        row = msgspec.structs.replace(old, version=version, revoked_ms=now, updated_ms=now)
        self._stops.revoked.add(row.id)
        await self._publication.publish_key(row)

        def work(connection: Connection) -> None:
            # Whatever became of the row since it was read: it ends revoked, and whoever revokes it hears no conflict.
            there = next((found for found in objects.keys(connection, row.id) if found.id == row.id), old)
            content = old if there.is_forged else there
            if content.revoked_ms is None:
                version = max(there.version + 1, row.version)
                gone = msgspec.structs.replace(content, version=version, revoked_ms=now, updated_ms=now)
                objects.replace_key(connection, gone, None if there.is_forged else there.version)
                objects.write_audit(connection, now, actor, "key.revoke", gone.name, None)

        await self._stops.write_soon(self._control.write_urgently(work))
        return row

    async def _revoke_published(self, name: str) -> KeyRow:
        """Revoke a key as the edges know it, while the store is away; it is told later."""
        entry = await asyncio.to_thread(self._control.publisher.find_key, name)
        if entry is None:
            raise UserError(f"there is no key {name!r}", "list them: switchgear key list", 2)
        if not entry.revoked:
            entry = msgspec.structs.replace(entry, revoked=True, version=entry.version + 1)
            await asyncio.to_thread(
                self._control.ballast.spend, functools.partial(self._control.publisher.put_key, entry)
            )
            self._stops.owes = True
        self._stops.revoked.add(entry.id)
        now = self._control.clock.wall_ms()
        return KeyRow(
            id=entry.id, name=entry.name, version=entry.version, team=entry.team, revoked_ms=now, updated_ms=now
        )

    async def _check_changeable(self, row: KeyRow) -> None:
        """Raise UserError for a key that cannot be changed. What is not believed is not written again: it would be signed then."""
        published = await asyncio.to_thread(self._control.publisher.entry_of, row.id)
        if row.is_forged or (published is not None and row.version < published.version and not published.revoked):
            why = "was not written by this gateway" if row.is_forged else "is older than what was published"
            raise UserError(
                f"the key {row.name!r} in the store {why}: it is not changed",
                f"look: switchgear store check; to stop it: switchgear key revoke {row.name}",
            )
        _check_changeable(row)


def _check_changeable(row: KeyRow) -> None:
    if row.source == "file":
        raise UserError(f"the key {row.name!r} is declared in the configuration file", "change it there", 2)
    if row.revoked_ms is not None:
        raise UserError(f"the key {row.name!r} is revoked", "make a new one: switchgear key create NAME", 2)


def _believed(row: KeyRow, published: KeyEntry | None) -> KeyRow:
    """Return a row that may be written again; of one that somebody else wrote what was published of it, or nothing but its id and
    the name that it has now."""
    if not row.is_forged:
        return row
    if published is None:
        return KeyRow(id=row.id, name=row.name, version=row.version, **key_policy.fields_of(key_policy.NOBODY))
    secrets = (KeySecretRow(mac=s.mac, pepper_id=s.pepper_id, not_after_ms=s.not_after_ms) for s in published.secrets)
    return KeyRow(
        id=row.id, name=row.name, version=row.version, secrets=tuple(secrets), **key_policy.fields_of(published)
    )
