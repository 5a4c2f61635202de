"""Adds a version to the configuration's history soon after a change: many changes in a row are one version. Level 5."""

import asyncio

from sqlalchemy.exc import SQLAlchemyError

from switchgear.control import versions
from switchgear.control.handle import Control
from switchgear.control.publication import Publication
from switchgear.core.errors import UserError
from switchgear.core.guard import guarded, place_of
from switchgear.store.database import StoreGoneError

REMEMBER_S = 1.0


class History:
    """The version that is due, if any."""

    def __init__(self, control: Control, publication: Publication) -> None:
        self._control = control
        self._publication = publication
        self._due: tuple[str, str] | None = None
        self._writing: asyncio.Task[None] | None = None

    def remember(self, actor: str, action: str) -> None:
        """Add a version soon, after a change of the store's part."""
        is_first = self._due is None
        self._due = (actor, action)
        if is_first:
            self._writing = asyncio.create_task(self._remember_soon())

    def _not_remembered(self, exc: Exception) -> None:
        known = isinstance(exc, UserError | StoreGoneError | SQLAlchemyError)
        why = str(exc) if known else f"{type(exc).__name__} in {place_of(exc)}"
        self._control.report(f"the configuration's history lacks a version: {why}")

    @guarded(_not_remembered)
    async def _remember_soon(self) -> None:
        await asyncio.sleep(REMEMBER_S)
        await self.remember_now()

    async def remember_now(self) -> None:
        """Write the version that is due."""
        due, self._due = self._due, None
        if due is not None:
            now = self._control.clock.wall_ms()
            compiled = self._publication.compiled
            await self._control.write(lambda c: versions.remember(c, versions.current(c, compiled), *due, now))
