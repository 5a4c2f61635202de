"""What sums of tokens would have cost: by hand."""

import pytest

from switchgear.pricing import what_if
from switchgear.pricing.price import Price, Rate

USD = 10**9
RATES = {"input": Rate(3 * USD, ((200_000, 6 * USD),)), "cache_read": Rate(USD // 10), "output": Rate(15 * USD)}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((1_000_000, 0, 0, 0), 3 * USD),
        ((1_000_000, 400_000, 0, 100_000), 1_800_000_000 + 40_000_000 + 1_500_000_000),
        ((1_000_000, 0, 200_000, 0), 3 * USD),
        ((0, 0, 0, 0), 0),
    ],
)
def test_tokens_cost_what_the_price_says_without_its_steps_for_long_prompts(counts, expected):
    assert what_if.cost_nanousd(Price("m", "override", RATES), *counts) == expected


def test_a_discount_holds_and_a_missing_rate_is_no_price():
    assert what_if.cost_nanousd(Price("m", "x", RATES, discount_bp=1_000), 1_000_000, 0, 0, 0) == 2_700_000_000
    assert what_if.cost_nanousd(Price("m", "x", {"input": Rate(USD)}), 0, 0, 0, 5) is None
