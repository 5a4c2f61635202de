"""A job that fails begins again and is named; the others do not notice."""

import asyncio

import pytest
from tests import doors

from switchgear.control import jobs as module
from switchgear.control.jobs import SHOWN_S, Job, Jobs, Next


def run(jobs, clock, told, until):
    """Run jobs until a condition holds; returns the problems then."""

    async def scenario():
        running = Jobs(told.append, clock)
        running.start(jobs)
        async with asyncio.timeout(30):
            while not until():
                await asyncio.sleep(0)
        problems = running.problems
        clock.advance(SHOWN_S + 1)
        assert running.problems == [], "a fault is a problem for an hour"
        await running.stop()
        return problems

    return asyncio.run(scenario())


def test_a_turn_that_fails_is_told_and_taken_again_and_the_other_jobs_go_on(clock, monkeypatch):
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    told, turns, other = [], [], []

    async def failing():
        turns.append(len(other))
        if len(turns) < 3:
            raise ZeroDivisionError

    async def steady():
        other.append(1)

    problems = run([Job("doctor", 0, failing), Job("ledger", 0, steady)], clock, told, lambda: len(turns) > 4)
    assert len(problems) == 1 and "'doctor' failed 2 times: ZeroDivisionError" in problems[0]
    assert len(told) == 2 and len(other) > 2


def test_a_job_that_is_done_takes_no_further_turn(clock):
    turns, other = [], []

    async def once():
        turns.append(1)
        return Next.NEVER

    async def steady():
        other.append(1)

    assert run([Job("begin", 0, once), Job("ledger", 0, steady)], clock, [], lambda: len(other) > 20) == []
    assert turns == [1]


def test_a_fault_outside_of_a_turn_begins_the_job_again(clock):
    told, turns, thrown = [], [], []

    async def steady():
        turns.append(1)

    def odd(*_):
        if not thrown:
            thrown.append(1)
            raise LookupError

    rig = doors.Rig(("switchgear.control.jobs", "_Running._run"), before=odd)
    try:
        problems = run([Job("ledger", 0, steady)], clock, told, lambda: len(turns) > 2)
    finally:
        rig.undo()
    assert thrown and len(problems) == 1 and "'ledger' failed 1 times: LookupError" in problems[0]


@pytest.mark.parametrize(("first_s", "period_s", "says"), [(0, 60, Next.SOON), (0, 0, None)])
def test_a_job_goes_on_at_once_when_there_is_more_else_after_its_period(clock, first_s, period_s, says):
    turns = []

    async def turn():
        turns.append(1)
        return says

    run([Job("ledger", period_s, turn, first_s)], clock, [], lambda: len(turns) > 2)


def test_a_job_whose_first_turn_waits_does_nothing_yet(clock):
    turns, other = [], []

    async def turn():
        turns.append(1)

    async def steady():
        other.append(1)

    run([Job("doctor", 0, turn, 60), Job("ledger", 0, steady)], clock, [], lambda: len(other) > 5)
    assert turns == []
