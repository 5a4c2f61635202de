"""What was stopped here: revoked keys and frozen subjects, which hold before the store knows of them. Level 5.

Stopping writes the replica first. A store that is away or busy is told later, and nothing that was read of it before lets
a stopped key or subject in again.
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from switchgear.control.handle import Control
from switchgear.core.errors import UserError
from switchgear.store import objects
from switchgear.store.database import StoreGoneError

DEBTS_S = 2.0
LATE_MAX = 5
"""So many are named of what the store had to be told."""
WRITE_S = 1.0
"""Whoever stops somebody waits no longer for the store: what stops stands in the replica already."""


class Stops:
    """What was stopped since control began, and whether the store was told."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self.revoked: set[str] = set()
        """Ids of keys that were revoked here: whoever publishes what it read of the store before does not let them in again."""
        self.frozen: dict[str, int | None] = {}
        """Subjects that were frozen here, for the same reason."""
        self.owes = False
        """True when something was stopped in the replica and could not be written to the store."""

    async def write_soon(self, writing: Coroutine[Any, Any, None]) -> None:
        """Write what stops somebody. It holds already: where the store cannot be written, or its writer is busy (a spool of a
        compromised edge, a slow disk), nobody waits for it, and it is written when that is over."""
        try:
            await asyncio.wait_for(asyncio.shield(self._owing(writing)), WRITE_S)
        except TimeoutError:
            self.owes = True
            self._control.report("stopped; the store is busy and will be told")

    async def _owing(self, writing: Coroutine[Any, Any, None]) -> None:
        try:
            await writing
        except (StoreGoneError, DatabaseError) as exc:
            self.owes = True
            self._control.report(f"stopped, and to be written to the store when it is back: {exc}")

    async def pay_debts(self) -> None:
        """Write to the store what was stopped while it was away, if it is back: a turn of the job."""
        if self.owes:
            with contextlib.suppress(StoreGoneError, DatabaseError):
                await self.reconcile()
                self.owes = False

    async def reconcile(self) -> None:
        """Finish what a crash interrupted between replica and store: a published revocation or freeze wins."""
        control = self._control
        published = await asyncio.to_thread(control.publisher.current)
        if published is not None and published.store_id != control.store.id:
            raise UserError(
                f"the replica belongs to store {published.store_id}, not {control.store.id}",
                "put the right database back, or remove the replica folder",
                2,
            )
        revoked = {e.id: e for e in await asyncio.to_thread(control.publisher.revoked_keys)}
        now = control.clock.wall_ms()
        late: list[str] = []

        def work(connection: Connection) -> None:
            for row in objects.keys(connection):
                entry = revoked.get(row.id)
                if row.is_forged:
                    continue  # what was published stays, and nothing of the row is signed
                is_revoked = row.id in self.revoked or (entry is not None and entry.version > row.version)
                if is_revoked and row.revoked_ms is None:
                    version = max(row.version + 1, entry.version if entry is not None else 0)
                    gone = msgspec.structs.replace(row, version=version, revoked_ms=now, updated_ms=now)
                    objects.replace_key(connection, gone, row.version)
                    late.append(f"the key {row.name!r}")
            stored = objects.freezes(connection)
            wanted = {**(published.freezes if published is not None else {}), **self.frozen}
            for subject, until in wanted.items():
                if subject not in stored:
                    objects.put_freeze(connection, subject, until, "recovery", now)
                    late.append(f"the freeze of {subject!r}")

        await control.write(work)
        self.tell(late)

    def tell(self, late: list[str]) -> None:
        """Report what the store had to be told."""
        if late:
            more = f" and {len(late) - LATE_MAX} more" if len(late) > LATE_MAX else ""
            self._control.report(f"stopped here, and now in the store, too: {', '.join(late[:LATE_MAX])}{more}")
