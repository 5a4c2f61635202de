"""Keeps control's jobs running: a table of what is done how often. Level 5.

A turn that ends of something that nobody expected is told, shown in `status`, and taken again: no job takes control with it,
because whoever has to revoke a key must be heard whatever the ledger, the doctor or the metrics do.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from enum import Enum

import msgspec

from switchgear.core.clock import Clock
from switchgear.core.guard import guarded, place_of

PAUSE_S = 5.0
MORE_S = 0.01
SHOWN_S = 3_600.0
"""How long a fault is a problem in `status`."""


class Next(Enum):
    """What a turn may say of the next one, instead of None: after the job's period."""

    SOON = "soon"
    """There is more to do."""
    NEVER = "never"
    """The job is done."""


class Job(msgspec.Struct, frozen=True):
    """One row of the table."""

    name: str
    period_s: float
    turn: Callable[[], Awaitable[Next | None]]
    first_s: float = 0.0
    """How long the first turn waits."""


class _Running:
    """A job at work, and how its turns ended."""

    def __init__(self, job: Job, report: Callable[[str], None], clock: Clock) -> None:
        self._job = job
        self._report = report
        self._clock = clock
        self._is_done = False
        self._failed_s: float | None = None
        self._why = ""
        self._times = 0
        self.task: asyncio.Task[None] | None = None

    def _fault(self, exc: Exception) -> None:
        self._failed_s, self._why = self._clock.monotonic_s(), f"{type(exc).__name__} in {place_of(exc)}"
        self._times += 1
        self._report(f"the job {self._job.name!r} failed: {self._why}; it begins again in {PAUSE_S:g} s")

    def _again(self, exc: Exception) -> None:
        self._fault(exc)
        self.start()

    @guarded(_again)
    async def _run(self) -> None:
        await asyncio.sleep(self._job.first_s)
        while not self._is_done:
            pause_s = await self._turn()
            await asyncio.sleep(PAUSE_S + self._job.first_s if pause_s is None else pause_s)

    def start(self) -> None:
        """Begin to take turns, until the job is done."""
        self.task = asyncio.create_task(self._run())

    @guarded(_fault)
    async def _turn(self) -> float | None:
        """Return the pause after it; None when it failed."""
        following = await self._job.turn()
        self._is_done = following is Next.NEVER
        return self._job.period_s if following is None else MORE_S

    @property
    def problem(self) -> str | None:
        """What `status` says of it."""
        if self._failed_s is None or self._clock.monotonic_s() - self._failed_s > SHOWN_S:
            return None
        return f"the job {self._job.name!r} failed {self._times} times: {self._why}"


class Jobs:
    """All of them."""

    def __init__(self, report: Callable[[str], None], clock: Clock) -> None:
        self._report = report
        self._clock = clock
        self._running: list[_Running] = []

    def start(self, jobs: Iterable[Job]) -> None:
        """Begin the rows of a table."""
        for job in jobs:
            running = _Running(job, self._report, self._clock)
            self._running.append(running)
            running.start()

    async def stop(self) -> None:
        """Cancel all and wait for them."""
        tasks = [running.task for running in self._running if running.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def problems(self) -> list[str]:
        """What `status` says."""
        return [problem for running in self._running if (problem := running.problem) is not None]
