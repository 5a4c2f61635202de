"""A clock that moves when told. Level 5."""


class FakeClock:
    """Both clocks in one; `advance` moves them together."""

    def __init__(self, wall_ms: int = 1_790_000_000_000) -> None:
        self._wall_ms = wall_ms
        self._monotonic_s = 1_000.0

    def wall_ms(self) -> int:
        """Milliseconds since the epoch."""
        return self._wall_ms

    def monotonic_s(self) -> float:
        """Seconds of the monotonic clock."""
        return self._monotonic_s

    def boot_us(self) -> int:
        """Microseconds of the same clock."""
        return int(self._monotonic_s * 1_000_000)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._wall_ms += int(seconds * 1000)
        self._monotonic_s += seconds
