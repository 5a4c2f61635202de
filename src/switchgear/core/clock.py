"""Time as an argument: every module that needs it takes a Clock, and a Loop where it is to be called back. Level 0."""

from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Three clocks: the wall clock for records, a monotonic one for durations, the boot's for what processes share."""

    def wall_ms(self) -> int:
        """Milliseconds since the Unix epoch, UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...

    def boot_us(self) -> int:
        """Microseconds since the machine's boot, sleep included; the same in all processes, and never goes back."""
        ...


class Loop(Protocol):
    """What calls back later. asyncio's loop is one; tests hand in one that they turn. What it calls is guarded (core.guard)."""

    def call_soon(self, callback: Callable[..., object], *args: object) -> object:
        """Call back in the next turn."""
        ...

    def call_later(self, delay: float, callback: Callable[..., object], *args: object) -> object:
        """Call back after so many seconds."""
        ...
