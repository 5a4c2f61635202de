"""What an answer costs in all, beside what its provider charges by its own words or its price list."""

import datetime
import types
from decimal import Decimal

import msgspec
import pytest
from genai_prices import Usage, calc_price

from switchgear.app.layout import PriceFiles, price_snapshot
from switchgear.core.usage import TokenUsage
from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.edge import settle
from switchgear.edge.bill import bill_of, stated
from switchgear.ledger import build
from switchgear.pricing.catalog import Catalog
from switchgear.pricing.price import Pricer
from switchgear.providers.catalogue import PROVIDERS
from switchgear.wire import records

AT_MS = 1_795_435_200_000  # 2026-11-23
CATALOG = Catalog(PriceFiles().load, price_snapshot())


def price_of(provider):
    row = PROVIDERS[provider]

    def find(model):
        price = CATALOG.find(provider, row.pricing_id, model, AT_MS)
        return Pricer(price) if price is not None else None

    return find


def booked(provider, model, metadata):
    """Nano-USD as the edge books it, and as the ledger finds it again from the settlement."""
    find = price_of(provider)
    context = types.SimpleNamespace(
        course=None,
        queue_ms=None,
        admission=None,
        is_late=False,
        rerouted=None,
        is_untold=False,
        still_charged={},
        pricer=find(model),
        usage=metadata.usage,
        units=metadata.units,
    )
    spool = types.SimpleNamespace(settle=lambda key, payload: kept.append(payload))
    kept = []
    context.__dict__.update(
        id="i", status=200, outcome="ok", attempts=[], estimate_reason=None, bytes_out=0, ttft_ms=None, error=None
    )
    context.dropped = None
    bill = bill_of(context, metadata, PROVIDERS[provider].quirks, find)
    cost = settle.settle(context, spool, 1, service_tier=metadata.service_tier, bill=bill)
    settlement = msgspec.msgpack.Decoder(records.Settle).decode(kept[0])
    price_id = context.pricer.price_id if context.pricer is not None else None
    callee = records.Callee("chat", "/", "openai", model, provider, "d", "c", model, price_id)
    caller = records.Caller("k", "k", 1, None, None, None)
    reserve = records.Reserve("i", AT_MS, msgspec.Raw(b"\x90"), msgspec.Raw(b"\x90"), False, 1, None, None, 2)
    opened = build.OpenRequest(reserve, caller, callee, b"", [])
    record = build.settled(
        opened,
        settlement,
        lambda price_id, of, name, at: (found := find(name)) and (found.price if found.price_id == price_id else None),
    )
    assert record.cost_nanousd == cost
    if cost is not None:
        assert sum(line.cost_nanousd for line in record.cost_lines) == cost
    return cost, record


def translation(provider, operation, dialect, model, client=None, **more):
    bodies = {
        "chat": {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9},
        "responses": {"model": model, "input": "hi"},
        "embeddings": {"model": model, "input": ["hi"]},
        "images": {"model": model, "prompt": "a cat"},
    }
    body = dict(bodies["responses" if (client or dialect) == "responses" else operation]) | more
    if (client or dialect) == "gemini":
        body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    elif (client or dialect) == "bedrock":
        body = {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}
    named = None if "model" in body else model
    request = parse(msgspec.json.encode(body), client or dialect, operation, named, more.get("stream", named and False))
    return open_translation(request, client or dialect, dialect, model, PROVIDERS[provider].quirks, created=1)


def chat(usage, model="m", **more):
    message = {"role": "assistant", "content": "hello"}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice]} | {
        "usage": usage,
        **more,
    }


def message(usage, model="claude-sonnet-4-5-20250929"):
    content = [{"type": "text", "text": "hello"}]
    answer = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": content}
    return answer | {"stop_reason": "end_turn", "stop_sequence": None, "usage": usage}


def response(output, **more):
    text = {"type": "output_text", "text": "x", "annotations": []}
    last = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [text]}
    usage = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}
    answer = {"id": "resp_a1", "object": "response", "status": "completed", "model": "gpt-5", "tools": []}
    return answer | {"output": [*output, last], "service_tier": "default", "usage": usage, **more}


def gemini(usage, model, **more):
    candidate = {"content": {"role": "model", "parts": [{"text": "x"}]}, "finishReason": "STOP", "index": 0, **more}
    return {"candidates": [candidate], "modelVersion": model, "responseId": "r", "usageMetadata": usage}


def converse(usage, **more):
    text = {"message": {"role": "assistant", "content": [{"text": "x"}]}}
    return {"output": text, "stopReason": "end_turn", "metrics": {"latencyMs": 1}, "usage": usage, **more}


def grok(states):
    """An answer of grok-4.3 with three searches of X."""
    usage = {
        "input_tokens": 7583, "input_tokens_details": {"cached_tokens": 3072}, "output_tokens": 3192, "total_tokens": 10775,
        "num_server_side_tools_used": 3, "server_side_tool_usage_details": {"web_search_calls": 0, "x_search_calls": 3},
    } | ({"cost_in_usd_ticks": 292331500} if states else {})  # fmt: skip
    return response(
        [{"type": "custom_tool_call", "name": "x_keyword_search", "status": "completed", "input": "{}"}]
    ) | {
        "model": "grok-4.3",
        "usage": usage,
    }


PLACE = {"maps": {"uri": "https://maps.google.com/?cid=1", "title": "A cafe", "placeId": "places/1"}}
PLACES = {"groundingMetadata": {"webSearchQueries": ["cafes", "bakeries"], "groundingChunks": [PLACE]}}
WEB = {"web": {"uri": "u", "title": "t"}}
BOTH = {"groundingMetadata": {"webSearchQueries": ["cafes", "bakeries"], "groundingChunks": [PLACE, WEB]}}
MOONSHOT = str(
    calc_price(
        Usage(input_tokens=1000, cache_read_tokens=900), "kimi-k2-0905-preview", provider_id="moonshotai",
        genai_request_timestamp=datetime.datetime.fromtimestamp(AT_MS / 1000, datetime.UTC),
    ).total_price
)  # fmt: skip
SEARCHED = {"groundingMetadata": {"webSearchQueries": ["a", "b", "c"]}}
DRAWN = {
    "input_tokens": 50,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 50},
    "output_tokens": 4160,
    "output_tokens_details": {"image_tokens": 4160, "text_tokens": 0},
}
ADVISED = {
    "input_tokens": 2411,
    "output_tokens": 145,
    "iterations": [
        {"type": "message", "input_tokens": 1128, "output_tokens": 135},
        {"type": "advisor_message", "model": "claude-opus-4-8", "input_tokens": 2543, "output_tokens": 18},
        {"type": "message", "input_tokens": 1283, "output_tokens": 10},
    ],
}
PLAIN = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
SONAR = {"total_cost": 0.005214, "request_cost": 0.005}
DEEP = {"prompt_tokens": 33, "completion_tokens": 7163, "total_tokens": 7196, "citation_tokens": 20016}
HEARD = [{"modality": "TEXT", "tokenCount": 1000}, {"modality": "AUDIO", "tokenCount": 9000}]
XAI = {
    "prompt_tokens": 37,
    "completion_tokens": 530,
    "total_tokens": 800,
    "completion_tokens_details": {"reasoning_tokens": 233},
}

# provider, dialect, model, answer, USD. Sources: the providers' price lists and API references as of 2026-11 (Anthropic: 10 USD
# for 1,000 searches, advisor and fast mode at their own prices; OpenAI: searches 10, file searches 2.50 for 1,000, containers
# 0.03, image tool at gpt-image-1's prices; Google: 14 for 1,000 queries, 35 for 1,000 prompts before Gemini 3, flex half;
# AWS: flex half, hour-long cache writes twice the input; OpenRouter and Perplexity: what their answers state; xAI: total_tokens
# tells that reasoning stands beside; Mistral: num_cached_tokens at a tenth).
CASES = {
    "anthropic searches": (
        *("anthropic", "anthropic", "claude-sonnet-4-5"),
        message({"input_tokens": 1000, "output_tokens": 100, "server_tool_use": {"web_search_requests": 3}}),
        "0.0345",
    ),
    "anthropic advisor": ("anthropic", "anthropic", "claude-sonnet-5", message(ADVISED, "claude-sonnet-5"), "0.019437"),
    "anthropic fast": (
        *("anthropic", "anthropic", "claude-opus-4-8"),
        message(
            {"input_tokens": 1000, "output_tokens": 1000, "speed": "fast", "service_tier": "standard"},
            "claude-opus-4-8",
        ),
        "0.06",
    ),
    # Anthropic, "Data residency": 1.1 times all prices, on top of the fast mode's.
    "anthropic fast in the United States": (
        *("anthropic", "anthropic", "claude-opus-4-8"),
        message(
            {"input_tokens": 1000, "output_tokens": 1000, "speed": "fast", "inference_geo": "us"}, "claude-opus-4-8"
        ),
        "0.066",
    ),
    # xAI's own figure for exactly these counts (grok-4.3, recorded in public 2026-08-24): list price and tools come to it, too.
    "xai by its own words": ("xai", "responses", "grok-4.3", grok(True), "0.02923315"),
    "xai tools by the list": ("xai", "responses", "grok-4.3", grok(False), "0.02923315"),
    # Google, "Gemini API pricing": 25 USD for a thousand prompts grounded with Maps, 14 for a thousand queries since Gemini 3.
    "gemini 2.5 maps": (
        *("gemini", "gemini", "gemini-2.5-flash"),
        gemini({"promptTokenCount": 1000, "candidatesTokenCount": 100}, "gemini-2.5-flash", **PLACES),
        "0.02555",
    ),
    "gemini 3 maps": (
        *("gemini", "gemini", "gemini-3-flash-preview"),
        gemini({"promptTokenCount": 1000, "candidatesTokenCount": 100}, "gemini-3-flash-preview", **PLACES),
        "0.0288",
    ),
    "gemini 3 maps and web": (
        *("gemini", "gemini", "gemini-3-flash-preview"),
        gemini({"promptTokenCount": 1000, "candidatesTokenCount": 100}, "gemini-3-flash-preview", **BOTH),
        "0.0428",
    ),
    "gemini priority": (
        *("gemini", "gemini", "gemini-3-flash-preview"),
        gemini(
            {"promptTokenCount": 1000, "candidatesTokenCount": 100, "serviceTier": "PRIORITY"}, "gemini-3-flash-preview"
        ),
        "0.00144",
    ),
    # 0.00025 for the fee of OpenRouter, and what the maker charges its user (OpenRouter, "Usage accounting").
    "openrouter with a key of one's own": (
        *("openrouter", "openai", "openai/gpt-4.1-mini"),
        chat(
            {"prompt_tokens": 8174, "completion_tokens": 30, "is_byok": True, "cost": 0.00025}
            | {"cost_details": {"upstream_inference_cost": 0.0033}},
            "openai/gpt-4.1-mini",
        ),
        "0.00355",
    ),
    # 1,000 tokens at 0.20 USD a million, of which 900 are read from the cache at 0.05 (genai-prices, moonshotai).
    "moonshot cached tokens": (
        *("moonshot", "openai", "kimi-k2-0905-preview"),
        chat(
            {"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000, "cached_tokens": 900},
            "kimi-k2-0905-preview",
        ),
        MOONSHOT,
    ),
    "azure alias of another model": (
        *("azure", "openai", "gpt-4o"),
        chat({"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}, "gpt-4o-mini-2024-07-18"),
        "0.00021",
    ),
    "anthropic in the United States": (
        *("anthropic", "anthropic", "claude-opus-4-8"),
        message(
            {"input_tokens": 1000, "output_tokens": 1000, "inference_geo": "us", "service_tier": "standard"},
            "claude-opus-4-8",
        ),
        "0.033",
    ),
    "openai web search": (
        "openai",
        "responses",
        "gpt-5",
        response([{"type": "web_search_call", "id": "w"}] * 2),
        "0.02225",
    ),
    "openai web search, counted": (
        *("openai", "responses", "gpt-5"),
        response([{"type": "web_search_call", "id": "w"}], tool_usage={"web_search": {"num_requests": 3}}),
        "0.03225",
    ),
    "openai file search": (
        "openai",
        "responses",
        "gpt-5",
        response([{"type": "file_search_call", "id": "w"}]),
        "0.00475",
    ),
    "openai container": (
        *("openai", "responses", "gpt-5"),
        response([{"type": "code_interpreter_call", "id": "w", "container_id": "c"}] * 2),
        "0.03225",
    ),
    # OpenAI, "Pricing": 1 GB 0.03, 4 GB 0.12, 16 GB 0.48, 64 GB 1.92 USD.
    "openai container of 4 GB": (
        *("openai", "responses", "gpt-5"),
        response(
            [{"type": "code_interpreter_call", "id": "w", "container_id": "c"}],
            tools=[{"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "4g"}}],
        ),
        "0.12225",
    ),
    "openai shell in 16 GB": (
        *("openai", "responses", "gpt-5"),
        response(
            [{"type": "shell_call", "id": "w", "environment": {"type": "container_reference", "container_id": "c"}}],
            tools=[{"type": "shell", "environment": {"type": "container_auto", "memory_limit": "16g"}}],
        ),
        "0.48225",
    ),
    "openai image tool": ("openai", "responses", "gpt-5", response([], tool_usage={"image_gen": DRAWN}), "0.16890"),
    "cohere pictures": (
        *("cohere", "cohere", "embed-v4.0"),
        {"meta": {"billed_units": {"input_tokens": 1000, "image_tokens": 2000}}, "embeddings": {}},
        "0.00106",
    ),
    # Anthropic, "Code execution tool": hours beyond the free ones are charged to the month, not to an answer.
    "anthropic code": (
        *("anthropic", "anthropic", "claude-sonnet-4-5"),
        message({"input_tokens": 1000, "output_tokens": 100}) | {"container": {"id": "c", "expires_at": "x"}},
        "0.0045",
    ),
    "gemini 3 searches": (
        *("gemini", "gemini", "gemini-3-flash-preview"),
        gemini({"promptTokenCount": 1000, "candidatesTokenCount": 100}, "gemini-3-flash-preview", **SEARCHED),
        "0.0428",
    ),
    "gemini 2.5 searches": (
        *("gemini", "gemini", "gemini-2.5-flash"),
        gemini({"promptTokenCount": 1000, "candidatesTokenCount": 100}, "gemini-2.5-flash", **SEARCHED),
        "0.03555",
    ),
    "gemini flex": (
        *("gemini", "gemini", "gemini-3-flash-preview"),
        gemini(
            {"promptTokenCount": 10000, "candidatesTokenCount": 1000, "serviceTier": "flex"}, "gemini-3-flash-preview"
        ),
        "0.0040",
    ),
    "vertex flex": (
        *("gemini", "gemini", "gemini-3-flash-preview"),
        gemini(
            {"promptTokenCount": 10000, "candidatesTokenCount": 1000, "trafficType": "ON_DEMAND_FLEX"},
            "gemini-3-flash-preview",
        ),
        "0.0040",
    ),
    "gemini cached sound": (
        *("gemini", "gemini", "gemini-2.5-flash"),
        gemini(
            {
                "promptTokenCount": 10000,
                "cachedContentTokenCount": 9000,
                "candidatesTokenCount": 100,
                "promptTokensDetails": HEARD,
                "cacheTokensDetails": HEARD[1:],
            },
            "gemini-2.5-flash",
        ),
        "0.00145",
    ),
    "bedrock flex": (
        *("bedrock", "bedrock", "us.amazon.nova-micro-v1:0"),
        converse({"inputTokens": 100000, "outputTokens": 1000}, serviceTier={"type": "flex"}),
        "0.00182",
    ),
    "bedrock hour-long cache write": (
        *("bedrock", "bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        converse(
            {
                "inputTokens": 0,
                "outputTokens": 0,
                "cacheWriteInputTokens": 1000,
                "cacheDetails": [{"ttl": "1h", "inputTokens": 1000}],
            }
        ),
        "0.0066",
    ),
    "openrouter states its cost": (
        *("openrouter", "openai", "openai/gpt-4.1-mini"),
        chat({"prompt_tokens": 8174, "completion_tokens": 30, "total_tokens": 8204, "cost": 0.0133176}),
        "0.0133176",
    ),
    "openrouter, model unknown": ("openrouter", "openai", "openrouter/auto", chat({**PLAIN, "cost": 0.0045}), "0.0045"),
    "openrouter, free": (
        *("openrouter", "openai", "meta-llama/llama-3.3-70b-instruct:free"),
        chat(PLAIN, "meta-llama/llama-3.3-70b-instruct:free"),
        "0",
    ),
    "perplexity states its cost": (
        *("perplexity", "openai", "sonar"),
        chat({"prompt_tokens": 14, "completion_tokens": 200, "total_tokens": 214, "cost": SONAR}, "sonar"),
        "0.005214",
    ),
    "perplexity, deep research": (
        *("perplexity", "openai", "sonar-deep-research"),
        chat({**DEEP, "num_search_queries": 18, "reasoning_tokens": 73997}, "sonar-deep-research"),
        "0.409393",
    ),
    "another's cost is not believed": ("openai", "openai", "gpt-4o", chat({**PLAIN, "cost": 7}, "gpt-4o"), "0.0035"),
    "xai reasoning": ("xai", "openai", "grok-4", chat(XAI, "grok-4"), "0.011556"),
    "mistral cached": (
        *("mistral", "openai", "mistral-medium-latest"),
        chat({**PLAIN, "num_cached_tokens": 1000}, "mistral-medium-latest"),
        None,
    ),
    "azure deployment": ("azure", "openai", "my-deployment", chat(PLAIN, "gpt-4o-2024-08-06"), "0.0035"),
    "an integer id": (
        *("together", "openai", "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
        chat(PLAIN, id=123),
        "0.000968",
    ),
    "sound": (
        *("openai", "openai", "gpt-4o-audio-preview"),
        chat(
            {
                "prompt_tokens": 1000,
                "completion_tokens": 1000,
                "prompt_tokens_details": {"audio_tokens": 1000},
                "completion_tokens_details": {"audio_tokens": 1000},
            },
            "gpt-4o-audio-preview",
        ),
        "0.12",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_answer_costs_what_its_provider_charges(name):
    provider, dialect, model, answer, usd = CASES[name]
    metadata = translation(provider, "chat", dialect, model).read(msgspec.json.encode(answer), [])
    cost, _ = booked(provider, model, metadata)
    if usd is None:
        assert metadata.usage.cache_read == 1000
        return
    assert Decimal(cost) / 10**9 == Decimal(usd)


@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if case[1] not in {"bedrock", "cohere"} and case[4]]
)
@pytest.mark.parametrize("crossed", [False, True])
def test_a_stream_costs_what_the_plain_answer_costs(name, crossed):
    provider, dialect, model, answer, usd = CASES[name]
    if dialect == "responses":
        begin = {"type": "response.created", "response": answer | {"output": [], "usage": None}}
        events = [begin, {"type": "response.completed", "response": answer}]
    elif dialect == "anthropic":
        begin = {"type": "message_start", "message": answer | {"content": [], "usage": {"input_tokens": 1}}}
        end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": answer["usage"]}
        events = [begin, end, {"type": "message_stop"}]
    elif dialect == "openai":
        chunk = {key: value for key, value in answer.items() if key != "usage"} | {"object": "chat.completion.chunk"}
        choice = {"index": 0, "delta": {"content": "hello"}, "finish_reason": None}
        end = {"index": 0, "delta": {}, "finish_reason": "stop"}
        events = [chunk | {"choices": [choice]}, chunk | {"choices": [end]}, answer | {"choices": []}]
    else:
        first = {key: value for key, value in answer.items() if key != "usageMetadata"}
        candidate = {key: value for key, value in answer["candidates"][0].items() if key != "finishReason"}
        last = {"index": 0, "finishReason": "STOP"}
        events = [first | {"candidates": [candidate]}, answer | {"candidates": [last]}]
    client = dialect if not crossed else "anthropic" if dialect == "openai" else "openai"
    tap = translation(provider, "chat", dialect, model, client, stream=True).tap()
    for event in events:
        kind = f"event: {event['type']}\n" if "type" in event else ""
        tap.feed(f"{kind}data: {msgspec.json.encode(event).decode()}\n\n".encode())
    tap.finish()
    cost, _ = booked(provider, model, tap.metadata)
    assert Decimal(cost) / 10**9 == Decimal(usd)


def test_embeddings_that_tell_only_a_total_are_input():
    body = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}], "model": "voyage-3.5"}
    metadata = translation("voyage", "embeddings", "openai", "voyage-3.5").read(
        msgspec.json.encode(body | {"usage": {"total_tokens": 800}}), []
    )
    assert metadata.usage == TokenUsage(input=800, output=None) or metadata.usage.output_total == 0
    assert booked("voyage", "voyage-3.5", metadata)[0] == 48_000


def test_a_picture_stream_ends_with_its_last_event_and_is_charged():
    # OpenAI API reference, "Image streaming": 4,160 tokens of gpt-image-1 at 40 USD and 50 of text at 5 for a million.
    usage = {**DRAWN, "total_tokens": 4210}
    tap = translation("openai", "images", "openai", "gpt-image-1", stream=True).tap()
    large = "A" * 2_000_000
    for kind, more in (("partial_image", {}), ("completed", {"usage": usage})):
        event = {"type": f"image_generation.{kind}", "b64_json": large, **more}
        data = b"event: x\ndata: " + msgspec.json.encode(event) + b"\n\n"
        assert tap.feed(data) == data
    assert tap.is_clean
    assert Decimal(booked("openai", "gpt-image-1", tap.metadata)[0]) / 10**9 == Decimal("0.16665")
    assert tap.metadata.units == {"images": 1}


OPENROUTER, PERPLEXITY, XAI = (PROVIDERS[name].quirks for name in ("openrouter", "perplexity", "xai"))


def test_a_cost_that_is_no_figure_is_not_believed():
    assert stated(b'{"cost":0.5}', OPENROUTER) == 500_000_000
    assert stated(b'{"cost":{"total_cost":1}}', PERPLEXITY) == 10**9
    assert stated(b'{"cost_in_usd_ticks":37756000}', XAI) == 3_775_600
    assert (
        stated(b'{"cost":0.1,"is_byok":true,"cost_details":{"upstream_inference_cost":2}}', OPENROUTER) == 2_100_000_000
    )
    assert (
        stated(b'{"cost":0.1,"is_byok":false,"cost_details":{"upstream_inference_cost":2}}', OPENROUTER) == 100_000_000
    )
    assert stated(b'{"cost":0.1,"is_byok":true,"cost_details":{"upstream_inference_cost":null}}', OPENROUTER) is None
    for text in (b"-1", b"true", b'"x"', b"{}", b"1e9", b"[1]", b"nope", b"null"):
        assert stated(b'{"cost":%b}' % text, OPENROUTER) is None
    assert stated(b'{"cost":1}', PERPLEXITY) is None
    assert stated(b'{"cost":1}', XAI) is None


@pytest.mark.parametrize(
    ("usd", "booked_usd"),
    [("0.0133176", "0.0133176"), ("0.0004", "0.0004"), ("0.25", "0.25"), ("0.3", "0.0033176"), ("0", "0.0033176"), ("900", "0.0033176")],
)  # fmt: skip
def test_a_cost_far_from_the_list_is_never_booked(usd, booked_usd):
    usage = {"prompt_tokens": 8174, "completion_tokens": 30, "total_tokens": 8204, "cost": float(usd)}
    way = translation("openrouter", "chat", "openai", "openai/gpt-4.1-mini")
    metadata = way.read(msgspec.json.encode(chat(usage, "openai/gpt-4.1-mini")), [])
    assert Decimal(booked("openrouter", "openai/gpt-4.1-mini", metadata)[0]) / 10**9 == Decimal(booked_usd)


def test_a_cost_of_a_provider_whose_row_names_none_is_not_booked_and_said():
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100, "cost": 0.9}
    metadata = translation("groq", "chat", "openai", "llama-3.3-70b-versatile").read(
        msgspec.json.encode(chat(usage, "llama-3.3-70b-versatile")), []
    )
    cost, _ = booked("groq", "llama-3.3-70b-versatile", metadata)
    assert cost == 1000 * 590 + 100 * 790
    bill = bill_of(
        types.SimpleNamespace(course=None, pricer=None), metadata, PROVIDERS["groq"].quirks, lambda name: None
    )
    assert bill.is_foreign and bill.charged_nanousd is None


@pytest.mark.parametrize("client", ["gemini", "openai"])
def test_a_picture_of_ten_megabytes_is_one_event(client):
    # Google, "Gemini API pricing": 1,290 tokens of a picture at 30 USD for a million, and ten of text at 0.30.
    data = {"inlineData": {"mimeType": "image/png", "data": "A" * 10_000_000}}
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 1290}
    usage["candidatesTokensDetails"] = [{"modality": "IMAGE", "tokenCount": 1290}]
    answer = gemini(usage, "gemini-2.5-flash-image", content={"role": "model", "parts": [data]})
    event = b"data: " + msgspec.json.encode(answer) + b"\r\n\r\n"
    tap = translation("gemini", "chat", "gemini", "gemini-2.5-flash-image", client, stream=True).tap()
    out = b"".join(tap.feed(event[at : at + 65_536]) for at in range(0, len(event), 65_536)) + tap.finish()
    assert len(out) > 10_000_000
    assert tap.is_clean
    assert booked("gemini", "gemini-2.5-flash-image", tap.metadata)[0] == 38_703_000
