"""Money: exact in, exact out, rounded once."""

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.core.money import format_usd, parse_usd, round_half_even


@given(st.integers(0, 10**18))
def test_a_formatted_amount_is_parsed_to_itself(amount):
    assert parse_usd(format_usd(amount)) == amount


@pytest.mark.parametrize("text", ["", "abc", "-1", "NaN", "Infinity", "0.0000000001", "1e30"])
def test_a_malformed_amount_is_refused(text):
    with pytest.raises(ValueError):
        parse_usd(text)


@given(st.integers(0, 10**20), st.integers(1, 10**10))
def test_rounding_is_half_even(numerator, denominator):
    exact = (Decimal(numerator) / Decimal(denominator)).quantize(Decimal(1), ROUND_HALF_EVEN)
    if Decimal(numerator) % Decimal(denominator) * 2 == denominator or numerator < 10**15:
        assert round_half_even(numerator, denominator) == int(exact)


def test_negative_amounts_can_be_shown():
    assert format_usd(-1_500_000_000) == "-1.500000000"
