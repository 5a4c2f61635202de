"""The job that compares the two books, all the time. Level 5 (INVARIANTS C8). Decisions are ledger/reconcile's."""

import asyncio
import contextlib
import functools
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from switchgear.control.absorber import Absorber
from switchgear.core.clock import Clock
from switchgear.ledger import build
from switchgear.ledger.reconcile import Reconciler
from switchgear.spool.reader import Position
from switchgear.store import ledger_rows
from switchgear.store.database import Store, StoreGoneError
from switchgear.store.ledger_rows import SpoolRow

PAUSE_S = 1.0
BATCH = 500
EXAMPLES = 3


class DoubleEntry:
    """Follows the vault's journal and the absorber."""

    def __init__(
        self, store: Store, journal: Path, absorber: Absorber, clock: Clock, report: Callable[[str], None]
    ) -> None:
        self._store = store
        self._journal = journal
        self._absorber = absorber
        self._clock = clock
        self._report = report
        self._reconciler: Reconciler | None = None
        self._id = ""
        self._saved: Position | None = None
        self.unspooled = 0
        self.repeated = 0
        self.problems: list[str] = []

    @property
    def checked(self) -> int:
        """How many attempts stand in both books."""
        return self._reconciler.checked if self._reconciler is not None else 0

    async def run(self) -> None:
        """Compare until cancelled."""
        while True:
            with contextlib.suppress(
                StoreGoneError, DatabaseError, OSError
            ):  # the absorber reports it; the journal waits
                await self.turn()
            await asyncio.sleep(PAUSE_S)

    async def turn(self) -> None:
        """Compare what is there."""
        if self._reconciler is None:
            if not (self._journal / "id").exists():
                return
            self._id = (self._journal / "id").read_text("ascii").strip()
            row = await asyncio.wrap_future(self._store.read(functools.partial(_row, self._id)))
            self._reconciler = Reconciler(self._journal, Position(row.segment, row.position) if row else None)
        books = self._reconciler
        await asyncio.to_thread(books.scan, self._clock.monotonic_s())
        books.settle(self._absorber.take_attempts(), self._absorber.open_tries)
        overdue = books.overdue(self._absorber.read_until_s)
        missing: list[str] = []
        for at in range(0, len(overdue), BATCH):
            part = overdue[at : at + BATCH]
            ids = {attempt.rpartition("-")[0] for attempt in part}
            tries = await asyncio.wrap_future(self._store.read(functools.partial(_tries, ids)))
            missing += books.judge(part, tries)
        await self._tell(missing, books)
        position = books.safe_position()
        if position is not None and position != self._saved:
            row = SpoolRow(position.segment, position.offset, 0, books.checked)
            await asyncio.wrap_future(self._store.write(functools.partial(_save, self._id, row)))
            self._saved = position

    async def _tell(self, missing: list[str], books: Reconciler) -> None:
        twice, books.repeated = books.repeated, []
        self.unspooled += len(missing)
        self.repeated += len(twice)
        for found, what in (
            (missing, "reached a provider and no edge recorded them: an edge may be compromised"),
            (twice, "were sent to a provider twice"),
        ):
            if found:
                text = f"{len(found)} attempts {what} (e.g. {', '.join(found[:EXAMPLES])})"
                self.problems = [*self.problems[-9:], text]
                self._report(text)
                finding = functools.partial(_finding, self._id, books.position.segment, text, self._clock.wall_ms())
                await asyncio.wrap_future(self._store.write(finding))


def _row(spool_id: str, connection: Connection) -> SpoolRow | None:
    return ledger_rows.spool_row(connection, spool_id)


def _save(spool_id: str, row: SpoolRow, connection: Connection) -> None:
    ledger_rows.put_spool_row(connection, spool_id, row)


def _finding(spool_id: str, segment: int, text: str, now_ms: int, connection: Connection) -> None:
    ledger_rows.put_quarantine(connection, spool_id, segment, text, now_ms)


def _tries(ids: set[str], connection: Connection) -> dict[str, int]:
    rows = ledger_rows.rows_of(connection, ids)
    return {request_id: build.tries_of(row) for request_id, row in rows.items()}
