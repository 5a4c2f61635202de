"""Time as an argument: every module that needs it takes a Clock. Level 0."""

from typing import Protocol


class Clock(Protocol):
    """Two clocks: the wall clock for records, a monotonic one for durations."""

    def wall_ms(self) -> int:
        """Milliseconds since the Unix epoch, UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...
