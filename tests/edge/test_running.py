"""The requests that are sent and not settled."""

import pytest

from switchgear.core import problems
from switchgear.core.problems import Problem
from switchgear.testing.edge import Asked, Dialogue, Sent, chat


@pytest.fixture
def talk():
    talk = Dialogue()
    talk.client >> chat("up/m")
    talk.vault << Asked()
    return talk


def test_a_request_is_kept_until_it_is_settled(talk):
    assert len(talk.services.running) == 1 and talk.client.exchange.is_kept
    talk.services.running.interrupt("stop")
    assert len(talk.services.running) == 0 and not talk.client.exchange.is_kept


def test_one_that_fails_when_it_is_checked_ends_alone(talk, monkeypatch):
    first = talk.client.exchange
    monkeypatch.setattr(
        type(first.context.transfer), "check", lambda self, now_s: 1 / 0 if self.context is first.context else None
    )
    talk.client >> chat("up/m")
    talk.services.running.check()
    talk.loop.run()
    assert first.is_ended and not talk.client.exchange.is_ended
    assert len(talk.services.running) == 1 and talk.guard.faults == 1


def test_those_that_are_cut_are_told_why(talk):
    talk.services.running.cut(lambda context: Problem(problems.FROZEN, "frozen"))
    talk.loop.run()
    talk.client << Sent(403)


def test_those_that_stand_are_left_alone(talk):
    talk.services.running.cut(lambda context: None)
    talk.services.running.check()
    assert not talk.client.exchange.is_ended
