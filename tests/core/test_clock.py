"""The clock protocol holds for the real clock and the fake one."""

from switchgear.net.clock import SystemClock
from switchgear.testing.clock import FakeClock


def test_both_clocks_tell_both_times():
    for clock in (SystemClock(), FakeClock()):
        assert isinstance(clock.wall_ms(), int)
        assert clock.monotonic_s() <= clock.monotonic_s()
