"""When a spool is synced: soon after something was written, and never on its own account. Level 2 (docs/invariants.md L2).

An idle process wakes for nobody; one at work syncs every SYNC_S, in a thread, so that its loop never waits for the disk.
"""

import asyncio
import os
from collections.abc import Callable

from switchgear.core.errors import SpoolFullError
from switchgear.core.guard import Guard, guarded
from switchgear.spool.writer import SpoolWriter

SYNC_S = 0.05
"""`spool.sync_ms`: what a power cut may take."""


class Syncer:
    """Syncs one writer. Call `wake` from the loop after each commit; it costs a comparison while a sync is due anyway."""

    def __init__(self, spool: SpoolWriter, report: Callable[[str], None], guard: Guard) -> None:
        self._spool = spool
        self._guard = guard
        self._report = report
        self._timer: asyncio.TimerHandle | None = None
        self._syncing: asyncio.Future[None] | None = None
        self._is_stopped = False
        self._said = ""
        """What was reported last: once, and not at each turn."""

    def wake(self) -> None:
        """Something was written, or the next segment is not prepared."""
        if self._timer is None and not self._is_stopped:
            self._timer = asyncio.get_running_loop().call_later(SYNC_S, self._turn)

    def stop(self) -> None:
        """Sync no more: the writer is about to be closed, which syncs."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _fault(self, exc: Exception) -> None:
        # This turn ends; whatever was written is still to be synced.
        self._guard.caught(exc)
        self._timer = None
        self.wake()

    @guarded(_fault)
    def _turn(self) -> None:
        self._timer = None
        spool = self._spool
        try:
            spool.maintain()
        except (OSError, SpoolFullError) as exc:
            why = os.strerror(exc.errno or 0) if isinstance(exc, OSError) else str(exc)
            if why != self._said:
                self._report(f"the spool cannot be maintained: {why}")
                self._said = why
            self.wake()  # no sync before the repair: it would call good what a failed one may have dropped
            return
        self._said = ""
        if spool.needs_sync and (self._syncing is None or self._syncing.done()):
            self._syncing = asyncio.get_running_loop().run_in_executor(None, self._sync)
        if spool.needs_sync or not spool.is_prepared:
            self.wake()  # to see that the sync went well; or until the disk has room for another segment

    def _sync_fault(self, exc: Exception) -> None:
        # In the thread: the writer still says that a sync is due, so the next turn tries again.
        self._guard.caught(exc)

    @guarded(_sync_fault)
    def _sync(self) -> None:
        self._spool.sync()
