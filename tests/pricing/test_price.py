"""Costs: exact, rounded once, None where unknown."""

from fractions import Fraction

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from switchgear.core.usage import TokenUsage
from switchgear.pricing.price import METERS, MTOK, UNITS, Price, Pricer, Rate, cost, per_mtok

rates = st.builds(
    Rate,
    st.integers(0, 10**11),
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 10**11)), max_size=2, unique_by=lambda t: t[0]).map(
        lambda t: tuple(sorted(t))
    ),
)
prices = st.builds(
    Price,
    st.just("m"),
    st.just("s"),
    st.dictionaries(st.sampled_from(METERS), rates),
    st.dictionaries(st.sampled_from(["flex", "priority"]), st.dictionaries(st.sampled_from(METERS), rates), max_size=2),
    st.sampled_from([0, 0, 1000, 1234]),
    st.dictionaries(st.sampled_from(UNITS), st.integers(0, 10**14), max_size=2),
)
units = st.none() | st.dictionaries(st.sampled_from(UNITS), st.integers(0, 10**6), max_size=2)
counts = st.none() | st.integers(0, 2_000_000)
usages = st.builds(TokenUsage, **dict.fromkeys(TokenUsage.__struct_fields__, counts))


@given(prices, st.none() | usages, st.sampled_from([None, "default", "flex"]), units)
def test_the_fast_way_gives_the_same_figure(price, usage, tier, units):
    full = cost(price, usage, tier, units)
    assert Pricer(price).nanousd(usage, tier, units) == (None if full is None else full.nanousd)


@given(prices, st.none() | usages, units)
def test_the_cost_is_the_exact_sum_rounded_once(price, usage, units):
    full = cost(price, usage, None, units)
    if full is None:
        return
    exact = sum(Fraction(line.quantity * line.unit_price, 10**6) for line in full.lines)
    assert abs(full.list_nanousd - exact) <= Fraction(1, 2)
    assert abs(full.nanousd - exact * (10_000 - price.discount_bp) / 10_000) <= Fraction(1, 2)


def test_unknown_is_none_and_never_zero():
    price = Price("m", "s", {"input": Rate(1000)})
    assert cost(price, TokenUsage(input=1, output=1)) is None
    assert cost(price, TokenUsage(input=1, output=0)) is not None
    assert Pricer(price).nanousd(TokenUsage(input=1, output=1), None) is None


def test_units_are_charged_where_they_have_a_rate():
    picture = Price("m", "s", {}, units={"images": 40_000_000 * 10**6})
    assert cost(picture, None, None, {"images": 3}).nanousd == 120_000_000
    assert cost(picture, TokenUsage(input=5), None, {"images": 1}).nanousd == 40_000_000, "tokens cost nothing more"
    assert cost(picture, None, None, {"seconds": 3}) is None, "unknown is not free"
    assert cost(picture, None, None, None) is None
    both = Price("m", "s", {"input": Rate(10**6)}, units={"images": 10**6})
    assert cost(both, TokenUsage(input=7), None, {"images": 2, "seconds": 9}).nanousd == 9
    tokens = Price("m", "s", {"input": Rate(10**6)})
    assert cost(tokens, None, None, {"images": 2}) is None
    assert per_mtok(picture) == {"per_image": "0.04"}


def test_the_ids_of_prices_without_units_are_what_they_were():
    assert Price("m", "s", {"input": Rate(1)}).id == "03e2d35927920b61"
    assert Price("m", "s", {"input": Rate(1)}, units={"images": 1}).id != Price("m", "s", {"input": Rate(1)}).id


def test_a_service_tier_has_rates_of_its_own_and_the_others_stay():
    rates = {"input": Rate(2 * 10**9), "output": Rate(8 * 10**9)}
    price = Price("m", "s", rates, {"flex": {"input": Rate(10**9)}})
    usage = TokenUsage(input=1_000_000, output=1_000_000)
    assert cost(price, usage, "flex").nanousd == 9 * 10**9
    assert cost(price, usage, "default").nanousd == cost(price, usage).nanousd == 10 * 10**9


def test_a_tier_moves_the_whole_request():
    price = Price("m", "s", {"input": Rate(2_500_000_000, ((272_000, 5_000_000_000),))})
    assert cost(price, TokenUsage(input=272_000)).nanousd == 272_000 * 2500
    assert cost(price, TokenUsage(input=272_001)).nanousd == 272_001 * 5000


def test_the_id_names_the_numbers():
    one = Price("m", "s", {"input": Rate(1)})
    assert one.id == Price("m", "s", {"input": Rate(1)}).id
    assert one.id != Price("m", "s", {"input": Rate(2)}).id


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_an_expectation_is_the_cost_of_that_usage(into, out):
    pricer = Pricer(Price("m", "s", {"input": Rate(150_000_000), "output": Rate(600_000_000)}))
    assert pricer.expect(into, out) == pricer.nanousd(TokenUsage(input=into, output=out), None)


def test_cost_lines_add_up_to_the_cost_with_a_discount_and_odd_roundings():
    price = Price("m", "override", {"input": Rate(333_333), "output": Rate(777_777)}, discount_bp=1_050)
    for quantity in range(1, 200, 7):
        found = cost(price, TokenUsage(input=quantity, output=quantity * 3))
        assert sum(line.cost_nanousd for line in found.lines) == found.nanousd
        assert (found.lines[-1].meter, found.lines[-1].quantity, found.lines[-1].unit) == (
            "discount",
            1_050,
            "basis_points",
        )
    plain = cost(msgspec.structs.replace(price, discount_bp=0), TokenUsage(input=1, output=1))
    assert sum(line.cost_nanousd for line in plain.lines) == plain.nanousd


def test_sound_without_a_price_of_its_own_is_unknown_where_it_never_costs_what_text_costs():
    price = Price("m", "s", {"input": Rate(1_000), "output": Rate(1_000)}, apart=("audio_in", "audio_out"))
    assert cost(price, TokenUsage(input=5, audio_in=5)) is None
    assert cost(price, TokenUsage(input=5, image_in=5)).nanousd == cost(price, TokenUsage(input=10)).nanousd


def test_a_request_fee_is_charged_once_beside_the_tokens():
    price = Price("m", "s", {"input": Rate(1_000_000)}, units={"requests": 12_000_000 * MTOK})
    assert cost(price, TokenUsage(input=7)).nanousd == 12_000_007
    assert Pricer(price).nanousd(TokenUsage(input=7), None) == 12_000_007
    assert cost(price, TokenUsage(input=7), None, {"requests": 5}).nanousd == 12_000_007
