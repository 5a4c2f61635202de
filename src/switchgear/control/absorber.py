"""The job that moves spools into the store. Level 5. Works in the store's writer thread; decisions are the ledger's."""

import asyncio
import fcntl
import functools
import os
from collections.abc import Callable
from pathlib import Path

import lmdb
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError, IntegrityError

from switchgear.control import refusals
from switchgear.control.prices import PriceBook
from switchgear.control.refusals import Refusals
from switchgear.control.traffic import Traffic
from switchgear.core import problems
from switchgear.core.clock import Clock
from switchgear.core.errors import SwitchgearError
from switchgear.core.ids import Entropy
from switchgear.ledger.absorb import Batch, Blocked, Finding, SpoolAbsorber
from switchgear.net.link import VaultLink
from switchgear.replica.entries import Stored
from switchgear.spool.writer import SpoolWriter
from switchgear.store import ledger_rows
from switchgear.store.database import Store, StoreGoneError
from switchgear.store.tables import DIMENSIONS, SUMS

PAUSE_S = 0.25
ADOPT_S = 5.0
"""A spool whose writer is gone for so long has no successor: control closes it itself."""
ROUNDS_PER_TURN = 64
PROVIDER = DIMENSIONS.index("provider")
NO_PROVIDER = "none"
"""What is counted of requests that were refused before a provider was chosen."""
_FAILED, _ERRORS = SUMS.index("failed_attempts"), SUMS.index("errors")
PROVIDERS_MAX = 256
"""Names in spools are not believed: metrics must not grow with what a compromised edge invents."""
ATTEMPTS_MAX = 100_000
"""Attempts that are kept for the double entry; it asks the store for others."""


class Absorber:
    """Follows all spools of a data folder."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        link: VaultLink,
        prices: PriceBook,
        clock: Clock,
        entropy: Entropy,
        report: Callable[[str], None],
        publish_stored: Callable[[dict[str, Stored]], None] = lambda stored: None,
        refused: Refusals | None = None,
    ) -> None:
        self._store = store
        self._folder = folder
        self._link = link
        self._prices = prices
        self._clock = clock
        self._entropy = entropy
        self._report = report
        self._publish_stored = publish_stored
        self._refusals = refused or Refusals()
        self._spools: dict[str, SpoolAbsorber] = {}
        self._unlocked_s: dict[str, float] = {}
        self._careful: set[str] = set()
        self.problem: str | None = None
        """Why absorption stands still, if it does."""
        self.absorbed = 0
        self.touched: set[str] = set()
        """Ids of keys whose sums changed since `take_touched`."""
        self.findings: list[Finding] = []
        self.read_until_s = 0.0
        """When the last turn began that read all spools to their ends."""
        self._attempts: set[str] = set()
        self.traffic: dict[str, dict[str, int]] = {}
        """Sums by provider since control began: for metrics."""
        self.meter = Traffic(frozenset(case.code for case in problems.CASES))

    async def run(self) -> None:
        """Absorb until cancelled."""
        while True:
            await self.turn()
            await asyncio.sleep(PAUSE_S)

    async def turn(self) -> bool:
        """Absorb what is there; returns whether anything was."""
        try:
            moved, blocked, touched = await asyncio.wrap_future(self._store.submit(self._turn))
        except (StoreGoneError, DatabaseError, OSError, lmdb.Error) as exc:
            self._note_problem(str(exc))
            self._spools.clear()  # positions in memory may be ahead of the store's: begin again from there
            return False
        self.problem = None
        self.touched |= touched
        for spool, run_id in blocked:
            await self._fence(spool, run_id)
        return moved

    def take_touched(self) -> set[str]:
        """Return the ids of keys whose sums changed since the last call."""
        taken, self.touched = self.touched, set()
        return taken

    def in_flight(self) -> tuple[int, int]:
        """Return how many requests are reserved and not settled, and how many of them are streams."""
        spools = list(self._spools.values())
        return sum(spool.open_count for spool in spools), sum(spool.stream_count for spool in spools)

    def refused(self) -> dict[str, dict[str, int]]:
        """Return what was refused, by reason: of the last minute, and since control began."""
        return {"last_minute": self.meter.refused_lately(self._clock.monotonic_s()), "total": self.meter.refused}

    def take_attempts(self) -> set[str]:
        """Return the ids of the attempts of requests that were settled since the last call."""
        taken, self._attempts = self._attempts, set()
        return taken

    def open_tries(self, request_id: str) -> int:
        """Return how many attempts a request names that is not settled; 0 when no spool knows it."""
        return next((tries for spool in self._spools.values() if (tries := spool.open_tries(request_id))), 0)

    async def drain(self, bound_s: float) -> None:
        """Absorb until nothing is left, at shutdown."""
        end = self._clock.monotonic_s() + bound_s
        while await self.turn() and self._clock.monotonic_s() < end:
            pass

    async def _fence(self, spool: SpoolAbsorber, run_id: str) -> None:
        try:
            answer = await self._link.ask("fence", run_id, 2.0)
        except (ConnectionError, TimeoutError):
            return  # the vault is away: the next turn asks again
        if answer.ok:
            spool.fence_done(run_id)

    def _note_problem(self, text: str) -> None:
        if self.problem != text:
            self._report(f"the ledger stands still: {text}")
        self.problem = text

    # in the writer's thread

    def _turn(self) -> tuple[bool, list[tuple[SpoolAbsorber, str]], set[str]]:
        self._store.check()
        began_s, all_read = self._clock.monotonic_s(), True
        moved = False
        touched: set[str] = set()
        blocked: list[tuple[SpoolAbsorber, str]] = []
        for folder in sorted(self._folder.glob("edge-*")):
            if not (folder / "id").exists():
                continue
            known = self._spools.get(folder.name)
            if known is not None and not known.has_more():
                self._adopt(folder)
                continue
            before = None
            for _ in range(ROUNDS_PER_TURN):
                try:
                    spool, wait, batch, changes = self._store.write_here(functools.partial(self._absorb, folder))
                except IntegrityError:
                    # Records stand twice (written again after a failed sync): go through them one by one.
                    self._spools.pop(folder.name, None)
                    self._careful.add(folder.name)
                    continue
                self._careful.discard(folder.name)
                spool.drop_finished()
                self.absorbed += len(batch.rows)
                self._count(batch)
                if changes:
                    self._refusals.apply(changes)
                self.meter.settled(batch.timings)
                self.meter.counted(folder.name, batch.counters, began_s)
                touched.update(dimensions[1] for dimensions in batch.sums)
                if len(self._attempts) < ATTEMPTS_MAX:
                    self._attempts |= batch.attempts
                if wait is not None:
                    blocked.append((spool, wait.run_id))
                    all_read = False
                if spool.position == before:
                    break
                before = spool.position
                moved = True
                if spool.is_at_end:
                    break
            else:
                all_read = False
            self._adopt(folder)
        if all_read:
            self.read_until_s = began_s
        return moved, blocked, touched

    def _absorb(
        self, folder: Path, connection: Connection
    ) -> tuple[SpoolAbsorber, Blocked | None, Batch, refusals.Changes]:
        find = functools.partial(self._prices.look_up, connection)
        careful = folder.name in self._careful
        batch = Batch((lambda request_id: bool(ledger_rows.known_ids(connection, [request_id]))) if careful else None)

        spool = self._spools.get(folder.name)
        if spool is None:
            spool_id = (folder / "id").read_text("ascii").strip()
            row = ledger_rows.spool_row(connection, spool_id)
            spool = self._spools[folder.name] = SpoolAbsorber(folder, row, find, self._folder / "vault")
        spool.find_price = find
        before = spool.position
        blocked = spool.absorb(batch)
        if batch.rows:
            ledger_rows.add_requests(connection, batch.rows)
            ledger_rows.add_usage(connection, batch.sums)
            ledger_rows.add_tried(connection, batch.tried)
        if batch.stored:
            self._publish_stored(batch.stored)  # before the commit: a crash between the two repeats it
        for finding in batch.findings:
            ledger_rows.put_quarantine(
                connection, finding.spool_id, finding.segment, finding.reason, self._clock.wall_ms()
            )
            if finding not in self.findings:
                self.findings.append(finding)
                self._report(f"spool {folder.name}, segment {finding.segment}: {finding.reason}")
        if spool.position != before:
            spool.commit_to(connection)
        changes = self._refusals.changes(batch.heard)
        if changes:
            refusals.write(connection, changes, self._clock.wall_ms())
        return spool, blocked, batch, changes

    def _count(self, batch: Batch) -> None:
        for dimensions, values in batch.sums.items():
            name = dimensions[PROVIDER] or NO_PROVIDER
            if name not in self.traffic and len(self.traffic) >= PROVIDERS_MAX:
                name = "(others)"
            sums = self.traffic.setdefault(name, dict.fromkeys(SUMS, 0))
            for column, value in zip(SUMS, values, strict=True):
                sums[column] += value
            if name != NO_PROVIDER:
                sums["errors"] += values[_FAILED] - values[_ERRORS]  # of the attempts there, whatever came after them

    def _adopt(self, folder: Path) -> None:
        """Close the spool of an edge that has no successor (fewer workers than before)."""
        fd = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.meter.ended(folder.name)
        except BlockingIOError:
            self._unlocked_s.pop(folder.name, None)
            return
        finally:
            os.close(fd)
        now = self._clock.monotonic_s()
        since = self._unlocked_s.setdefault(folder.name, now)
        if now - since < ADOPT_S or self._spools[folder.name].open_count == 0:
            return
        try:
            SpoolWriter(folder, self._clock, self._entropy, self._entropy(8).hex()).close()
        except (OSError, SwitchgearError) as exc:
            self._report(f"the spool {folder.name} cannot be closed: {exc}")
        self._unlocked_s[folder.name] = now
