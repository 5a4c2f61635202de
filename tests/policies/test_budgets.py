"""Budgets: bounds of a request's cost, balances, thresholds."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.core import budget_rule
from switchgear.core.budget_rule import BudgetSpec
from switchgear.policies import budgets
from switchgear.policies.buckets import Kind, Reading
from switchgear.policies.budgets import Bound, Budget, Place, Rates, Reach, Spends
from switchgear.policies.periods import Calendar, Period

USD = 10**9
DAY_MS = 86_400_000
MONTH = Calendar(kind="month")
PRICES = Rates(input_per_mtok=3 * USD, output_per_mtok=15 * USD)
"""3 and 15 USD per million tokens."""


def budget(**changed):
    return Budget(**{"subject": "team:research", "limit": 10 * USD, "calendar": MONTH} | changed)


def reach(**changed):
    return Reach(
        **{"body_bytes": 200_000, "context_window": 1_000_000, "output_max": 64_000, "output_asked": 32_000} | changed
    )


def place(number=3, now_ms=DAY_MS // 2):
    return Place(period=Period(number, 0, DAY_MS), now_ms=now_ms, boot_us=50)


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"limit": 0}, "is no budget"),
        ({"limit": -5}, "is no budget"),
        ({"limit": 10**18 + 1}, "is no budget"),
        ({"rolling_s": 3600}, "either a period"),
        ({"calendar": None}, "either a period"),
        ({"calendar": None, "rolling_s": 59}, "rolling window"),
        ({"calendar": Calendar(kind="fortnight")}, "is no period"),
        ({"calendar": Calendar(kind="day", hour=24)}, "hour 24"),
        ({"calendar": Calendar(kind="week", weekday=7)}, "weekday 7"),
        ({"calendar": Calendar(kind="month", day=0)}, "day 0"),
        ({"calendar": Calendar(kind="day", timezone="Mars/Base")}, "is no time zone"),
        ({"soft": (80, 0)}, "is no threshold"),
    ],
)
def test_a_budget_that_is_wrong_is_named(changed, part):
    assert part in "; ".join(budgets.check(budget(**changed)))


@pytest.mark.parametrize("changed", [{}, {"calendar": None, "rolling_s": 30 * 86_400}, {"soft": (50, 80, 120)}])
def test_a_budget_that_is_right_has_no_complaint(changed):
    assert list(budgets.check(budget(**changed))) == []


@pytest.mark.parametrize("changed", [{"limit": 5}, {"soft": (80,)}, {"on_spent": "cheap"}, {"is_hard": False}])
def test_an_edited_budget_keeps_its_balance(changed):
    assert budgets.identity(budget(**changed)) == budgets.identity(budget())
    assert budgets.bucket_of(budget(**changed), place()).key == budgets.bucket_of(budget(), place()).key


def test_budgets_of_other_subjects_periods_units_and_names_have_balances_of_their_own():
    others = [
        budget(),
        budget(subject="team:a"),
        budget(calendar=Calendar(kind="day")),
        budget(calendar=None, rolling_s=60),
        budget(unit=Spends.TOTAL),
        budget(name="month"),
        budget(name="x"),
    ]
    assert len({budgets.identity(other) for other in others}) == len(others)


def test_each_period_and_each_value_has_a_balance_of_its_own():
    per = budget(per="user")
    keys = {budgets.bucket_of(per, place(number), value).key for number in (3, 4) for value in ("a", "b")}
    assert len(keys) == 4
    assert budgets.bucket_of(per, place(), "a", "k").overflow == budgets.bucket_of(per, place(), "b", "k").overflow


def test_a_balance_stays_until_its_period_is_over_twice_and_a_total_for_ever():
    assert budgets.bucket_of(budget(), place()).keep_until_us == 50 + DAY_MS * 1_500
    total = Place(period=Period(0, 0, None), now_ms=0, boot_us=0)
    assert budgets.bucket_of(budget(), total).keep_until_us is None


def test_a_rolling_budget_is_counted_in_a_window():
    bucket = budgets.bucket_of(budget(calendar=None, rolling_s=3_600), Place(period=None, now_ms=0, boot_us=0))
    assert (bucket.kind, bucket.window_us, bucket.is_budget) == (Kind.WINDOW, 3_600_000_000, True)


def test_the_route_of_a_spent_budget_is_counted_and_not_stopped():
    routed = budget(on_spent="cheap")
    assert budgets.bucket_of(routed, place()).is_hard
    assert not budgets.bucket_of(routed, place(), is_route_taken=True).is_hard
    assert not budgets.bucket_of(budget(is_hard=False), place()).is_hard


@pytest.mark.parametrize(
    ("changed", "remaining", "expected"),
    [
        # 200 KB are at most 200,000 tokens: 0.60 USD in, 32,000 tokens out are 0.48 USD
        ({}, None, (200_000, 32_000, 1_080_000_000, None)),
        ({"context_window": 128_000}, None, (128_000, 32_000, 864_000_000, None)),
        ({"has_references": True}, None, (1_000_000, 32_000, 3_480_000_000, None)),
        ({"context_window": None}, None, (200_000, 32_000, 1_080_000_000, None)),
        ({"context_window": None, "has_references": True}, None, None),
        ({"output_asked": 90_000}, None, (200_000, 64_000, 1_560_000_000, None)),
        ({"choices": 2}, None, (200_000, 64_000, 1_560_000_000, None)),
        # nothing asked: what still fits 0.90 USD after 0.60 USD of input is 20,000 tokens
        ({"output_asked": None}, 900_000_000, (200_000, 20_000, 900_000_000, 20_000)),
        ({"output_asked": None, "choices": 2}, 900_000_000, (200_000, 20_000, 900_000_000, 10_000)),
        ({"output_asked": None}, 100 * USD, (200_000, 64_000, 1_560_000_000, 64_000)),
        ({"output_asked": None}, 1, (200_000, 1_024, 615_360_000, 1_024)),
        ({"output_asked": None, "output_max": 512}, 1, (200_000, 512, 607_680_000, 512)),
        ({"output_asked": None}, None, (200_000, 64_000, 1_560_000_000, 64_000)),
        ({"output_asked": None, "output_max": None}, None, None),
    ],
)
def test_a_request_holds_the_smallest_bound_that_can_be_proven(changed, remaining, expected):
    found = budgets.bound(reach(**changed), PRICES, remaining)
    assert (found and msgspec.structs.astuple(found)) == expected


def test_what_costs_money_besides_tokens_is_in_the_bound():
    rates = msgspec.structs.replace(PRICES, fixed=8 * 10_000_000)
    assert budgets.bound(reach(), rates, None).cost_nanousd == 1_160_000_000


def test_a_fraction_of_a_nano_usd_is_rounded_up():
    rates = Rates(input_per_mtok=1, output_per_mtok=1)
    assert budgets.bound(reach(body_bytes=1, output_asked=1), rates, None) == Bound(
        input=1, output=1, cost_nanousd=1, write_output=None
    )


@given(
    st.integers(0, 10**6),
    st.integers(1, 10**6),
    st.integers(0, 10**11),
    st.integers(1, 10**11),
    st.integers(0, 10**11),
    st.integers(1, 4),
)
def test_a_length_that_is_written_in_fits_or_is_the_least(body, most, price_in, price_out, remaining, choices):
    asked = reach(body_bytes=body, output_asked=None, output_max=most, choices=choices)
    found = budgets.bound(asked, Rates(input_per_mtok=price_in, output_per_mtok=price_out), remaining)
    assert 1 <= found.write_output <= most
    assert found.cost_nanousd <= remaining or found.write_output == min(1_024, most)


@pytest.mark.parametrize(
    ("settled", "held", "is_spent", "is_overrun"),
    [(9, 9, False, False), (10, 0, True, False), (11, 0, True, True), (0, 20, False, False)],
)
def test_only_what_is_settled_makes_a_budget_spent(settled, held, is_spent, is_overrun):
    reading = Reading(settled=settled, held=held, limit=10)
    assert (budgets.is_spent(reading), budgets.is_overrun(reading)) == (is_spent, is_overrun)


@pytest.mark.parametrize(
    ("before", "after", "passed"),
    [(0, 49, ()), (0, 50, (50,)), (50, 60, ()), (49, 120, (50, 80, 100)), (79, 80, (80,)), (99, 99, ()), (80, 10, ())],
)
def test_thresholds_are_told_when_they_are_passed(before, after, passed):
    assert budgets.passed(100, before, after, (100, 50, 80)) == passed


def test_a_written_rule_becomes_a_budget_whose_balance_stays_with_its_label():
    rule = budget_rule.parse(
        BudgetSpec(limit="500/week", soft="80%", weekday="sunday", hour=6, models=["@premium", "x"])
    )
    found = budgets.of_rule("key:k", rule, "Europe/Berlin", {"premium": ("gpt-*", "x")})
    assert found == Budget(
        subject="key:k",
        limit=500_000_000_000,
        calendar=Calendar(kind="week", timezone="Europe/Berlin", weekday=6, hour=6),
        soft=(80,),
        models=("gpt-*", "x"),
    )
    assert budgets.identity(found) == f"5:key:k//{rule.label}"


def test_a_rolling_rule_has_a_window_and_no_calendar():
    rule = budget_rule.parse("1000 requests/2h rolling")
    found = budgets.of_rule("organisation", rule)
    assert found == Budget(subject="organisation", limit=1_000, unit=Spends.REQUESTS, rolling_s=7_200)
    assert budgets.identity(found).endswith(f"/{rule.label}")
    assert list(budgets.check(found)) == []


def test_a_budget_counts_what_is_served_by_name_and_by_pattern():
    found = budgets.of_rule("key:k", budget_rule.parse(BudgetSpec(limit="5/day", models=["fast", "openai/gpt-5*"])))
    assert budgets.counts(found, ["fast", "azure/d"])
    assert budgets.counts(found, ["other", "openai/gpt-5-mini"])
    assert not budgets.counts(found, ["other", "openai/gpt-4o"])
    assert budgets.counts(budgets.of_rule("key:k", budget_rule.parse("5/day")), ["anything"])


@pytest.mark.parametrize("subject", ["key:k", "team:t", "profile:p/key:k", "profile:p/user:u", "model:a/key:b"])
@pytest.mark.parametrize("unit", list(Spends))
@pytest.mark.parametrize("name", [None, "monthly"])
@pytest.mark.parametrize("per", ["end_user", "tag:region"])
def test_N4_what_counts_a_value_without_room_follows_from_its_balances_name(subject, unit, name, per):
    calendar = Calendar(kind="day", timezone="UTC")
    budget = Budget(subject=subject, limit=5, unit=unit, calendar=calendar, name=name, per=per)
    key, found = budgets.overflow_of(budgets.name_of(budget, "a/b/user/c"))
    assert key == ("k" if subject.endswith("key:k") else "")
    place = Place(period=Period(7, 0, 86_400_000), now_ms=0, boot_us=0)
    bucket = budgets.bucket_of(budget, place, "a/b/user/c", key)
    assert budgets.key_of(found, 7) == bucket.overflow.key
    assert budgets.overflow_of(budgets.name_of(msgspec.structs.replace(budget, per=None))) is None
