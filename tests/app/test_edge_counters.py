"""An edge takes its column over: slots of the one before are free, what it sent stays counted."""

import asyncio

import pytest

from switchgear.app import columns, edge_counters
from switchgear.app.layout import Layout
from switchgear.counters.backend import Full, Taken
from switchgear.counters.layout import Geometry
from switchgear.edge.counter_turns import CounterTurns
from switchgear.policies import limits
from switchgear.policies.buckets import Hold
from switchgear.policies.limits import Limit, Unit
from switchgear.testing.faults import LoudGuard

SMALL = Geometry(windows=32, slots=32, balances=32, holds=16)
SLOTS = limits.bucket_of(Limit(subject="key:k", unit=Unit.PARALLEL, amount=1))
RATE = limits.bucket_of(Limit(subject="key:k", unit=Unit.REQUESTS, amount=2, window="hour"))


@pytest.fixture
def layout(tmp_path):
    made = Layout(tmp_path)
    made.make(2)
    columns.prepare(made, 2, SMALL)
    return made


async def opened(layout, number):
    turns = CounterTurns(asyncio.get_running_loop(), LoudGuard())
    return await edge_counters.open_counters(layout, number, 2, turns)


def take(counters, name):
    counters.flush()
    return counters.take([Hold(SLOTS, 1), Hold(RATE, 1)], name, lambda answer: None)


def test_N1_a_successor_frees_the_slots_of_the_edge_before_it_and_keeps_what_it_counted(layout):
    async def body():
        first, other = await opened(layout, 0), await opened(layout, 1)
        assert isinstance(take(first, "a-1"), Taken)
        full = take(other, "b-1")
        assert isinstance(full, Full) and full.lacking == (0,)
        first.close()  # as a kill: its holds stay open
        assert isinstance(take(other, "b-2"), Full)
        again = await opened(layout, 0)
        assert not again.orphans
        assert isinstance(take(other, "b-3"), Taken)
        full = take(again, "a-2")
        assert full.lacking == (0, 1), "two requests were sent in this hour"

    asyncio.run(body())


def test_a_column_whose_owner_does_not_end_is_given_up(layout, monkeypatch):
    monkeypatch.setattr(edge_counters, "WAIT_S", 0.1)

    async def body():
        await opened(layout, 0)
        with pytest.raises(BlockingIOError):
            await opened(layout, 0)

    asyncio.run(body())
