"""What attempts cost: computed from usage and price, whatever the spool's own figures say."""

import pytest
from tests.ledger.test_claims import opened, settled

from switchgear.core.usage import TokenUsage
from switchgear.ledger.charges import Charges
from switchgear.pricing.price import Price, Rate
from switchgear.wire import records

PRICE = Price("m", "override", {"input": Rate(1_000_000_000), "output": Rate(2_000_000_000)})
"""1 and 2 USD per million tokens: 1,000 and 2,000 nano-USD each."""


def charges(price=PRICE):
    return Charges(lambda *_: price)


def test_usage_at_a_known_price_costs_its_tokens():
    request = opened()
    assert charges().cost(request, request.callee, TokenUsage(input=3, output=2), None, None) == (7_000, 7_000)


def test_a_discount_lowers_the_charge_and_not_the_list_price():
    request = opened()
    reduced = Price("m", "override", PRICE.rates, discount_bp=2_500)
    assert charges(reduced).cost(request, request.callee, TokenUsage(input=4), None, None) == (3_000, 4_000)


@pytest.mark.parametrize("price", [None, PRICE])
def test_a_reservation_without_a_price_costs_an_unknown_amount(price):
    callee = records.Callee("chat", "/", "openai", "m", "a", "a/c", "c", "m", None if price is not None else "p")
    assert charges(price).cost(opened(), callee, TokenUsage(input=3), None, None) == (None, None)


def test_a_charge_far_from_the_list_is_found_and_not_booked():
    said = []
    settle = settled([200], tokens=(10, 5), cost=1)
    settle = records.Settle(*[getattr(settle, name) for name in settle.__struct_fields__[:18]], 900_000_000)
    assert charges().bill(opened(), settle.tokens, settle, said.append) == (20_000, 20_000)
    assert len(said) == 1 and "900000000" in said[0]


def test_an_earlier_attempt_whose_cost_is_a_lie_is_booked_by_its_usage():
    said = []
    first = records.AttemptOutcome(1, None, "timeout", 0, None, 4, None, None, TokenUsage(input=5), 1, True)
    last = records.AttemptOutcome(2, 200, None, 4, 6, 8, None, None)
    settle = records.Settle("i", 200, "ok", [first, last], TokenUsage(), 0, None, None, None, None, 0, 8, None)
    [attempt] = charges().tries_before(opened(tries=2), settle, said.append)
    assert (attempt.cost_nanousd, attempt.failed, attempt.credential_id) == (5_000, True, "a/c")
    assert len(said) == 1 and "does not follow" in said[0]


@pytest.mark.parametrize(
    ("units", "amount"), [({"web_searches": 2}, 20_005_000), (None, 5_000), ({"invented": 9}, 5_000)]
)
def test_tools_of_an_earlier_attempt_are_charged_with_it(units, amount):
    # 1 USD for a million tokens, 10 for a thousand searches
    searched = Price("m", "override", PRICE.rates, units={"web_searches": 10**13})
    first = records.AttemptOutcome(
        1, 200, "garbage", 0, 2, 4, None, None, TokenUsage(input=5), amount, False, None, units
    )
    last = records.AttemptOutcome(2, 200, None, 4, 6, 8, None, None)
    settle = records.Settle("i", 200, "ok", [first, last], TokenUsage(), 0, None, None, None, None, 0, 8, None)
    said = []
    [attempt] = charges(searched).tries_before(opened(tries=2), settle, said.append)
    assert attempt.cost_nanousd == amount and said == []
