"""Keeps control's jobs running. Level 5.

A job that ends of something that nobody expected is told, shown in `status`, and begun again: no one of them takes control with it,
because whoever has to revoke a key must be heard whatever the ledger, the doctor or the metrics do.
"""

import asyncio
from collections.abc import Awaitable, Callable

from switchgear.core.clock import Clock
from switchgear.core.guard import guarded, place_of

PAUSE_S = 5.0
SHOWN_S = 3_600.0
"""How long a fault is a problem in `status`."""


class Job:
    """One of them."""

    def __init__(
        self, name: str, make: Callable[[], Awaitable[None]], report: Callable[[str], None], clock: Clock
    ) -> None:
        self.name = name
        self._make = make
        self._report = report
        self._clock = clock
        self._failed_s: float | None = None
        self._why = ""
        self._times = 0

    def _fault(self, exc: Exception) -> None:
        self._failed_s, self._why = self._clock.monotonic_s(), f"{type(exc).__name__} in {place_of(exc)}"
        self._times += 1
        self._report(f"the job {self.name!r} failed: {self._why}; it begins again in {PAUSE_S:g} s")

    @guarded(_fault)
    async def run(self) -> None:
        """Run it until it ends; returns also when it failed."""
        await self._make()

    @guarded(_fault)
    async def keep_running(self) -> None:
        """Run it, and again after a fault; a job that ends by itself is done."""
        times = -1
        while times != self._times:
            times = self._times
            await self.run()
            if times != self._times:
                await asyncio.sleep(PAUSE_S)

    @property
    def problem(self) -> str | None:
        """What `status` says of it."""
        if self._failed_s is None or self._clock.monotonic_s() - self._failed_s > SHOWN_S:
            return None
        return f"the job {self.name!r} failed {self._times} times: {self._why}"


class Jobs:
    """All of them."""

    def __init__(self, report: Callable[[str], None], clock: Clock) -> None:
        self._report = report
        self._clock = clock
        self._jobs: list[Job] = []
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, make: Callable[[], Awaitable[None]]) -> None:
        """Run a job. `make` begins it anew each time that it is called."""
        job = Job(name, make, self._report, self._clock)
        self._jobs.append(job)
        self._tasks.append(asyncio.create_task(job.keep_running()))

    async def stop(self) -> None:
        """Cancel all and wait for them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def problems(self) -> list[str]:
        """What `status` says."""
        return [problem for job in self._jobs if (problem := job.problem) is not None]
