"""The job that compares the two books, all the time. Level 5 (docs/invariants.md C8). Decisions are ledger/reconcile's."""

import asyncio
import contextlib
import functools
from collections.abc import Callable, Collection
from pathlib import Path

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from switchgear.control.ingester import Ingester
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
SHOWN_S = 24 * 3_600.0
"""How long an event is a problem in `status`; `ledger verify` and /metrics tell of it as long as the store stands."""
EVENTS_MAX = 10
UNSPOOLED = "reached a provider and no edge recorded them: an edge may be compromised"
REPEATED = "were sent to a provider twice"
CONTRADICTED = "are booked otherwise than the vault saw them: an edge may be compromised"
FREE = (
    "answers with status 2xx are booked as nothing: providers put errors under that status, or an edge is compromised"
)
UNSETTLED = "answers of providers ended and are not settled: their clients read slowly, or an edge is compromised"


class Event(msgspec.Struct):
    """Attempts of which the books tell something that should not be."""

    told_s: float
    attempts: dict[str, str]
    """By id: what is wrong with each, where that is told one by one. One that was recorded later is taken out."""
    what: str
    names_reasons: bool = False

    @property
    def text(self) -> str:
        """What is said of it."""
        some = list(self.attempts.items())[:EXAMPLES]
        shown = "; ".join(f"{name}: {why}" for name, why in some) if self.names_reasons else ""
        shown = shown or f"e.g. {', '.join(name for name, _ in some)}"
        return f"{len(self.attempts)} attempts {self.what} ({shown})"


class Threshold:
    """Something that is a problem while it is more than a share; told again each time that it doubled."""

    def __init__(self) -> None:
        self.problem: str | None = None
        self._told = 0

    def look(self, count: int, of: int, what: str) -> str | None:
        """Take the count of now; returns what has to be told, if anything."""
        is_many = count >= FREE_MIN and count * FREE_SHARE >= of
        self.problem = f"{count} {what}" if is_many else None
        if not is_many or count < 2 * self._told:
            return None
        self._told = count
        return self.problem


class DoubleEntry:
    """Follows the vault's journal and the ingester."""

    def __init__(
        self,
        store: Store,
        journal: Path,
        ingester: Ingester,
        claims: Claims,
        clock: Clock,
        report: Callable[[str], None],
    ) -> None:
        self._store = store
        self._journal = journal
        self._ingester = ingester
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
        self._events: list[Event] = []
        """What was told of single attempts."""
        self._free = Threshold()
        self._unsettled = Threshold()

    @property
    def problems(self) -> list[str]:
        """What `status` says: what is so now, and what was told of single attempts within SHOWN_S and is not settled."""
        now_s = self._clock.monotonic_s()
        recent = [event.text for event in self._events if event.attempts and now_s - event.told_s < SHOWN_S]
        found = [self.stopped, *recent, self._free.problem, self._unsettled.problem]
        return [text for text in found if text is not None]

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

    def _end_turn(self, exc: Exception) -> None:
        if isinstance(exc, StoreGoneError | DatabaseError | OSError):
            return  # the ingester reports it; the journal waits
        text = f"the double entry stands still: {type(exc).__name__} in {place_of(exc)}"
        if self.stopped != text:
            self._report(text)
        self.stopped = text

    @guarded(_end_turn)
    async def work(self) -> None:
        """Compare what is there: a turn of the job. What nobody expected is a problem until a turn goes well."""
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
        recorded = self._claims.take()
        self._settle(recorded)
        books.settle(recorded, self._ingester.open_tries, now_s)
        books.unsettled(now_s, self._ingester.open_tries, self._ingester.read_until_s)
        overdue = books.overdue(self._ingester.read_until_s)
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

    def _settle(self, recorded: Collection[str]) -> None:
        """Take out of what was told the attempts that no edge had recorded, and that one has recorded since."""
        for event in self._events:
            if event.what == UNSPOOLED:
                for attempt in event.attempts.keys() & recorded:
                    del event.attempts[attempt]

    async def _tell(self, missing: list[str], books: Reconciler) -> None:
        twice, books.repeated = books.repeated, []
        against, books.contradictions = books.contradictions, []
        self.unspooled += len(missing)
        self.repeated += len(twice)
        self.contradicted += len(against)
        now_s = self._clock.monotonic_s()
        self._events = [e for e in self._events if e.attempts and now_s - e.told_s < SHOWN_S][-EVENTS_MAX:]
        for event in (
            Event(now_s, dict.fromkeys(missing, ""), UNSPOOLED),
            Event(now_s, dict.fromkeys(twice, ""), REPEATED),
            Event(now_s, {one.attempt_id: one.reason for one in against}, CONTRADICTED, True),
        ):
            if event.attempts:
                self._events.append(event)
                await self._say(event.text, books)
        for threshold, count, what in (
            (self._free, books.free, FREE),
            (self._unsettled, books.unsettled_now, UNSETTLED),
        ):
            text = threshold.look(count, books.compared, what)
            if text is not None:
                await self._say(text, books)

    async def _say(self, text: str, books: Reconciler) -> None:
        self._report(text)
        finding = functools.partial(_finding, self._id, books.position.segment, text, self._clock.wall_ms())
        await asyncio.wrap_future(self._store.write(finding))


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
