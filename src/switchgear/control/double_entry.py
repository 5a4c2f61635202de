"""The job that compares the two books, all the time. Level 5 (docs/invariants.md C8). Decisions are ledger/reconcile's."""

import asyncio
import contextlib
import functools
from collections.abc import Callable
from pathlib import Path

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from switchgear.control.absorber import Absorber
from switchgear.control.observers import Claims
from switchgear.core.clock import Clock
from switchgear.core.guard import guarded, place_of
from switchgear.ledger import build
from switchgear.ledger.claims import Claim, claims_of
from switchgear.ledger.reconcile import Reconciler
from switchgear.spool import files
from switchgear.spool.reader import Position
from switchgear.store import ledger_rows
from switchgear.store.database import Store, StoreGoneError
from switchgear.store.ledger_rows import SpoolRow

PAUSE_S = 1.0
BATCH = 500
FREE_MIN = 20
FREE_SHARE = 10
"""Answers that cost nothing are told from FREE_MIN on, where they are one of FREE_SHARE."""
EXAMPLES = 3


class DoubleEntry:
    """Follows the vault's journal and the absorber."""

    def __init__(
        self,
        store: Store,
        journal: Path,
        absorber: Absorber,
        claims: Claims,
        clock: Clock,
        report: Callable[[str], None],
    ) -> None:
        self._store = store
        self._journal = journal
        self._absorber = absorber
        self._claims = claims
        self._clock = clock
        self._report = report
        self._reconciler: Reconciler | None = None
        self._id = ""
        self._saved: Position | None = None
        self.unspooled = 0
        self.repeated = 0
        self.contradicted = 0
        """Attempts whose end the two books tell differently."""
        self.stopped: str | None = None
        """Why nothing is compared, if so."""
        self._told: list[str] = []
        self._free_told = 0
        self._unsettled_told = 0

    @property
    def problems(self) -> list[str]:
        """What `status` says."""
        return self._told if self.stopped is None else [self.stopped, *self._told]

    @property
    def free(self) -> int:
        """How many answers came whole and were booked as nothing."""
        return self._reconciler.free if self._reconciler is not None else 0

    @property
    def thin(self) -> int:
        """How many answers were far larger than the words that were booked for them."""
        return self._reconciler.thin if self._reconciler is not None else 0

    @property
    def checked(self) -> int:
        """How many attempts stand in both books."""
        return self._reconciler.checked if self._reconciler is not None else 0

    async def run(self) -> None:
        """Compare until cancelled."""
        while True:
            await self._guarded_turn()
            await asyncio.sleep(PAUSE_S)

    def _end_turn(self, exc: Exception) -> None:
        if isinstance(exc, StoreGoneError | DatabaseError | OSError):
            return  # the absorber reports it; the journal waits
        text = f"the double entry stands still: {type(exc).__name__} in {place_of(exc)}"
        if self.stopped != text:
            self._report(text)
        self.stopped = text

    @guarded(_end_turn)
    async def _guarded_turn(self) -> None:
        await self.turn()
        self.stopped = None

    async def turn(self) -> None:
        """Compare what is there."""
        if self._reconciler is None:
            try:
                self._id = files.read_id(self._journal)
            except FileNotFoundError:
                return
            row = await asyncio.wrap_future(self._store.read(functools.partial(_row, self._id)))
            self._reconciler = Reconciler(self._journal, Position(row.segment, row.position) if row else None)
        books = self._reconciler
        now_s = self._clock.monotonic_s()
        await asyncio.to_thread(books.scan, now_s)
        books.settle(self._claims.take(), self._absorber.open_tries, now_s)
        books.unsettled(now_s, self._absorber.open_tries, self._absorber.read_until_s)
        overdue = books.overdue(self._absorber.read_until_s)
        missing: list[str] = []
        for at in range(0, len(overdue), BATCH):
            part = overdue[at : at + BATCH]
            ids = {attempt.rpartition("-")[0] for attempt in part}
            tries, claims = await asyncio.wrap_future(self._store.read(functools.partial(_tries, ids)))
            missing += books.judge(part, tries, claims)
        await self._tell(missing, books)
        position = books.safe_position()
        if position is not None and position != self._saved:
            row = SpoolRow(position.segment, position.offset, 0, books.checked)
            await asyncio.wrap_future(self._store.write(functools.partial(_save, self._id, row)))
            self._saved = position

    async def _tell(self, missing: list[str], books: Reconciler) -> None:
        twice, books.repeated = books.repeated, []
        against, books.contradictions = books.contradictions, []
        self.unspooled += len(missing)
        self.repeated += len(twice)
        self.contradicted += len(against)
        first = "; ".join(f"{one.attempt_id}: {one.reason}" for one in against[:EXAMPLES])
        for found, what in (
            (missing, f"reached a provider and no edge recorded them: an edge may be compromised ({_some(missing)})"),
            (twice, f"were sent to a provider twice ({_some(twice)})"),
            (against, f"are booked otherwise than the vault saw them: an edge may be compromised ({first})"),
        ):
            if found:
                await self._say(f"{len(found)} attempts {what}", books)
        if books.free >= max(FREE_MIN, 2 * self._free_told) and books.free * FREE_SHARE >= books.compared:
            self._free_told = books.free
            what = "answers with status 2xx are booked as nothing: providers put errors under"
            await self._say(f"{books.free} {what} that status, or an edge is compromised", books)
        late = books.unsettled_now
        if late >= max(FREE_MIN, 2 * self._unsettled_told) and late * FREE_SHARE >= books.compared:
            self._unsettled_told = books.unsettled_now
            what = (
                "answers of providers ended and are not settled: their clients read slowly, or an edge is compromised"
            )
            await self._say(f"{books.unsettled_now} {what}", books)

    async def _say(self, text: str, books: Reconciler) -> None:
        self._told = [*self._told[-9:], text]
        self._report(text)
        finding = functools.partial(_finding, self._id, books.position.segment, text, self._clock.wall_ms())
        await asyncio.wrap_future(self._store.write(finding))


def _some(attempts: list[str]) -> str:
    return f"e.g. {', '.join(attempts[:EXAMPLES])}"


def _row(spool_id: str, connection: Connection) -> SpoolRow | None:
    return ledger_rows.spool_row(connection, spool_id)


def _save(spool_id: str, row: SpoolRow, connection: Connection) -> None:
    ledger_rows.put_spool_row(connection, spool_id, row)


def _finding(spool_id: str, segment: int, text: str, now_ms: int, connection: Connection) -> None:
    ledger_rows.put_quarantine(connection, spool_id, segment, text, now_ms)


def _tries(ids: set[str], connection: Connection) -> tuple[dict[str, int], dict[str, Claim | None]]:
    """Return how many attempts stored requests name, and what is claimed of each."""
    tries: dict[str, int] = {}
    claims: dict[str, Claim | None] = {}
    for request_id, row in ledger_rows.rows_of(connection, ids).items():
        with contextlib.suppress(msgspec.DecodeError):  # a row that is damaged is `ledger verify`'s business
            tries[request_id] = build.tries_of(row)
            found = build.opened_of(row)
            if found is not None:
                claims |= claims_of(*found)
    return tries, claims
