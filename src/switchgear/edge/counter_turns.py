"""When counters do what waits: with a turn of the loop, or when they ask for it. Level 4."""

from switchgear.core.clock import Loop
from switchgear.core.guard import Guard, guarded
from switchgear.counters.backend import Counters

TRY_AGAIN_S = 0.05


class CounterTurns:
    """Calls `flush` of one process's counters. They get `wake` when they are made, and are set here then."""

    def __init__(self, loop: Loop, guard: Guard) -> None:
        self._loop = loop
        self._guard = guard
        self._is_soon = False
        self.counters: Counters | None = None

    def wake(self, seconds: float) -> None:
        """Flush in so many seconds; 0: with the turn."""
        if seconds > 0:
            self._loop.call_later(seconds, self._flush)
        elif not self._is_soon:
            self._is_soon = True
            self._loop.call_soon(self._flush)

    def _fault(self, exc: Exception) -> None:
        # Only what was called back is lost, and ends with its own request's deadline; the others are called the next time.
        self._guard.caught(exc)
        self._loop.call_later(TRY_AGAIN_S, self._flush)

    @guarded(_fault)
    def _flush(self) -> None:
        self._is_soon = False
        if self.counters is not None:
            self.counters.flush()
