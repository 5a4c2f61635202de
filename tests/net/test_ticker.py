"""A ticker goes on whatever becomes of one time."""

import asyncio

from switchgear.core.guard import Guard
from switchgear.net.ticker import Ticker
from switchgear.testing.faults import Said


def run(work, period_s=0.01, wait_s=0.1):
    guard = Guard(Said())

    async def main():
        ticker = Ticker(period_s, work, guard)
        ticker.start()
        await asyncio.sleep(wait_s)
        ticker.stop()
        return ticker

    asyncio.run(main())
    return guard


def test_the_work_is_done_at_once_and_then_each_period():
    times = []
    run(lambda: times.append(1), 10.0, 0.01)
    assert len(times) == 1
    run(lambda: times.append(1))
    assert len(times) >= 3


def test_a_fault_ends_one_time_only():
    times = []

    def odd():
        times.append(1)
        raise LookupError

    guard = run(odd)
    assert len(times) >= 2 and guard.faults == len(times)


def test_a_stopped_ticker_does_nothing_more():
    times = []

    async def main():
        ticker = Ticker(0.01, lambda: times.append(1), Guard(Said()))
        ticker.start()
        ticker.stop()
        ticker.stop()
        await asyncio.sleep(0.05)

    asyncio.run(main())
    assert times == [1]
