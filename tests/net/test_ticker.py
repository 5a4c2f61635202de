"""A ticker goes on whatever becomes of one time."""

import asyncio

from switchgear.core.guard import Guard
from switchgear.net.ticker import Ticker
from switchgear.testing.faults import Said
from switchgear.testing.patience import until_it_is


def run(work, is_enough, period_s=0.001):
    guard = Guard(Said())

    async def main():
        ticker = Ticker(period_s, work, guard)
        ticker.start()
        await until_it_is(is_enough)
        ticker.stop()

    asyncio.run(main())
    return guard


def test_the_work_is_done_at_once_and_then_each_period():
    times = []
    run(lambda: times.append(1), lambda: times, 3_600.0)
    assert len(times) == 1
    run(lambda: times.append(1), lambda: len(times) >= 4)


def test_a_fault_ends_one_time_only():
    times = []

    def odd():
        times.append(1)
        raise LookupError

    guard = run(odd, lambda: len(times) >= 3)
    assert guard.faults == len(times)


def test_a_stopped_ticker_does_nothing_more():
    times, later = [], []

    async def main():
        ticker = Ticker(0.001, lambda: times.append(1), Guard(Said()))
        ticker.start()
        ticker.stop()
        ticker.stop()
        other = Ticker(0.001, lambda: later.append(1), Guard(Said()))
        other.start()
        await until_it_is(lambda: len(later) >= 3)
        other.stop()

    asyncio.run(main())
    assert times == [1]
