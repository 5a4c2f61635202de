"""What has to be tidied once a minute: readers that died, ballast, old journals, records beyond their retention. Level 5.

A disk that is full or a database that is away stops none of it for good: what failed is tried again a minute later.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from pathlib import Path

import lmdb
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from switchgear.control.deployments import Deployments
from switchgear.control.exports import HOLD_MS
from switchgear.control.handle import Control
from switchgear.control.ingester import Ingester
from switchgear.control.publication import Publication
from switchgear.core.guard import guarded, place_of
from switchgear.core.ids import request_id_floor
from switchgear.ledger import journal
from switchgear.store import balance_rows, ledger_rows, outbox, rollups
from switchgear.store.database import StoreGoneError

PAUSE_S = 60.0
BEHIND_S = 30.0
"""The ledger is behind when its spools were not read to their ends for so long."""
RETENTION_BATCH = 5_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
BALANCES_DAYS = 400
"""Days that balances are kept after their period: what a year's budget came to is known a month after the next began."""
ROLL_AFTER_MS = 2 * HOUR_MS


class Housekeeper:
    """Tidies up."""

    def __init__(
        self,
        control: Control,
        publication: Publication,
        ingester: Ingester,
        deployments: Deployments,
        journal_folder: Path,
    ) -> None:
        self._deployments = deployments
        self._control = control
        self._publication = publication
        self._ingester = ingester
        self._journal = journal_folder

    async def turn(self) -> None:
        """Do everything once; what fails is reported and does not keep the rest from being done."""
        for work in (
            self._rollups,
            self._replica,
            self._ballast,
            self._old_journals,
            self._old_records,
            self._old_deployments,
            self._old_balances,
        ):
            await self._do(work)

    def _failed(self, exc: Exception) -> None:
        if isinstance(exc, StoreGoneError):
            return  # the ingester's to report
        expected = isinstance(exc, DatabaseError | OSError | lmdb.Error)
        what = str(exc) if expected else f"{type(exc).__name__} in {place_of(exc)}"
        self._control.report(f"housekeeping: {what}; trying again in {PAUSE_S:g} s")

    @guarded(_failed)
    async def _do(self, work: Callable[[], Awaitable[None]]) -> None:
        await work()

    async def _rollups(self) -> None:
        # A day is added up when its records have had time to come; what comes later is added to it.
        over = (self._control.clock.wall_ms() - ROLL_AFTER_MS) // HOUR_MS
        while await self._control.write(functools.partial(rollups.roll_day, over_until=over)):
            await asyncio.sleep(0.2)  # others want to write too

    async def _replica(self) -> None:
        await asyncio.to_thread(self._control.publisher.check_readers)
        await asyncio.to_thread(self._control.publisher.drop_stored, self._control.clock.wall_ms())

    async def _ballast(self) -> None:
        await asyncio.to_thread(self._control.ballast.prepare)

    async def _old_journals(self) -> None:
        if self._control.clock.monotonic_s() - self._ingester.read_until_s >= BEHIND_S:
            return  # an orphan may wait for what the journal says of it; and clocks that jump make segments look old
        if (self._journal / "id").exists():
            oldest_ms = self._control.clock.wall_ms() - self._publication.compiled.journal_hours * HOUR_MS
            await asyncio.to_thread(journal.drop_old, self._journal, oldest_ms)

    async def _old_records(self) -> None:
        days = self._publication.compiled.ledger_days
        if days is None:
            return
        # Counted from the newest record: a clock that jumps ahead does not empty the ledger of an idle gateway.
        newest_ms = await self._control.read(ledger_rows.newest_ms)
        until_ms = min(self._control.clock.wall_ms(), newest_ms) - days * DAY_MS
        while await self._control.write(functools.partial(_drop, until_ms)):
            await asyncio.sleep(0.1)

    async def _old_deployments(self) -> None:
        # Counted from the newest record, as above.
        newest_ms = await self._control.read(ledger_rows.newest_ms)
        now_ms = min(self._control.clock.wall_ms(), newest_ms)
        await self._control.write(functools.partial(self._deployments.drop_old, now_ms=now_ms))

    async def _old_balances(self) -> None:
        # Counted from the newest record, as above.
        newest_ms = await self._control.read(ledger_rows.newest_ms)
        until_ms = min(self._control.clock.wall_ms(), newest_ms) - BALANCES_DAYS * DAY_MS
        work = functools.partial(balance_rows.drop_before, until_ms=until_ms, limit=RETENTION_BATCH)
        while await self._control.write(work):
            await asyncio.sleep(0.1)


def _drop(until_ms: int, connection: Connection) -> int:
    """Delete records that are older, and that exporters handed on or that waited long enough for them; returns how many."""
    floor, hard_floor = request_id_floor(until_ms), request_id_floor(until_ms - HOLD_MS)
    count = outbox.drop_old(connection, floor, hard_floor, RETENTION_BATCH)
    if count or outbox.all_cursors(connection):
        return count
    return ledger_rows.drop_before(connection, floor, RETENTION_BATCH)  # without a number: a database restored in part
