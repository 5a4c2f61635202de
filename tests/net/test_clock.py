"""The machine's clocks."""

import time

from switchgear.net.clock import SystemClock


def test_it_is_now():
    assert abs(SystemClock().wall_ms() - time.time() * 1000) < 2000
