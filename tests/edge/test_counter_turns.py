"""Counters are flushed once a turn, and again after a fault."""

from switchgear.edge.counter_turns import CounterTurns
from switchgear.testing.clock import FakeClock
from switchgear.testing.edge import FakeLoop
from switchgear.testing.faults import LoudGuard


class Counters:
    def __init__(self):
        self.flushes = 0
        self.raises = 0

    def flush(self):
        self.flushes += 1
        if self.raises:
            self.raises -= 1
            raise RuntimeError("odd")


def turns():
    clock = FakeClock()
    loop = FakeLoop(clock)
    made = CounterTurns(loop, LoudGuard())
    made.counters = Counters()
    return made, clock, loop


def test_many_wakes_of_one_turn_are_one_flush():
    made, _, loop = turns()
    for _ in range(5):
        made.wake(0)
    loop.run()
    assert made.counters.flushes == 1
    made.wake(0)
    loop.run()
    assert made.counters.flushes == 2


def test_a_later_wake_comes_later():
    made, clock, loop = turns()
    made.wake(0.5)
    loop.run()
    assert made.counters.flushes == 0
    clock.advance(0.5)
    loop.run()
    assert made.counters.flushes == 1


def test_a_fault_is_told_and_the_rest_is_flushed_soon():
    clock = FakeClock()
    loop = FakeLoop(clock)
    guard = LoudGuard()
    guard.expected = True
    told = []
    guard.caught = lambda exc, *_: told.append(exc)
    made = CounterTurns(loop, guard)
    made.counters = Counters()
    made.counters.raises = 1
    made.wake(0)
    loop.run()
    assert len(told) == 1
    clock.advance(1)
    loop.run()
    assert made.counters.flushes == 2
