"""What exporters read of the ledger: records in the order of their settlement, and how far each exporter is. Level 5.

An exporter takes a batch behind its cursor, hands it on, and moves the cursor: what it handed on and could not note comes again, so
the record's id is the key by which a receiver knows it. A process of its own does that through the admin API (`switchgear log
export`), a job of control through `Exports` (docs/howto/exporter.md).

A cursor is its maker's: another exporter that moved it would have records skipped and then deleted. Administrators may move and
remove all. What becomes of cursors is audited; of the moves of its own maker, which come by the second, one line an hour.
"""

from typing import Any

import msgspec
from sqlalchemy import Connection

from switchgear.control.handle import Control
from switchgear.control.ledger import Ledger
from switchgear.core.errors import DeniedError, UserError
from switchgear.ledger.batch import Batch
from switchgear.ledger.record import Record
from switchgear.store import objects, outbox
from switchgear.store.outbox import Cursor

HOUR_MS = 3_600_000
CURSORS_OF_ONE_MAX = 8
"""So that one exporter leaves cursors to the others."""
HOLD_MS = 7 * 86_400_000
"""So long after its retention a record waits for an exporter that did not hand it on."""


class Numbering:
    """Gives each record of a batch its number of settlement, in the batch's own transaction."""

    def write(self, connection: Connection, batch: Batch) -> None:
        """Participant: number the batch's records, in the order in which they are booked."""
        outbox.number(connection, [row[0] for row in (*batch.rows, *batch.late_rows)])


class Export(msgspec.Struct, frozen=True):
    """Records behind a number."""

    records: list[tuple[int, Record]]
    """Each with its number, in their order. A row that cannot be read is left out, and told."""
    next_seq: int
    """Where to go on: move the cursor there when all are handed on."""
    head_seq: int
    """The last number that was given."""


class Exports:
    """Reads the outbox, and keeps the exporters' places."""

    def __init__(self, control: Control, ledger: Ledger) -> None:
        self._control = control
        self._ledger = ledger

    async def after(self, seq: int, limit: int) -> Export:
        """Return up to `limit` records behind a number."""

        def work(connection: Connection) -> Export:
            page = outbox.after(connection, seq, limit)
            built = [(one.seq, self._ledger.record(connection, one.row)) for one in page.rows]
            records = [(number, record) for number, record in built if record is not None]
            return Export(records, page.next_seq, page.head_seq)

        return await self._control.read(work)

    async def cursors(self) -> tuple[list[Cursor], int]:
        """Return all cursors by name, and the last number."""
        return await self._control.read(lambda c: (outbox.all_cursors(c), outbox.head(c)))

    async def begin(self, name: str, seq: int | None, actor: str, *, is_admin: bool = False) -> Cursor:
        """Add a cursor behind a number, or behind the last one. Raises ConflictError, UserError."""
        now = self._control.clock.wall_ms()

        def work(connection: Connection) -> Cursor:
            mine = [one.name for one in outbox.all_cursors(connection) if one.owner == actor]
            if len(mine) >= CURSORS_OF_ONE_MAX and not is_admin:
                raise UserError(
                    f"{actor} has {CURSORS_OF_ONE_MAX} cursors already", f"remove one of {', '.join(mine)}", 2
                )
            made = outbox.add_cursor(connection, name, outbox.head(connection) if seq is None else seq, now, actor)
            objects.write_audit(connection, now, actor, "cursor.create", name, {"seq": made.seq})
            return made

        return await self._control.write(work)

    async def move(self, name: str, seen: int, seq: int, actor: str, *, is_admin: bool = False) -> Cursor:
        """Note that everything up to `seq` was handed on, by who saw the cursor at `seen`. One that has no owner becomes the
        actor's. Raises ConflictError, UserError, DeniedError for another's cursor."""
        now = self._control.clock.wall_ms()

        def work(connection: Connection) -> Cursor:
            old = outbox.cursor(connection, name)
            if old.owner is not None:
                _check_owner(old, actor, is_admin)
            moved = outbox.move(connection, name, seen, seq, now, actor if old.owner is None else None)
            if moved != old and (
                old.owner != actor or old.moved_ms // HOUR_MS != now // HOUR_MS or old.moved_ms == old.created_ms
            ):
                objects.write_audit(connection, now, actor, "cursor.move", name, {"from": old.seq, "to": moved.seq})
            return moved

        return await self._control.write(work)

    async def remove(self, name: str, actor: str, *, is_admin: bool = False) -> None:
        """Forget a cursor: nothing is held back for it any more. Raises UserError, DeniedError for another's."""
        now = self._control.clock.wall_ms()

        def work(connection: Connection) -> None:
            _check_owner(outbox.cursor(connection, name), actor, is_admin)
            outbox.drop_cursor(connection, name)
            objects.write_audit(connection, now, actor, "cursor.remove", name, None)

        await self._control.write(work)


def _check_owner(cursor: Cursor, actor: str, is_admin: bool) -> None:
    if cursor.owner != actor and not is_admin:
        whose = f"is {cursor.owner}'s" if cursor.owner is not None else "has no owner"
        raise DeniedError(f"the cursor {cursor.name!r} {whose}", "use a cursor of your own, or ask an administrator")


def shown(cursor: Cursor, head_seq: int) -> dict[str, Any]:
    """Return what is told of a cursor."""
    return msgspec.structs.asdict(cursor) | {"behind": head_seq - cursor.seq}
