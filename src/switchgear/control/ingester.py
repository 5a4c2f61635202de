"""The job that moves spools into the store. Level 5. Works in the store's writer thread; decisions are the ledger's."""

import asyncio
import errno
import fcntl
import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import lmdb
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError, IntegrityError

from switchgear.control.jobs import Next
from switchgear.control.observers import Observer, Participant
from switchgear.control.prices import PriceBook
from switchgear.core.clock import Clock
from switchgear.core.errors import RecordError, RefusedError, SwitchgearError
from switchgear.core.guard import guarded, place_of
from switchgear.core.ids import Entropy
from switchgear.core.text import clean
from switchgear.ledger.batch import Batch, SpoolFinding
from switchgear.ledger.ingest import Blocked, SpoolIngester
from switchgear.net.link import LinkClient
from switchgear.spool import files
from switchgear.spool.reader import Position
from switchgear.spool.writer import SpoolWriter
from switchgear.store import ledger_rows
from switchgear.store.database import Store, StoreGoneError
from switchgear.vault import verbs
from switchgear.vault.verbs import Fence
from switchgear.wire.frames import FOREIGN_RUN
from switchgear.wire.records import Held

PAUSE_S = 0.25
ADOPT_S = 5.0
"""A spool whose writer is gone for so long has no successor: control closes it itself."""
ROUNDS_PER_TURN = 64
TURN_S = 0.25
"""A turn has the store's writer to itself: a revocation waits for it."""
TELLS_PER_SPOOL = 20
"""Findings of one spool that are told and listed one by one; the others are counted."""
KEPT_PER_SPOOL = 1_000
"""Findings of one spool that the store keeps: a compromised edge makes as many as it likes."""
SET_ASIDE_S = 60.0
"""A spool that cannot be read holds the double entry of the others back for so long."""
ANEW_S = 60.0

DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})
"""What is no single spool's trouble."""


class Turn:
    """What one turn came to."""

    def __init__(self, began_s: float) -> None:
        self.began_s = began_s
        self.moved = False
        self.all_read = True
        self.is_at_end = True
        self.blocked: list[tuple[SpoolIngester, str]] = []


class Ingester:
    """Follows all spools of a data folder."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        link: LinkClient,
        prices: PriceBook,
        clock: Clock,
        entropy: Entropy,
        report: Callable[[str], None],
        participants: Sequence[Participant] = (),
        observers: Sequence[Observer] = (),
    ) -> None:
        self._store = store
        self._folder = folder
        self._link = link
        self._prices = prices
        self._clock = clock
        self._entropy = entropy
        self._report = report
        self._participants = participants
        self._observers = observers
        self._failed_observers: dict[str, int] = {}
        """How often an observer failed, by its name."""
        self._spools: dict[str, SpoolIngester] = {}
        self._unlocked_s: dict[str, float] = {}
        self._careful: set[str] = set()
        self._single: set[str] = set()
        """Spools of which the store did not take a batch: their records are taken one by one until the one is found."""
        self._bad: dict[str, set[Position]] = {}
        self._failing_s: dict[str, float] = {}
        """Since when a spool cannot be read."""
        self._anew_s: dict[str, float] = {}
        """When a spool got another id, by folder."""
        self._told: dict[str, int] = {}
        self.failures: dict[str, str] = {}
        """Why a spool stands still, by folder."""
        self._caught: Exception | None = None
        self._watching = ""
        self._last: dict[str, Position] = {}
        """How far the batch went that was tried last."""
        self.problem: str | None = None
        """Why absorption stands still, if it does."""
        self.is_at_end = True
        """False while more is there than one turn takes."""
        self.ingested = 0
        self.findings: list[SpoolFinding] = []
        self.read_until_s = 0.0
        """When the last turn began that read all spools to their ends."""
        self.writers: set[str] = set()
        """Spools whose edge lives."""

    async def work(self) -> Next | None:
        """Ingest what is there: a turn of the job."""
        await self._guarded_turn()
        return None if self.is_at_end else Next.SOON

    def _end_turn(self, exc: Exception) -> None:
        self._note_problem(f"{type(exc).__name__} in {place_of(exc)}")
        self._spools.clear()
        self.is_at_end = True

    @guarded(_end_turn)
    async def _guarded_turn(self) -> None:
        await self.turn()

    async def turn(self) -> bool:
        """Ingest what is there; returns whether anything was."""
        try:
            moved, blocked = await asyncio.wrap_future(self._store.submit(self._turn))
        except (StoreGoneError, DatabaseError, OSError, lmdb.Error) as exc:
            self._note_problem(str(exc))
            self._spools.clear()  # positions in memory may be ahead of the store's: begin again from there
            return False
        self.problem = None
        for spool, run_id in blocked:
            await self._fence(spool, run_id)
        return moved

    def in_flight(self) -> tuple[int, int]:
        """Return how many requests are reserved and not settled, and how many of them are streams."""
        spools = list(self._spools.values())
        return sum(spool.open_count for spool in spools), sum(spool.stream_count for spool in spools)

    def held(self) -> list[tuple[str, Sequence[Held], int]]:
        """Return what open requests hold of budgets, by attempt, and until when at most. In the writer's thread."""
        return [one for spool in self._spools.values() for one in spool.held()]

    def open_tries(self, request_id: str) -> int:
        """Return how many attempts a request names that is not settled; 0 when no spool knows it."""
        return next((tries for spool in self._spools.values() if (tries := spool.open_tries(request_id))), 0)

    async def drain(self, bound_s: float) -> None:
        """Ingest until nothing is left, at shutdown."""
        end = self._clock.monotonic_s() + bound_s
        while await self.turn() and self._clock.monotonic_s() < end:
            pass

    async def _fence(self, spool: SpoolIngester, run_id: str) -> None:
        try:
            await self._link.ask(verbs.FENCE, Fence(run_id, spool.spool_id), 2.0)
        except (ConnectionError, TimeoutError):
            return  # the vault is away: the next turn asks again
        except RefusedError as exc:
            if str(exc) == FOREIGN_RUN:
                spool.fence_refused(run_id)
        else:
            spool.fence_done(run_id)

    def _note_problem(self, text: str) -> None:
        if self.problem != text:
            self._report(f"the ledger stands still: {text}")
        self.problem = text

    # in the writer's thread

    def _turn(self) -> tuple[bool, list[tuple[SpoolIngester, str]]]:
        self._store.check()
        turn = Turn(self._clock.monotonic_s())
        for folder in sorted(self._folder.glob("edge-*")):
            self._caught = None
            try:
                self._follow(folder, turn)
            except (RecordError, OSError) as exc:
                self._caught = exc
            if self._caught is not None:
                self._fail(folder, self._caught, turn)
            elif folder.name in self.failures:
                del self.failures[folder.name], self._failing_s[folder.name]
        if turn.all_read:
            self.read_until_s = turn.began_s
        self.is_at_end = turn.is_at_end
        return turn.moved, turn.blocked

    def _end_spool(self, exc: Exception) -> None:
        if isinstance(exc, StoreGoneError | DatabaseError | RecordError | lmdb.Error):
            raise exc
        if isinstance(exc, OSError) and exc.errno in DISK_ERRORS:
            raise exc
        self._caught = exc

    @guarded(_end_spool)
    def _follow(self, folder: Path, turn: "Turn") -> None:
        """Ingest what one spool has."""
        try:
            spool_id = files.read_id(folder)
        except FileNotFoundError:
            return
        known = self._spools.get(folder.name)
        if known is not None and known.spool_id != spool_id:
            self._begin_anew(folder, turn)
            known = None
        if known is not None and not known.has_more():
            self._adopt(folder)
            return
        before = None
        for _ in range(ROUNDS_PER_TURN):
            if self._clock.monotonic_s() - turn.began_s > TURN_S and turn.moved:
                turn.all_read = turn.is_at_end = False
                break
            try:
                spool, wait, batch = self._store.write_here(functools.partial(self._ingest, folder))
            except IntegrityError:
                # Records stand twice (written again after a failed sync): go through them one by one.
                self._be_careful(folder)
                continue
            except (OverflowError, UnicodeError, ValueError, TypeError, KeyError, AttributeError, IndexError) as exc:
                self._isolate(folder, exc)
                continue
            self._careful.discard(folder.name)
            if batch.taken != 1:
                self._single.discard(folder.name)
            spool.drop_finished()
            self.ingested += len(batch.rows)
            for observer in self._observers:
                self._watching = type(observer).__name__
                self._tell_observer(observer, batch)
            if wait is not None:
                turn.blocked.append((spool, wait.run_id))
                turn.all_read = False
            if spool.position == before:
                break
            before = spool.position
            turn.moved = True
            if spool.is_at_end:
                break
        else:
            turn.all_read = turn.is_at_end = False
        self._adopt(folder)

    def _end_observer(self, exc: Exception) -> None:
        failed = self._failed_observers[self._watching] = self._failed_observers.get(self._watching, 0) + 1
        if failed == 1:
            self._report(
                f"{self._watching} was not told of what the ledger took: {type(exc).__name__} in {place_of(exc)}"
            )

    @guarded(_end_observer)
    def _tell_observer(self, observer: Observer, batch: Batch) -> None:
        observer.on_batch(batch)

    def _begin_anew(self, folder: Path, turn: "Turn") -> None:
        """A writer found no id that could be read, and made one. Seldom: every id has a row in the store."""
        if turn.began_s - self._anew_s.get(folder.name, -ANEW_S) < ANEW_S:
            raise RecordError(f"changed its id twice within {ANEW_S:g} s")
        self._anew_s[folder.name] = turn.began_s
        self._spools.pop(folder.name).close()
        self._report(
            f"the spool {folder.name} has another id: what was open there and not settled is lost to the ledger"
        )

    def _be_careful(self, folder: Path) -> None:
        self._spools.pop(folder.name, None)
        if folder.name in self._careful:
            self._single.add(folder.name)  # that did not help: it is no record of before
            spool = self._last.pop(folder.name, None)
            if spool is not None:
                self._bad.setdefault(folder.name, set()).add(spool)
        self._careful.add(folder.name)

    def _isolate(self, folder: Path, exc: Exception) -> None:
        """The store did not take a batch: find the record that it is about, and set that one aside."""
        self._spools.pop(folder.name, None)
        last = self._last.pop(folder.name, None)
        if folder.name in self._single and last is not None:
            self._bad.setdefault(folder.name, set()).add(last)
            self._report(f"spool {folder.name}: a record is set aside: {type(exc).__name__} in {place_of(exc)}")
        self._single.add(folder.name)

    def _fail(self, folder: Path, exc: Exception, turn: "Turn") -> None:
        """One spool cannot be read: the others go on."""
        self._spools.pop(folder.name, None)
        reason = clean(str(exc), 200) if isinstance(exc, RecordError | OSError) else place_of(exc)
        if self.failures.get(folder.name) != reason:
            self._report(f"the spool {folder.name} stands still: {reason}")
        self.failures[folder.name] = reason
        since_s = self._failing_s.setdefault(folder.name, turn.began_s)
        if turn.began_s - since_s < SET_ASIDE_S:
            turn.all_read = False

    def _ingest(self, folder: Path, connection: Connection) -> tuple[SpoolIngester, Blocked | None, Batch]:
        find = functools.partial(self._prices.look_up, connection)
        careful = folder.name in self._careful
        batch = Batch(
            (lambda request_id: bool(ledger_rows.known_ids(connection, [request_id]))) if careful else None, folder.name
        )
        spool = self._spools.get(folder.name)
        if spool is None:
            spool_id = files.read_id(folder)
            for other in self._spools.values():
                if other.spool_id == spool_id:
                    raise RecordError(f"has the id of {other.folder.name}")
            row = ledger_rows.spool_row(connection, spool_id)
            spool = self._spools[folder.name] = SpoolIngester(folder, row, find, self._folder / "vault")
        spool.charges.find_price = find
        before = spool.position
        single = folder.name in self._single
        blocked = spool.ingest(batch, self._bad.get(folder.name, ()), 1 if single else None)
        batch.taken = 1 if single and spool.position != before else 0
        self._last[folder.name] = spool.position
        if batch.rows:
            ledger_rows.add_requests(connection, batch.rows)
            ledger_rows.add_usage(connection, batch.sums)
            ledger_rows.add_tried(connection, batch.tried)
        for participant in self._participants:
            participant.write(connection, batch)
        for finding in batch.findings:
            self._tell(folder, finding, connection)
        if spool.position != before:
            spool.commit_to(connection)
        return spool, blocked, batch

    def _tell(self, folder: Path, finding: SpoolFinding, connection: Connection) -> None:
        if finding in self.findings:
            return
        told = self._told[folder.name] = self._told.get(folder.name, 0) + 1
        if told <= KEPT_PER_SPOOL:
            now_ms = self._clock.wall_ms()
            ledger_rows.put_quarantine(connection, finding.spool_id, finding.segment, finding.reason, now_ms)
        if told <= TELLS_PER_SPOOL:
            self.findings.append(finding)
            self._report(f"spool {folder.name}, segment {finding.segment}: {finding.reason}")

    @property
    def problems(self) -> list[str]:
        """What `status` says of the spools."""
        found = [] if self.problem is None else [self.problem]
        found += [f"the spool {name} stands still: {reason}" for name, reason in sorted(self.failures.items())]
        found += [f"spool {f.spool_id}, segment {f.segment}: {f.reason}" for f in self.findings]
        found += [
            f"{name} was not told {count} times of what the ledger took"
            for name, count in self._failed_observers.items()
        ]
        more = {name: told - TELLS_PER_SPOOL for name, told in self._told.items() if told > TELLS_PER_SPOOL}
        return found + [f"spool {name}: {count} more findings" for name, count in sorted(more.items())]

    def _adopt(self, folder: Path) -> None:
        """Close the spool of an edge that has no successor (fewer workers than before)."""
        fd = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.writers.discard(folder.name)
        except BlockingIOError:
            self.writers.add(folder.name)
            self._unlocked_s.pop(folder.name, None)
            return
        finally:
            os.close(fd)
        now = self._clock.monotonic_s()
        since = self._unlocked_s.setdefault(folder.name, now)
        spool = self._spools.get(folder.name)
        if now - since < ADOPT_S or spool is None or spool.open_count == 0:
            return
        try:
            SpoolWriter(folder, self._clock, self._entropy, self._entropy(8).hex()).close()
        except (OSError, SwitchgearError) as exc:
            self._report(f"the spool {folder.name} cannot be closed: {exc}")
        self._unlocked_s[folder.name] = now
