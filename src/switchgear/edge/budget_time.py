"""Which period of a budget it is, by this edge's trusted time. Level 4 (policies/periods)."""

from collections.abc import Callable

from switchgear.core.clock import Clock
from switchgear.policies.budgets import Budget, Place
from switchgear.policies.periods import Periods, TrustedTime


class BudgetTime:
    """One per edge."""

    __slots__ = ("_clock", "_note", "_periods", "_told_ms", "_trusted")

    def __init__(
        self, clock: Clock, distance_ms: int | None = None, note: Callable[[int], None] = lambda distance_ms: None
    ) -> None:
        """`distance_ms`: what another process of this boot believed of the wall clock; `note` is told what this one believes."""
        self._clock = clock
        self._trusted = TrustedTime(distance_ms)
        self._periods = Periods()
        self._note = note
        self._told_ms: int | None = None

    def now(self) -> tuple[int, int]:
        """Return the time to go by in ms, and the same moment by the counters' clock in µs."""
        boot_us = self._clock.boot_us()
        now_ms = self._trusted.now_ms(self._clock.wall_ms(), boot_us)
        if self._trusted.distance_ms != self._told_ms and self._trusted.distance_ms is not None:
            self._told_ms = self._trusted.distance_ms
            self._note(self._told_ms)
        return now_ms, boot_us

    def place(self, budget: Budget, now_ms: int, boot_us: int) -> Place:
        """Return where something that is held now belongs."""
        calendar = budget.calendar
        period = self._periods.at(calendar, now_ms) if calendar is not None else None
        return Place(period=period, now_ms=now_ms, boot_us=boot_us)
