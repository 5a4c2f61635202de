"""Waiting ends early, and ends at all."""

import asyncio

import pytest

from switchgear.testing import patience


def test_until_returns_the_first_value_that_satisfies_the_condition():
    seen = iter(range(100))
    assert patience.until(lambda: next(seen), lambda n: n == 3) == 3


def test_until_returns_the_last_value_when_patience_ends():
    assert patience.until(lambda: 0, seconds=0.0) == 0


def test_a_condition_is_waited_for_while_the_loop_runs():
    async def main():
        happened = asyncio.Event()
        asyncio.get_running_loop().call_later(0.01, happened.set)
        await patience.until_it_is(happened.is_set)
        assert happened.is_set()

    asyncio.run(main())


def test_a_condition_that_never_holds_fails_when_patience_ends():
    with pytest.raises(AssertionError, match="did not happen"):
        asyncio.run(patience.until_it_is(lambda: False, seconds=0.01))


def test_ready_callbacks_run_while_rounds_pass():
    async def main():
        order = []
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: loop.call_soon(order.append, 1))
        await patience.let_pass(3)
        assert order == [1]

    asyncio.run(main())
