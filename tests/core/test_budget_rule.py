"""What people write of budgets, and what becomes of it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.core import budget_rule, limit_rule
from switchgear.core.budget_rule import BudgetRule, BudgetSpec, Route

USD = 1_000_000_000
GOOD = {
    "50/month": BudgetRule(amount=50 * USD, period="month"),
    " 50 / month ": BudgetRule(amount=50 * USD, period="month"),
    "0.01/day": BudgetRule(amount=10_000_000, period="day"),
    "$50/month": BudgetRule(amount=50 * USD, period="month"),
    "50 USD per month": BudgetRule(amount=50 * USD, period="month"),
    "50 dollars/year": BudgetRule(amount=50 * USD, period="year"),
    "1_000/quarter": BudgetRule(amount=1_000 * USD, period="quarter"),
    "5/hour": BudgetRule(amount=5 * USD, period="hour"),
    "500000 tokens/day": BudgetRule(amount=500_000, unit="total", period="day"),
    "1 token/day": BudgetRule(amount=1, unit="total", period="day"),
    "500000 Output tokens per week": BudgetRule(amount=500_000, unit="output", period="week"),
    "7 input tokens/week": BudgetRule(amount=7, unit="input", period="week"),
    "1000 requests/week": BudgetRule(amount=1_000, unit="requests", period="week"),
    "100 total": BudgetRule(amount=100 * USD, period="total"),
    "100/total": BudgetRule(amount=100 * USD, period="total"),
    "1000 requests total": BudgetRule(amount=1_000, unit="requests", period="total"),
    "10/day per end_user": BudgetRule(amount=10 * USD, period="day", per="end_user"),
    "10 total per user": BudgetRule(amount=10 * USD, period="total", per="user"),
    "10/day per tag:app": BudgetRule(amount=10 * USD, period="day", per="tag:app"),
    "50/30d rolling": BudgetRule(amount=50 * USD, period="rolling", rolling_s=30 * 86_400),
    "50/rolling 12 hours": BudgetRule(amount=50 * USD, period="rolling", rolling_s=12 * 3_600),
    "50/day rolling": BudgetRule(amount=50 * USD, period="rolling", rolling_s=86_400),
}
BAD = {
    "": "is no budget",
    "x": "is no budget",
    "50": "has no period: write 50/month",
    "50 tokens": "has no period: write 50 tokens/month",
    "0/month": "above 0; `switchgear freeze`",
    "-5/month": "above 0",
    "0.0000000001/month": "9 decimal places",
    "1000000001/month": "at most 1000000000",
    "1.5 requests/day": "write a whole one",
    "9999999999999999 tokens/day": "at most",
    "50 EUR/month": "budgets are in USD",
    "€50/month": "budgets are in USD",
    "50€/month": "budgets are in USD",
    "$50 EUR/month": "budgets are in USD",
    "50 apples/month": "is no unit",
    "50 tokns/month": "did you mean 'tokens'?",
    "50/fortnight": "'fortnight' is no period",
    "50/mont": "did you mean 'month'?",
    "50/30d": "'50/30d rolling'",
    "50/month rolling": "'50/30d rolling'",
    "50/500d rolling": "400d",
    "50/day per country": "no dimension",
    "50/day per end_usr": "did you mean 'end_user'?",
    "50/day per user per model": "no dimension",
}
BAD_MAPPINGS = {
    "soft": (BudgetSpec(limit="5/day", soft="eighty"), "write a percentage"),
    "soft 0": (BudgetSpec(limit="5/day", soft=["0%"]), "between 1% and 1000%"),
    "limit": (BudgetSpec(limit="5/dy"), "did you mean 'day'?"),
    "per": (BudgetSpec(limit="5/day per user", per="model"), "say it once"),
    "never spent": (BudgetSpec(limit="5/day", hard=False, on_spent=Route("cheap")), "remove one of them"),
    "no models": (BudgetSpec(limit="5/day", models=[]), "leave it out to count all"),
    "weekday": (BudgetSpec(limit="5/week", weekday="funday"), "no weekday"),
    "weekday of a day": (BudgetSpec(limit="5/day", weekday="monday"), "`weekday` says nothing of a budget per day"),
    "day of a week": (BudgetSpec(limit="5/week", day=2), "`day` says nothing"),
    "day": (BudgetSpec(limit="5/month", day=32), "1 to 31"),
    "hour": (BudgetSpec(limit="5/month", hour=24), "0 to 23"),
    "hour of a total": (BudgetSpec(limit="5 total", hour=1), "`hour` says nothing"),
    "zone": (BudgetSpec(limit="5/day", timezone="Europe/Berln"), "did you mean 'Europe/Berlin'?"),
    "name": (BudgetSpec(limit="5/day", name="a/b"), "is no name"),
}


@pytest.mark.parametrize("text", GOOD)
def test_a_written_budget_is_read(text):
    assert budget_rule.parse(text) == GOOD[text]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_budget_is_refused_with_its_reason(text):
    wrong = budget_rule.parse(text)
    assert isinstance(wrong, str)
    assert BAD[text] in wrong


@pytest.mark.parametrize("name", BAD_MAPPINGS)
def test_a_mapping_that_contradicts_itself_is_refused_with_its_reason(name):
    spec, why = BAD_MAPPINGS[name]
    wrong = budget_rule.parse(spec)
    assert isinstance(wrong, str)
    assert why in wrong


def test_a_mapping_says_what_happens_at_the_end():
    spec = BudgetSpec(
        limit="500/week",
        name="main",
        soft=["80%", "50 %"],
        on_spent=Route("cheap"),
        models=["@premium"],
        per="user",
        timezone="Europe/Berlin",
        weekday="Sunday",
        hour=6,
    )
    assert budget_rule.parse(spec) == BudgetRule(
        amount=500 * USD,
        period="week",
        name="main",
        soft=(50, 80),
        on_spent="cheap",
        models=("@premium",),
        per="user",
        timezone="Europe/Berlin",
        weekday=6,
        hour=6,
    )


@given(
    st.builds(
        BudgetRule,
        amount=st.integers(1, budget_rule.COUNT_MAX),
        unit=st.sampled_from(["nanousd", "requests", "input", "output", "total"]),
        period=st.sampled_from(["month", "quarter", "year"]),
        name=st.none() | st.just("main"),
        soft=st.lists(st.integers(1, 100), max_size=3, unique=True).map(lambda found: tuple(sorted(found))),
        is_hard=st.booleans(),
        per=st.sampled_from([None, *limit_rule.DIMENSIONS, "tag:app"]),
        models=st.sampled_from([(), ("@premium", "gpt-*")]),
        timezone=st.none() | st.just("UTC"),
        day=st.integers(1, 31),
        hour=st.integers(0, 23),
    )
)
def test_a_rule_is_read_as_it_is_written(rule):
    assert budget_rule.parse(budget_rule.write(rule)) == rule


@pytest.mark.parametrize("text", GOOD)
def test_a_written_budget_survives_being_written_again(text):
    again = budget_rule.write(GOOD[text])
    assert isinstance(again, str)
    assert budget_rule.parse(again) == GOOD[text]


def test_two_budgets_with_one_balance_are_refused_by_both_paths():
    written = ["5/day", BudgetSpec(limit="9/day", models=["@premium"]), "5 tokens/day"]
    assert [(path, "`budget[0]`" in message) for path, message in budget_rule.check({"budget": written})] == [
        ("budget[1]", True)
    ]
    named = ["5/day", BudgetSpec(limit="9/day", models=["@premium"], name="premium")]
    assert not list(budget_rule.check({"budget": named}))


def test_a_budget_that_cannot_be_read_lets_nothing_through():
    class Holder(msgspec.Struct):
        budget: list[str]

    assert budget_rule.rules_of(Holder(["7 per lightyear"])) == (budget_rule.NOTHING,)


def test_models_and_routes_are_named_with_their_paths():
    spec = BudgetSpec(limit="5/day", models=["@premium", "x"], on_spent=Route("cheap"))
    assert list(budget_rule.models_named(["5/week", spec])) == [
        ("budget[1].models[0]", "@premium"),
        ("budget[1].models[1]", "x"),
        ("budget[1].on_spent.route", "cheap"),
    ]


def test_a_budget_of_tokens_is_called_as_people_write_it():
    labels = {
        "5/day": "day",
        "9 tokens/day": "tokens/day",
        "9 output tokens/week": "output tokens/week",
        "9 requests/month": "requests/month",
    }
    assert {text: budget_rule.parse(text).label for text in labels} == labels


def test_a_threshold_that_is_never_reached_is_refused():
    assert "never reached" in budget_rule.parse(BudgetSpec(limit="5/day", soft="800%"))
    for more in ({"hard": False}, {"on_spent": Route("cheap")}):
        assert budget_rule.parse(BudgetSpec(limit="5/day", soft="800%", **more)).soft == (800,)
