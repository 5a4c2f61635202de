"""A job that fails begins again and is named; the others do not notice."""

import asyncio

from switchgear.control import jobs as module
from switchgear.control.jobs import SHOWN_S, Jobs


def test_a_job_that_fails_is_told_and_begun_again(clock, monkeypatch):
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    told, runs, other = [], [], []

    async def failing():
        runs.append(1)
        if len(runs) < 3:
            raise ZeroDivisionError
        await asyncio.sleep(60)

    async def steady():
        while True:
            other.append(1)
            await asyncio.sleep(0)

    async def scenario():
        jobs = Jobs(told.append, clock)
        jobs.start("doctor", failing)
        jobs.start("ledger", steady)
        while len(runs) < 3:
            await asyncio.sleep(0)
        count = len(other)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(other) > count
        assert len(jobs.problems) == 1 and "'doctor' failed 2 times: ZeroDivisionError" in jobs.problems[0]
        clock.advance(SHOWN_S + 1)
        assert jobs.problems == []
        await jobs.stop()

    asyncio.run(scenario())
    assert len(told) == 2


def test_a_job_that_ends_is_done(clock):
    runs = []

    async def once():
        runs.append(1)

    async def scenario():
        jobs = Jobs(print, clock)
        jobs.start("configuration", once)
        for _ in range(20):
            await asyncio.sleep(0)
        await jobs.stop()

    asyncio.run(scenario())
    assert runs == [1]
