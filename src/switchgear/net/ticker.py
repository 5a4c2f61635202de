"""Something that is done again and again, whatever becomes of one time. Level 2."""

import asyncio
from collections.abc import Callable

from switchgear.core.guard import Guard, guarded


class Ticker:
    """Calls `work` at once and then every `period_s` seconds, until `stop`. What `work` raises ends that one call."""

    __slots__ = ("_guard", "_period_s", "_timer", "_work")

    def __init__(self, period_s: float, work: Callable[[], None], guard: Guard) -> None:
        self._period_s = period_s
        self._work = work
        self._guard = guard
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, within a running loop."""
        self._tick()

    def stop(self) -> None:
        """Do it no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._period_s, self._tick)

    def _fault(self, exc: Exception) -> None:
        self._guard.caught(exc)
        self._arm()

    @guarded(_fault)
    def _tick(self) -> None:
        self._arm()  # first: the next time comes whatever happens in this one
        self._work()
