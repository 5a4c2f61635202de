"""The shipped prices, against genai-prices as the oracle."""

import datetime
import re
from decimal import Decimal

import pytest
from genai_prices import Usage, calc_price, types
from genai_prices.data import providers

from switchgear.app.layout import PriceFiles, price_snapshot
from switchgear.core.usage import TokenUsage
from switchgear.pricing.catalog import Catalog, list_of, nano_per_mtok
from switchgear.pricing.price import Price, Rate, cost

AT = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
AT_MS = int(AT.timestamp() * 1000)
TOKENS = {
    "input_mtok": ("input", None),
    "cache_read_mtok": ("cache_read", "cache_read_tokens"),
    "cache_write_mtok": ("cache_write_5m", "cache_write_tokens"),
    "cache_write_5m_mtok": ("cache_write_5m", "cache_write_5m_tokens"),
    "cache_write_1h_mtok": ("cache_write_1h", "cache_write_1h_tokens"),
    "output_mtok": ("output", None),
    "output_reasoning_mtok": ("reasoning", "output_reasoning_tokens"),
    "input_audio_mtok": ("audio_in", "input_audio_tokens"),
    "output_audio_mtok": ("audio_out", "output_audio_tokens"),
    "output_image_mtok": ("image", "output_image_tokens"),
    "input_image_mtok": ("image_in", "input_image_tokens"),
    "cache_audio_read_mtok": ("audio_cached", "cache_audio_read_tokens"),
    "cache_image_read_mtok": ("image_cached", "cache_image_read_tokens"),
    "input_video_mtok": ("video_in", "input_video_tokens"),
    "output_video_mtok": ("video_out", "output_video_tokens"),
    "output_citation_mtok": ("citation", "output_citation_tokens"),
}
"""Price of the oracle → our bucket, and what the oracle counts beside the total of its direction."""
UNITS = {
    "web_searches_kcount": ("web_searches", "web_searches"),
    "storage_searches_kcount": ("file_searches", "storage_searches"),
    "audio_hours": ("seconds", "audio_seconds"),
    "input_audio_hours": ("seconds", "input_audio_seconds"),
    "input_mchars": ("characters", "input_characters"),
    "input_document_kpages": ("pages", "input_document_pages"),
    "input_annotated_document_kpages": ("annotated_pages", "input_annotated_document_pages"),
    "input_text_messages_kcount": ("messages", "input_text_messages"),
}
ANNOTATED = "input_annotated_document_kpages"
EVERY = [(provider, model) for provider in providers for model in provider.models]


def names_in(clause):
    """Names that a clause may accept, from its own words."""
    match clause:
        case types.ClauseOr():
            for one in clause.or_:
                yield from names_in(one)
        case types.ClauseAnd():
            found = [next(names_in(one), "") for one in clause.and_]
            yield "".join(dict.fromkeys(found))
            yield from found
        case types.ClauseRegex():
            yield (
                re.sub(r"\(\?:([^|)]*)[^)]*\)\??|\(([^|)]*)[^)]*\)\??", r"\1\2", clause.regex)
                .strip("^$")
                .replace("\\", "")
            )
        case _:
            yield next(iter(vars(clause).values()))


def name_of(provider, model):
    """A name by which the oracle finds a model."""
    names = [model.id, model.id.replace("regional.", "us."), *names_in(model.match)]
    return next((name for name in names if provider.find_model(name) is model), model.id)


def contexts(model):
    """Every condition under which a model has a price of its own, and what we call it."""
    yield None, None
    for variant in model.price_variants or ():
        ((kind, value),) = variant.when.items()
        yield variant.when, value if kind in {"service_tier", "speed", "processing"} else f"{kind}:{value}"


@pytest.fixture(scope="module")
def catalog():
    return Catalog(PriceFiles().load, price_snapshot())


def asked(model, context, size):
    """One of everything that the oracle has a price for, in its words and in ours. Raises KeyError for a unit that is new."""
    names = [name for name, value in vars(model.get_prices(AT, context)).items() if value is not None]
    theirs, buckets, units = {"input_tokens": 0, "output_tokens": 0}, {}, {}
    for at, name in enumerate(names):
        if name == "requests_kcount":
            continue  # both count one for the answer
        if name in UNITS:
            ours, count = UNITS[name]
            units[ours] = 60
            # an annotated page is a page too, for the oracle
            theirs[count] = 120 if name == "input_document_kpages" and ANNOTATED in names else 60
            continue
        ours, count = TOKENS[name]
        if ours in buckets:
            continue  # the same under an older name
        quantity = size if ours == "input" else 1_000 + at
        buckets[ours] = quantity
        direction = "output_tokens" if name.startswith("output") else "input_tokens"
        theirs[direction] += quantity
        if count:
            theirs[count] = quantity
        if name.startswith("cache_audio"):
            theirs["input_audio_tokens"] = theirs.get("input_audio_tokens", 0) + quantity
        if name.startswith("cache_image"):
            theirs["input_image_tokens"] = theirs.get("input_image_tokens", 0) + quantity
        if name.startswith(("cache_audio", "cache_image")):
            theirs["cache_read_tokens"] = theirs.get("cache_read_tokens", 0) + quantity
        if name in {"cache_write_5m_mtok", "cache_write_1h_mtok"}:
            theirs["cache_write_tokens"] = theirs.get("cache_write_tokens", 0) + quantity
    return {name: count for name, count in theirs.items() if count}, TokenUsage(**buckets), units


@pytest.mark.parametrize("size", [1_000, 300_000])
def test_every_unit_of_every_model_costs_what_the_oracle_says(catalog, size):
    compared, skipped, wrong = 0, [], []
    for provider, model in EVERY:
        for context, tier in contexts(model):
            theirs, usage, units = asked(model, context, size)
            ours = catalog.find(provider.id, provider.id, name_of(provider, model), AT_MS)
            if ours is None or ours.model != model.id:
                skipped.append((provider.id, model.id, ours and ours.model))
                continue
            found = cost(ours, usage if usage != TokenUsage() or not units else None, tier, units or None)
            right = model.calc_price(
                Usage(**theirs), provider, genai_request_timestamp=AT, price_context=context
            ).total_price
            compared += 1
            if found is None or abs(Decimal(found.nanousd) / 10**9 - right) > Decimal("0.000000001"):
                wrong.append((provider.id, model.id, tier, found and found.nanousd, right))
    assert wrong == []
    assert skipped == []
    assert compared >= 2_559


def test_names_of_models_are_found_whatever_their_case(catalog):
    for name in ("meta-llama/Llama-3.3-70B-Instruct-Turbo", "META-LLAMA/LLAMA-3.3-70B-INSTRUCT-TURBO"):
        price = catalog.find("together", "together", name, AT_MS)
        theirs = calc_price(
            Usage(input_tokens=1_000, output_tokens=100),
            "meta-llama/Llama-3.3-70B-Instruct-Turbo",
            provider_id="together",
            genai_request_timestamp=AT,
        ).total_price
        assert Decimal(cost(price, TokenUsage(input=1_000, output=100)).nanousd) / 10**9 == theirs


def test_a_service_tier_has_the_oracles_price(catalog):
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


def test_an_unknown_model_or_provider_has_no_price(catalog):
    assert catalog.find("openai", "openai", "no-such-model", AT_MS) is None
    assert catalog.find("mine", None, "gpt-4o", AT_MS) is None
    assert catalog.find("mine", "nobody", "gpt-4o", AT_MS) is None
    assert PriceFiles().load("../../etc/passwd") is None


@pytest.mark.parametrize("text", ["-1", "0.0000000001"])
def test_a_price_that_is_no_exact_number_of_nano_usd_is_refused(text):
    with pytest.raises(ValueError):
        nano_per_mtok(text)


def test_service_tiers_that_a_provider_prices_for_all_its_models_alike(catalog):
    # Amazon Bedrock, "Pricing": flex 50 % less, priority 75 % more than 0.035 and 0.14 USD; Google: flex as a batch.
    nova = catalog.find("bedrock", "aws", "us.amazon.nova-micro-v1:0", AT_MS)
    usage = TokenUsage(input=100_000, output=1_000)
    assert cost(nova, usage, "flex").nanousd == 1_820_000
    assert cost(nova, usage, "priority").nanousd == 6_370_000
    flash = catalog.find("gemini", "google", "gemini-3-flash-preview", AT_MS)
    assert cost(flash, TokenUsage(input=10_000, output=1_000), "flex").nanousd == 4_000_000


REGIONS = [
    ("google", "us-east5-aiplatform.googleapis.com", "claude-sonnet-4-5@20250929", True),
    ("google", "aiplatform.eu.rep.googleapis.com", "claude-opus-4-7", True),
    ("google", "aiplatform.us.rep.googleapis.com", "gemini-3.5-flash-lite", True),
    ("google", "us-central1-aiplatform.googleapis.com", "claude-3-5-sonnet", False),
    ("google", "us-central1-aiplatform.googleapis.com", "gemini-2.5-flash", False),
    ("openai", "eu.api.openai.com", "gpt-5.4", True),
    ("openai", "us.api.openai.com", "gpt-4.1", False),
    ("x-ai", "us.api.x.ai", "grok-4.6", True),
]
"""Ten per cent more where a region is promised: the pages that `SURCHARGES` names."""


@pytest.mark.parametrize(("pricing_id", "host", "model", "costs_more"), REGIONS)
def test_a_region_costs_what_its_provider_charges_more_there(catalog, pricing_id, host, model, costs_more):
    usage = TokenUsage(input=1_000_000, output=100_000)
    plain = catalog.find("p", pricing_id, model, AT_MS)
    there = catalog.find("p", list_of(pricing_id, host), model, AT_MS)
    assert cost(there, usage).nanousd * 10 == cost(plain, usage).nanousd * (11 if costs_more else 10)
    assert (there.id != plain.id) is costs_more


@pytest.mark.parametrize(
    ("pricing_id", "host"),
    [("google", "aiplatform.googleapis.com"), ("openai", "api.openai.com"), ("x-ai", "api.x.ai"), ("aws", "a.b")],
)
def test_a_host_that_promises_no_region_has_the_providers_list(pricing_id, host):
    assert list_of(pricing_id, host) == pricing_id
    assert list_of(None, host) is None


@pytest.mark.parametrize(
    ("model", "input_usd", "cached_usd", "output_usd"),
    [("gpt-4o-2024-11-20", 2.75, 1.375, 11), ("gpt-4.1", 2.2, 0.55, 8.8), ("gpt-5", 1.375, 0.1375, 11)],
)
def test_a_data_zone_of_azures_costs_what_its_list_says(catalog, model, input_usd, cached_usd, output_usd):
    """Azure OpenAI, "Pricing", US and EU data zones; litellm's `azure/us/…` and `azure/eu/…` (litellm#37823)."""
    price = catalog.find("corp", "azure@regional", model, AT_MS)
    used = TokenUsage(input=1_000_000, cache_read=1_000_000, output=1_000_000)
    assert cost(price, used).nanousd == round((input_usd + cached_usd + output_usd) * 1e9)
    assert list_of("azure", "corp.openai.azure.com") == "azure", "the address does not say which kind it is"


def test_a_model_of_azures_that_costs_the_same_everywhere_does(catalog):
    used = TokenUsage(input=1_000_000)
    regional, plain = (catalog.find("a", name, "text-embedding-3-small", AT_MS) for name in ("azure@regional", "azure"))
    assert cost(regional, used).nanousd == cost(plain, used).nanousd


def test_anthropic_on_vertex_costs_on_bedrocks_regions_what_the_oracle_says_of_them(catalog):
    usage = TokenUsage(input=1_000, output=1_000, cache_write_1h=1_000)
    regional = catalog.find("v", "google@regional", "claude-sonnet-4-6", AT_MS)
    bedrock = catalog.find("b", "aws", "eu.anthropic.claude-sonnet-4-6", AT_MS)
    assert cost(regional, usage).nanousd == cost(bedrock, usage).nanousd


def test_pictures_that_cohere_embeds_have_a_price_of_their_own(catalog):
    # Cohere, "Pricing": Embed 4, 0.12 USD for a million tokens of text, 0.47 of pictures.
    price = catalog.find("cohere", "cohere", "embed-v4.0", AT_MS)
    assert cost(price, TokenUsage(input=1_000_000, image_in=1_000_000)).nanousd == 590_000_000


def test_openai_sound_is_priced_as_sound_or_not_at_all(catalog):
    # OpenAI, "Pricing": 40 USD for a million audio tokens heard, 80 for a million spoken.
    heard = TokenUsage(input=100, output=10, audio_in=1_000, audio_out=100)
    known = catalog.find("openai", "openai", "gpt-4o-audio-preview", AT_MS)
    assert cost(known, heard).nanousd == 48_350_000
    assert cost(catalog.find("openai", "openai", "gpt-4.1", AT_MS), heard) is None
