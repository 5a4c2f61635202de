"""What a key is told of its budgets, and what a dry run says of them."""

import json

from tests.edge.test_budget_claims import answer, ask, balances, dialogue

from switchgear.testing.edge import Ask, chat

DRY = {b"x-switchgear-dry-run": b"true"}


def told(talk, sent):
    talk.client >> sent
    talk.advance(0.01)
    (got,) = talk.client.exchange.seen
    return json.loads(got.body)


def test_a_key_sees_what_is_settled_held_and_left_and_when_it_begins_anew():
    talk = dialogue(["0.001/day", "5 requests/month per end_user"])
    ask(talk)
    answer(talk, 100, 50)
    ask(talk, max_tokens=100)
    held = balances(talk)[0][1]
    day, month = told(talk, Ask(path=b"/v1/key", method=b"GET", body=b""))["budgets"]
    assert (day["of"], day["rule"], day["unit"]) == ("key", "0.001/day", "nanousd")
    assert (day["limit"], day["settled"], day["held"]) == (1_000_000, 200_000, held)
    assert day["remaining"] == 1_000_000 - 200_000 - held
    assert day["resets_ms"] % 86_400_000 == 0
    assert (month["rule"], month["settled"]) == ("5 requests/month per end_user", None)


def test_a_key_without_budgets_is_told_none():
    talk = dialogue()
    assert told(talk, Ask(path=b"/v1/key", method=b"GET", body=b""))["budgets"] == []


def test_a_dry_run_says_what_would_be_held_and_holds_nothing():
    talk = dialogue("0.001/day")
    found = told(talk, chat("m", DRY, max_tokens=100))
    (row,) = found["budgets"]
    assert row["would_hold"] > 200_000
    assert (found["refused_by_budget"], balances(talk)) == (None, [])


def test_a_dry_run_names_the_budget_that_would_refuse():
    talk = dialogue("0.001/day")
    ask(talk)
    answer(talk, 700, 100)
    found = told(talk, chat("m", DRY, max_tokens=100))
    assert found["refused_by_budget"].startswith("Budget has been exceeded: this API key, 0.0009 of 0.001 USD per day")
