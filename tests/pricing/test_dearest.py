"""The most that a request may cost, of prices whose meters and tiers differ."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.core.usage import TokenUsage
from switchgear.pricing import dearest
from switchgear.pricing.dearest import Dearest
from switchgear.pricing.price import Price, Rate, cost

PLAIN = Price("m", "override", {"input": Rate(3_000), "output": Rate(15_000), "cache_write_5m": Rate(3_750)})


def test_plain_rates_are_taken_as_they_are():
    assert dearest.dearest(PLAIN, 100, {None}, has_media=False, writes_cache=False) == Dearest(3_000, 15_000)


def test_what_is_kept_counts_with_the_price_of_writing_it():
    assert dearest.dearest(PLAIN, 100, {None}, has_media=False, writes_cache=True).input_per_mtok == 3_750


@pytest.mark.parametrize(("input_max", "rate"), [(200_000, 3_000), (200_001, 6_000)])
def test_a_tier_of_long_prompts_counts_where_it_is_in_reach(input_max, rate):
    price = Price("m", "override", {"input": Rate(3_000, ((200_000, 6_000),)), "output": Rate(1)})
    assert dearest.dearest(price, input_max, {None}, has_media=False, writes_cache=False).input_per_mtok == rate


def test_the_service_tier_that_is_asked_counts_where_it_is_dearer():
    price = Price(
        "m",
        "override",
        {"input": Rate(10), "output": Rate(20)},
        tiers={"priority": {"input": Rate(17)}, "flex": {"input": Rate(5)}},
    )
    assert dearest.dearest(price, 1, {None, "priority"}, has_media=False, writes_cache=False) == Dearest(17, 20)
    assert dearest.dearest(price, 1, {None, "flex"}, has_media=False, writes_cache=False) == Dearest(10, 20)


def test_a_discount_is_taken_off_and_rounded_up():
    price = Price("m", "override", {"input": Rate(7), "output": Rate(9)}, discount_bp=1_000)
    assert dearest.dearest(price, 1, {None}, has_media=False, writes_cache=False) == Dearest(7, 9)


def test_what_has_no_rate_has_no_bound():
    assert (
        dearest.dearest(Price("m", "override", {"input": Rate(7)}), 1, {None}, has_media=False, writes_cache=False)
        is None
    )


def test_what_is_charged_by_the_unit_alone_has_free_tokens():
    price = Price("m", "override", {}, units={"images": 40_000_000 * 10**6})
    assert dearest.dearest(price, 1, {None}, has_media=False, writes_cache=False) == Dearest(0, 0)
    assert dearest.fixed(price, {"images": 3}, {None}) == 120_000_000


def test_a_request_with_a_price_of_its_own_counts_once():
    price = Price("m", "override", {"input": Rate(1), "output": Rate(1)}, units={"requests": 5 * 10**6})
    assert dearest.fixed(price, {}, {None}) == 5


@pytest.mark.parametrize(("rate", "is_free"), [(0, True), (1, False)])
def test_free_is_what_has_no_rate_above_zero(rate, is_free):
    assert dearest.is_free(Price("m", "free", {"input": Rate(0), "output": Rate(rate)})) is is_free


RATES = st.integers(0, 10**12)


@given(
    rates=st.tuples(RATES, RATES, RATES, RATES),
    counts=st.tuples(*itertools.repeat(st.integers(0, 10**6), 4)),
    start=st.integers(0, 10**6),
    discount_bp=st.integers(0, 10_000),
)
def test_N4_no_usage_within_its_tokens_costs_more(rates, counts, start, discount_bp):
    price = Price(
        "m",
        "override",
        {
            "input": Rate(rates[0], ((start, rates[1]),)),
            "output": Rate(rates[2]),
            "reasoning": Rate(rates[3]),
        },
        discount_bp=discount_bp,
    )
    usage = TokenUsage(input=counts[0], cache_read=counts[1], output=counts[2], reasoning=counts[3])
    read, written = counts[0] + counts[1], counts[2] + counts[3]
    found = dearest.dearest(price, read, {None}, has_media=False, writes_cache=False)
    bound = -(-(read * found.input_per_mtok + written * found.output_per_mtok) // 10**6)
    assert cost(price, usage).nanousd <= bound


@pytest.mark.parametrize(
    ("named", "is_left_open", "modes", "found"),
    [
        ("default", False, (), {None}),
        ("flex", False, (), {None, "flex"}),
        (None, True, (), {None, "flex", "priority"}),
        (None, False, ("us",), {None, "us"}),
        (None, False, ("us", "fast"), {None, "us", "fast", "fast+us"}),
    ],
)
def test_tiers_in_reach_are_the_one_that_is_named_or_all_where_the_provider_chooses(named, is_left_open, modes, found):
    names = ("flex", "priority", "fast", "us", "fast+us")
    price = Price("m", "override", {"input": Rate(1)}, tiers={name: {"input": Rate(2)} for name in names})
    assert dearest.tiers(price, named, is_left_open, modes) == found
