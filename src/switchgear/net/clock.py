"""The machine's clocks. Level 2."""

import time

BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""macOS has no CLOCK_BOOTTIME; its monotonic clock is the same in all processes, too."""


class SystemClock:
    """The machine's clocks."""

    def wall_ms(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def boot_us(self) -> int:
        """Microseconds since the boot."""
        return time.clock_gettime_ns(BOOTTIME) // 1_000

    # The C function itself: it is asked several times a request, and a frame of ours would cost more than the answer.
    monotonic_s = staticmethod(time.monotonic)
