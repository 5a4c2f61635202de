"""The shipped prices, against genai-prices as the oracle."""

import datetime
from decimal import Decimal

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data import providers

from switchgear.app.layout import PriceFiles, price_snapshot
from switchgear.core.usage import TokenUsage
from switchgear.pricing.catalog import Catalog, nano_per_mtok
from switchgear.pricing.price import Price, Rate, cost

AT = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
AT_MS = int(AT.timestamp() * 1000)
CASES = [
    (p.id, m.id)
    for p in providers
    for m in p.models
    if p.id in {"openai", "anthropic", "groq", "google", "mistral", "deepseek", "x-ai"}
]


@pytest.fixture(scope="module")
def catalog():
    return Catalog(PriceFiles().load, price_snapshot())


@pytest.mark.parametrize("size", [1_000, 300_000])
def test_every_model_costs_what_the_oracle_says(catalog, size):
    compared = 0
    for provider, model in CASES:
        price = catalog.find(provider, provider, model, AT_MS)
        if price is None:
            continue
        ours = cost(price, TokenUsage(input=size - 600, cache_read=600, output=500))
        if ours is None:
            continue
        usage = Usage(input_tokens=size, cache_read_tokens=600, output_tokens=500)
        theirs = calc_price(usage, model, provider_id=provider, genai_request_timestamp=AT).total_price
        extra = Decimal(str(getattr(price, "requests", 0)))
        if {"requests_kcount"} & set(
            vars(next(m for p in providers if p.id == provider for m in p.models if m.id == model)).keys()
        ):
            continue
        assert abs(Decimal(ours.nanousd) / 10**9 - theirs - extra) <= Decimal("0.000000001"), (provider, model)
        compared += 1
    assert compared > 150


def test_service_tiers(catalog):
    price = catalog.find("openai", "openai", "gpt-5.4", AT_MS)
    usage = TokenUsage(input=10_000, output=100)
    flex = calc_price(
        Usage(input_tokens=10_000, output_tokens=100),
        "gpt-5.4",
        provider_id="openai",
        genai_request_timestamp=AT,
        price_context={"service_tier": "flex"},
    ).total_price
    assert Decimal(cost(price, usage, "flex").nanousd) / 10**9 == flex


def test_overrides_and_discounts_come_first():
    catalog = Catalog(
        PriceFiles().load, "d", {"openai/gpt-4o-mini": Price("x", "override", {"input": Rate(7)})}, {"openai": 1000}
    )
    assert catalog.find("openai", "openai", "gpt-4o-mini", AT_MS).rates["input"].base == 7
    assert catalog.find("openai", "openai", "gpt-4o", AT_MS).discount_bp == 1000


def test_what_is_unknown_is_none(catalog):
    assert catalog.find("openai", "openai", "no-such-model", AT_MS) is None
    assert catalog.find("mine", None, "gpt-4o", AT_MS) is None
    assert catalog.find("mine", "nobody", "gpt-4o", AT_MS) is None
    assert PriceFiles().load("../../etc/passwd") is None


@pytest.mark.parametrize("text", ["-1", "0.0000000001"])
def test_prices_are_exact(text):
    with pytest.raises(ValueError):
        nano_per_mtok(text)
