"""The fakes of an edge: a dialogue says what it expected."""

import pytest

from switchgear.testing.edge import NOTHING, Asked, Dialogue, FakeLoop, Sent, chat


def test_a_loop_calls_in_the_order_of_time_and_of_asking(clock):
    loop, called = FakeLoop(clock), []
    loop.call_later(2, called.append, "late")
    loop.call_soon(called.append, "first")
    loop.call_soon(loop.call_soon, called.append, "second")
    loop.run()
    assert called == ["first", "second"]
    clock.advance(2)
    loop.run()
    assert called == ["first", "second", "late"]


def test_a_dialogue_that_goes_otherwise_fails():
    talk = Dialogue()
    with pytest.raises(AssertionError, match="was asked nothing"):
        talk.vault << Asked()
    talk.client >> chat("up/m")
    with pytest.raises(AssertionError, match="got nothing"):
        talk.client << Sent(200)
    with pytest.raises(AssertionError, match="expected"):
        talk.vault << Asked("other/default")


def test_a_dialogue_that_ends_early_fails():
    talk = Dialogue()
    talk.client >> chat("none/m")
    with pytest.raises(AssertionError, match="the client got"):
        talk.client << NOTHING
