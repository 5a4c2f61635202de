"""What bounds a request: its bytes, what stands for more than its bytes, what it asks for."""

import json

import pytest

from switchgear.dialects import provider_tools, request_reader
from switchgear.edge import reach
from switchgear.edge.resolver import PricedDeployment
from switchgear.pricing.price import Price, Pricer, Rate
from switchgear.routing.table import Deployment, ProviderEntry, Timeouts

PRICE = Price(
    "m", "override", {"input": Rate(1_000_000), "output": Rate(2_000_000)}, units={"web_searches": 10_000 * 10**6}
)
"""A nano-USD for a token of input, two for one of output, 10,000 for a search."""


TEXT = [{"role": "user", "content": "hello"}]


def reached(body, operation="chat", upstream="gpt-4o", price=PRICE, window=None, media=(0, 0)):
    raw = json.dumps({"model": "m", **body}).encode()
    request = request_reader.parse(raw, "openai", operation)
    provider = ProviderEntry(name="up", dialects=("openai",), credentials=("c",))
    deployment = Deployment(provider, "c", upstream, None, Timeouts())
    priced = PricedDeployment(deployment, "up/c", Pricer(price) if price else None, b"", {}, {})
    return reach.reached(request, priced, len(raw), media, window), len(raw)


def sent(dialect, body, client=None, window=None):
    """What is reached by a body that was translated into another one, or is the client's own."""
    raw = json.dumps({"model": "m", "messages": TEXT, "input": TEXT, **(client or body)}).encode()
    request = request_reader.parse(raw, dialect if client is None else "openai", "chat")
    provider = ProviderEntry(name="up", dialects=("openai",), credentials=("c",))
    priced = PricedDeployment(Deployment(provider, "c", "m", None, Timeouts()), "up/c", Pricer(PRICE), b"", {}, {})
    return reach.reached(request, priced, len(raw), (0, 0), window, (dialect, json.dumps(body).encode()))


def bound(body, money=None, tokens=None, **more):
    found, size = reached(body, **more)
    return reach.bound(found, money, tokens), size


def test_a_byte_is_at_least_one_token():
    found, size = bound({"messages": TEXT, "max_tokens": 50})
    assert (found.input, found.output, found.cost_nanousd) == (size, 50, size + 100)


def test_nothing_reads_more_than_the_context_window():
    assert bound({"messages": TEXT, "max_tokens": 1}, window=20)[0].input == 20


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
    ],
)
def test_what_is_named_by_url_or_id_may_be_the_whole_window(part):
    asked = {"messages": [{"role": "user", "content": [part]}], "max_tokens": 1}
    assert bound(asked, window=128_000)[0].input == 128_000
    assert bound(asked)[0] is None


def test_a_schema_that_names_a_url_is_no_reference():
    tool = {
        "type": "function",
        "function": {"name": "f", "parameters": {"$schema": "http://json-schema.org/draft-07/schema#"}},
    }
    found, size = bound({"messages": TEXT, "tools": [tool], "max_tokens": 1}, window=128_000)
    assert found.input == size + reach.TOOLS_TOKENS


def test_a_picture_counts_with_what_it_may_take_at_most():
    found, size = bound({"messages": TEXT, "max_tokens": 1}, media=(100, 2))
    assert found.input == size + 2 * reach.PICTURE_TOKENS


def test_each_choice_is_written():
    assert bound({"messages": TEXT, "max_tokens": 50, "n": 3})[0].output == 150


def test_without_a_limit_the_model_bounds_what_is_written():
    found = bound({"messages": TEXT})[0]
    assert (found.output, found.write_output) == (16_384, 16_384)


def test_without_a_limit_budgets_bound_what_is_written():
    found, size = bound({"messages": TEXT}, money=10_000)
    assert found.write_output == (10_000 - size) // 2
    assert bound({"messages": TEXT}, tokens=2_000)[0].write_output == 2_000
    assert bound({"messages": TEXT}, tokens=3)[0].write_output == 1_024


def test_nothing_bounds_a_model_that_nobody_knows_without_a_limit():
    assert bound({"messages": TEXT}, upstream="own")[0].write_output == reach.UNKNOWN_OUTPUT_TOKENS
    assert bound({"messages": TEXT, "max_tokens": 7}, upstream="own")[0].output == 7


def test_embeddings_write_nothing():
    assert bound({"input": "hello"}, operation="embeddings")[0].output == 0


def test_a_tool_that_the_provider_runs_counts_up_to_its_cap():
    asked = {
        "messages": TEXT,
        "tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}],
        "max_tokens": 1,
    }
    found = sent("anthropic", asked, window=1_000)
    assert not found.caps_tools
    assert (reach.bound(found, None, None).input, reach.bound(found, None, None).cost_nanousd) == (4_000, 34_002)
    del asked["tools"][0]["max_uses"]
    found, uses = sent("anthropic", asked, window=1_000), provider_tools.USES
    assert found.caps_tools
    assert reach.bound(found, None, None).cost_nanousd == 1_000 * (1 + uses) + 2 + uses * 10_000


def test_a_tool_of_which_nobody_knows_what_it_costs_has_no_bound():
    asked = {"messages": TEXT, "tools": [{"type": "image_generation"}], "max_output_tokens": 1}
    assert sent("responses", asked, window=1_000).unbounded == "image_generation"


def test_what_is_sent_says_how_much_is_written_and_not_what_was_asked():
    thinks = {"max_tokens": 16_484, "thinking": {"type": "enabled", "budget_tokens": 16_384}, "messages": TEXT}
    found = sent("anthropic", thinks, {"max_tokens": 100, "reasoning_effort": "high"})
    assert found.reach.output_asked == 16_484


def test_texts_that_are_embedded_each_have_a_window_of_their_own():
    found, size = bound({"input": ["x" * 1_000] * 60}, operation="embeddings", window=2_000)
    assert found.input == size


def test_a_model_of_which_nothing_is_known_gets_a_limit_that_servers_take():
    found, _ = bound({"messages": TEXT}, upstream="own", money=50 * 10**9)
    assert found.write_output == reach.UNKNOWN_OUTPUT_TOKENS


def test_pictures_and_characters_are_charged_by_the_unit():
    by_picture = Price("m", "override", {}, units={"images": 7 * 10**6})
    assert bound({"prompt": "a cat", "n": 2}, operation="images", price=by_picture)[0].cost_nanousd == 14
    by_character = Price("m", "override", {}, units={"characters": 10**6})
    found, size = bound({"input": "hello", "voice": "v"}, operation="speech", price=by_character)
    assert found.cost_nanousd == size


def test_without_a_price_there_are_no_rates():
    assert reached({"messages": TEXT}, price=None)[0].rates is None
