"""`switchgear budget`: what people read, and what a raise and a reset answer."""

import csv
import io
import json

import pytest
from click.testing import CliRunner

from switchgear.cli import key_fields
from switchgear.cli.budget import amount, budget
from switchgear.cli.client import Client
from switchgear.core.errors import UserError

STATE = {
    "subject": "key:ci", "label": "day", "budget": "5/day", "per": None, "value": None, "models": None,
    "unit": "nanousd", "limit": 7_500_000_000, "raised": 2_500_000_000, "settled": 6_000_000_000, "held": 10_000_000,
    "uncertain": 0, "remaining": 1_490_000_000, "percent": 80, "state": "ok", "hard": True, "soft": [80],
    "on_spent": "cheap", "period": "day", "starts_ms": 1_795_647_600_000, "resets_ms": 1_795_734_000_000,
    "timezone": "Europe/Berlin",
}  # fmt: skip
CHANGE = {
    "kind": "raise", "label": "day", "value": None, "unit": "nanousd", "period": 1, "until_ms": None,
    "amount": 2_500_000_000, "time_ms": 1_795_700_000_000, "actor": "ann", "reason": "load test",
}  # fmt: skip


@pytest.fixture
def asked(monkeypatch):
    calls = []

    def call(_self, method, path, body=None, **_query):
        calls.append((method, path, body))
        return {"budgets": [STATE], "changes": [CHANGE]}

    monkeypatch.setattr(Client, "call", call)
    return calls


def run(*arguments):
    done = CliRunner().invoke(budget, arguments)
    assert done.exit_code == 0, done.exception or done.output
    return done.output


def test_a_list_shows_what_is_spent_and_left_in_the_budgets_own_zone(asked):
    text = run("list", "-o", "wide")
    assert "5/day + 2.50 USD" in text and "6.00 USD" in text and "1.49 USD" in text
    assert "2026-11-27 00:00:00 +01:00" in text


def test_what_is_shown_says_who_raised_it_and_why(asked):
    text = run("show", "key:ci")
    assert "spent             6.00 USD (80 %)" in text
    assert "held              0.01 USD" in text
    assert "then              requests go to cheap" in text
    assert "raise 2.50 USD by ann: load test" in text
    assert asked == [("GET", "/budgets/key%3Aci", None)]


def test_machines_get_the_answer_as_it_is_and_tables_money_in_usd(asked):
    assert json.loads(run("show", "ci", "-o", "json"))["budgets"] == [STATE]
    (row,) = csv.DictReader(io.StringIO(run("list", "-o", "csv", "--tz", "UTC")))
    assert (row["unit"], row["limit"], row["settled"]) == ("usd", "7.500000000", "6.000000000")
    assert (row["starts"], row["resets"]) == ("2026-11-25T23:00:00+00:00", "2026-11-26T23:00:00+00:00")


def test_a_narrow_table_drops_columns_and_cuts_no_amount(asked, monkeypatch):
    monkeypatch.setitem(STATE, "subject", "key:a-rather-long-name-of-a-key")
    monkeypatch.setenv("COLUMNS", "80")
    head, row = run("list").splitlines()
    assert "5/day + 2.50 USD" in row and "6.00 USD" in row and "1.49 USD" in row and "…" not in row
    assert "RESETS" not in head and "HELD" not in head and len(row) <= 80


def test_budgets_of_one_holder_are_told_apart_by_name_and_by_what_they_count(asked, monkeypatch):
    monkeypatch.setitem(STATE, "label", "premium")
    monkeypatch.setitem(STATE, "models", ["@premium"])
    wide = run("list", "-o", "wide")
    assert "premium" in wide and "@premium" in wide
    assert "name              premium" in run("show", "key:ci")


def test_a_raise_and_a_reset_carry_their_reason(asked):
    assert "until 2026-11-27 00:00:00 +01:00" in run(
        "raise", "key:ci", "2.5", "--reason", "load test", "--budget", "day"
    )
    run("reset", "key:ci", "--reason", "x", "--yes", "--value", "ann")
    assert asked == [
        ("POST", "/budgets/key%3Aci/raise", {"amount": "2.5", "reason": "load test", "budget": "day", "value": None}),
        ("POST", "/budgets/key%3Aci/reset", {"reason": "x", "budget": None, "value": "ann"}),
    ]


def test_a_reset_asks_first_and_a_change_needs_a_reason(asked):
    assert "give --yes" in CliRunner().invoke(budget, ["reset", "key:ci", "--reason", "x"]).exception.hint
    assert "--reason" in CliRunner().invoke(budget, ["raise", "key:ci", "5"]).output
    assert asked == []


def test_amounts_have_their_unit():
    assert [amount(5, "total"), amount(10**9, "nanousd"), amount(None, "requests")] == ["5 tokens", "1.00 USD", None]


def test_a_budget_is_given_shown_raised_and_reset_by_the_real_api(served):
    assert served.run("key", "create", "ci", "--budget", "5/day", "--budget", "9 requests/week").exit_code == 0
    assert "5/day" in served.run("key", "show", "ci").output
    wrong = served.run("key", "update", "ci", "--budget", "50 EUR/month").exception
    assert "budgets are in USD" in str(wrong)
    raised = served.run("budget", "raise", "ci", "2", "--budget", "day", "--reason", "load test")
    assert "raised: key:ci 5/day + 2.00 USD" in raised.output
    assert "9 requests/week" in served.run("budget", "show", "key:ci").output
    assert served.run("budget", "reset", "ci", "--budget", "day", "--reason", "x", "--yes").exit_code == 0
    assert "there is no key 'cj'; did you mean 'key:ci'?" in str(served.run("budget", "show", "key:cj").exception)
    assert "there is no team 'nlp'" in str(served.run("budget", "show", "team:nlp").exception)
    served.run("key", "create", "free")
    assert str(served.run("budget", "show", "key:free").exception) == "'key:free' has no budget"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{limit: 5/day, softt: 80%}", "the key 'softt' is not known; did you mean 'soft'?"),
        ("{limit:5/day}", "limit:5/day needs a blank behind its colon"),
        ("{soft: 80%}", "the key 'limit' is missing"),
    ],
)
def test_a_budget_that_is_written_wrong_is_refused_before_anybody_is_asked(written, said):
    with pytest.raises(UserError) as refused:
        key_fields.given({**dict.fromkeys(key_fields.KEY_FIELDS), "budget": (written,)}, None)
    assert said in str(refused.value) and refused.value.exit_code == 2
