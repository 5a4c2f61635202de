"""Long work beside everybody else's: jobs in steps, a few milliseconds per turn of the loop, in rotation. Level 4.

A thread would not help: the decoder, the encoder and patterns keep the interpreter's lock, and what releases it would be
given back to the loop 5 ms late at each of its system calls. Decision 024.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from switchgear.core.clock import Clock
from switchgear.core.guard import Guard, guarded
from switchgear.core.steps import Steps

T = TypeVar("T")

TURN_S = 0.005
"""What all jobs together may take of one turn of the loop; a single step of a job may take longer (docs/operations.md)."""


class Job(Generic[T]):
    """One piece of long work and what becomes of it."""

    __slots__ = ("done", "failed", "is_wanted", "steps")

    def __init__(
        self,
        steps: Steps[T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
        is_wanted: Callable[[], bool],
    ) -> None:
        self.steps = steps
        self.done = done
        self.failed = failed
        self.is_wanted = is_wanted
        """Asked before each turn: work that nobody waits for any more is dropped."""


class Slicer:
    """One per edge. `soon` is the loop's `call_soon`."""

    __slots__ = ("_clock", "_current", "_guard", "_jobs", "_soon")

    def __init__(self, clock: Clock, soon: Callable[[Callable[[], None]], object], guard: Guard) -> None:
        self._clock = clock
        self._guard = guard
        self._soon = soon
        self._jobs: deque[Job[Any]] = deque()
        self._current: Job[Any] | None = None

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, job: Job[Any]) -> None:
        """Begin a job in the next turn."""
        self._jobs.append(job)
        if len(self._jobs) == 1 and self._current is None:
            self._soon(self._turn)

    def _fault(self, exc: Exception) -> None:
        # This turn ends; the jobs are still there.
        self._guard.caught(exc)
        self._current = None
        if self._jobs:
            self._soon(self._turn)

    @guarded(_fault)
    def _turn(self) -> None:
        until = self._clock.monotonic_s() + TURN_S
        while self._jobs:
            self._current = self._jobs.popleft()
            self._work(until)
            self._current = None
            if self._clock.monotonic_s() >= until:
                break
        if self._jobs:
            self._soon(self._turn)

    def _end(self, exc: Exception) -> None:
        job = self._current
        if job is not None:
            job.failed(exc)

    @guarded(_end)
    def _work(self, until: float) -> None:
        """Let the current job work until it is done, or its time is over: then it goes to the end of the queue."""
        job = self._current
        assert job is not None
        if not job.is_wanted():
            job.steps.close()
            return
        now = self._clock.monotonic_s
        try:
            while True:
                next(job.steps)
                if now() >= until:
                    break
        except StopIteration as end:
            job.done(end.value)
            return
        self._jobs.append(job)
