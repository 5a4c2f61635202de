"""Spent budgets are looked at before a body is read or translated, and hold nothing."""

from tests.edge.test_budget_claims import answer, ask, balances, dialogue, headers

from switchgear.core.budget_rule import BudgetSpec, Route
from switchgear.testing.edge import chat


def test_a_key_whose_requests_are_spent_is_refused_before_its_body_is_read():
    talk = dialogue("1 requests/day")
    ask(talk)
    answer(talk)
    talk.client >> chat("m")
    assert talk.client.exchange.context.body == b""
    assert talk.client.exchange.context.request is None
    assert headers(talk.client.exchange.seen[0])["x-switchgear-error"] == "insufficient_quota"


def test_a_request_is_not_translated_for_money_that_is_spent():
    talk = dialogue("0.001/day")
    ask(talk)
    answer(talk, 1_000, 100)
    ask(talk)
    assert talk.client.exchange.context.translation is None
    assert ask(talk, "free") is None


def test_a_budget_that_leads_elsewhere_refuses_nothing_ahead():
    talk = dialogue(BudgetSpec(limit="0.001/day", on_spent=Route("cheap")))
    ask(talk)
    answer(talk, 1_000, 100)
    assert ask(talk) is None


def test_looking_holds_nothing():
    talk = dialogue("2 requests/day")
    for _ in range(2):
        ask(talk)
        answer(talk)
    ask(talk)
    assert balances(talk) == [(2, 0)]
