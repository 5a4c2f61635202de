"""The machine's clocks."""

import time

from switchgear.net.clock import SystemClock


def test_the_system_clock_tells_the_present_time():
    assert abs(SystemClock().wall_ms() - time.time() * 1000) < 2000
