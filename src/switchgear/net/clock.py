"""The machine's clocks. Level 2."""

import time


class SystemClock:
    """The machine's clocks."""

    def wall_ms(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    # The C function itself: it is asked several times a request, and a frame of ours would cost more than the answer.
    monotonic_s = staticmethod(time.monotonic)
