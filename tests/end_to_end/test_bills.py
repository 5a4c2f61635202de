"""Recorded exchanges, priced: what is booked beside what the provider charges, by its own words or by genai-prices.

The expected bill is read from the provider's JSON by the oracle's extractor and by the few lines here, which share nothing with
the product's readers.
"""

import datetime
import json
import re
import types
import urllib.parse
from decimal import Decimal

import msgspec
import pytest
from genai_prices import Usage
from genai_prices.data import providers

from switchgear.app.layout import PriceFiles, price_snapshot
from switchgear.dialects.json_node import InvalidBodyError
from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.edge import settle
from switchgear.edge.bill import bill_of
from switchgear.pricing.catalog import Catalog
from switchgear.pricing.price import Pricer
from switchgear.providers.catalogue import PROVIDERS
from switchgear.testing import recordings
from switchgear.wire import eventstream

pytestmark = pytest.mark.skipif(recordings.folder() is None, reason="no recordings here")

AT = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
AT_MS = int(AT.timestamp() * 1000)
ORACLE = {provider.id: provider for provider in providers}
CATALOG = Catalog(PriceFiles().load, price_snapshot())
MODEL = re.compile(r"/models?/([^/:]+(?::\d+)?)[:/](?:generateContent|streamGenerateContent|converse)")


def objects(exchange):
    """The JSON objects of an answer, in their order."""
    if not exchange.is_stream:
        return [json.loads(exchange.body)]
    if "eventstream" in exchange.content_type:
        return [json.loads(m.payload) for m in eventstream.Decoder().feed(exchange.body) if m.payload]
    blocks = exchange.body.decode().replace("\r\n", "\n").split("\n\n")
    datas = ["".join(line[5:].strip() for line in b.split("\n") if line.startswith("data:")) for b in blocks]
    return [json.loads(data) for data in datas if data and data != "[DONE]"]


def answer_of(dialect, events):
    """The answer as one object: of a stream, the event that tells the usage, with what only its beginning says."""
    if len(events) == 1:
        return events[0]
    if dialect == "responses":
        return next((event["response"] for event in reversed(events) if event.get("response", {}).get("usage")), None)
    if dialect == "anthropic":
        begin = next((event["message"] for event in events if event.get("type") == "message_start"), None)
        ends = [event["usage"] for event in events if event.get("type") == "message_delta"]
        if begin is None or not ends:
            return None
        return begin | {"usage": begin["usage"] | {k: v for k, v in ends[-1].items() if v is not None}}
    if dialect == "bedrock":
        return next((event for event in reversed(events) if "usage" in event), None)
    key = "usageMetadata" if dialect == "gemini" else "usage"
    last = next((event for event in reversed(events) if event.get(key)), None)
    if last is not None and dialect == "gemini":
        grounds = [c["groundingMetadata"] for e in events for c in e.get("candidates", ()) if "groundingMetadata" in c]
        candidates = [{"groundingMetadata": g} for g in grounds]
        last = last | {"candidates": candidates or last.get("candidates", [])}
    return last


def counted(dialect, answer, model):
    """What the oracle's extractor does not count: searches (of the web, of files), containers, further models' tokens."""
    web = files = containers = 0
    others = []
    if dialect == "anthropic":
        web = (answer["usage"].get("server_tool_use") or {}).get("web_search_requests") or 0
        others = [i for i in answer["usage"].get("iterations") or () if i.get("type") == "advisor_message"]
    elif dialect == "responses":
        kinds = [item["type"] for item in answer["output"]]
        web = sum(
            item["type"] == "web_search_call" and (item.get("action") or {}).get("type", "search") == "search"
            for item in answer["output"]
        )
        web = (answer.get("tool_usage") or {}).get("web_search", {}).get("num_requests", web)
        files = kinds.count("file_search_call")
        containers = len({i.get("container_id") for i in answer["output"] if i["type"] == "code_interpreter_call"})
    elif dialect == "gemini":
        queries = {
            q
            for c in answer.get("candidates") or ()
            for q in (c.get("groundingMetadata") or {}).get("webSearchQueries", ())
            if q
        }
        web = len(queries) if "gemini-3" in model else min(1, len(queries))
    return web, files, containers, others


def bill(dialect, row, model, answer, at=AT):
    """USD by the provider's words, else by the oracle; None where neither knows."""
    usage = answer.get("usage") or {}
    if row.name == "openrouter" and usage.get("cost") is not None:
        # With a key of one's own it is OpenRouter's fee alone, and the maker charges its user beside it.
        own = usage["cost_details"]["upstream_inference_cost"] if usage.get("is_byok") else 0
        return Decimal(str(usage["cost"])) + Decimal(str(own))
    oracle = ORACLE.get(row.pricing_id)
    if oracle is None:
        return None
    found = None
    for flavor in ({"openai": "chat"}.get(dialect, dialect), "default", "chat", "embeddings"):
        try:
            found = oracle.extract_usage(answer, api_flavor=flavor)[1]
            break
        except (ValueError, LookupError, TypeError, AttributeError):
            continue
    if found is None:
        return None
    web, files, containers, others = counted(dialect, answer, model)
    if web:
        found.web_searches = web
    if files:
        found.storage_searches = files
    named = [answer.get("model") or answer.get("modelVersion") or model, model]
    info = next((i for name in named if (i := oracle.find_model(name.lower())) is not None), None)
    if info is None:
        return None
    tier = answer.get("service_tier") or usage.get("service_tier")
    context = {"service_tier": tier} if tier else None
    total = info.calc_price(found, oracle, genai_request_timestamp=at, price_context=context).total_price
    said = answer.get("usageMetadata") or {}
    if "FLEX" in (said.get("trafficType") or "") or said.get("serviceTier") == "flex":
        total /= 2
    if (answer.get("serviceTier") or {}).get("type") == "flex":
        total /= 2
    for other in others:
        tokens = Usage(input_tokens=other["input_tokens"], output_tokens=other["output_tokens"])
        total += oracle.find_model(other["model"]).calc_price(tokens, oracle, genai_request_timestamp=at).total_price
    return total + containers * Decimal("0.03")


class Plain(types.SimpleNamespace):
    """A request of which nothing is told but its bill."""

    def __getattr__(self, name):
        return None


def booked(row, model, metadata):
    """USD as the edge books it, None where it has no price."""

    def find(name):
        price = CATALOG.find(row.name, row.pricing_id, name, AT_MS)
        return Pricer(price) if price is not None else None

    context = Plain(pricer=find(model), usage=metadata.usage, units=metadata.units, id="i", status=200)
    context.__dict__.update(outcome="ok", attempts=[], bytes_out=0)
    context.__dict__.update(
        error=None, dropped=None, course=None, rerouted=None, is_late=False, is_cut_off=False, is_untold=False
    )
    spool = types.SimpleNamespace(settle=lambda request_id, payload: None)
    more = bill_of(context, metadata, row.quirks, find)
    cost = settle.settle(context, spool, 1, service_tier=metadata.service_tier, bill=more)
    return None if cost is None else Decimal(cost) / 10**9


def priced():
    """Yield (exchange, booked, bill) of every recorded exchange that both can read."""
    for exchange in recordings.exchanges():
        dialect = recordings.dialect_of(exchange.path.split("?")[0])
        row = PROVIDERS.get(exchange.provider)
        if row is None or dialect is None or exchange.status != 200:
            continue
        in_path = MODEL.search(urllib.parse.unquote(exchange.path))
        model = in_path.group(1) if in_path else exchange.request.get("model")
        if model is None:
            continue
        try:
            given = (model, exchange.is_stream) if dialect in {"gemini", "bedrock"} else (None, None)
            request = parse(msgspec.json.encode(exchange.request), dialect, "chat", *given)
            translation = open_translation(request, dialect, dialect, model, row.quirks, created=1)
        except InvalidBodyError:
            continue
        if exchange.is_stream:
            tap = translation.tap()
            tap.feed(exchange.body)
            tap.finish()
            metadata = tap.metadata
        else:
            metadata = translation.read(exchange.body, [])
        answer = answer_of(dialect, objects(exchange))
        if answer is None or not isinstance(answer, dict):
            continue
        right = bill(dialect, row, model, answer)
        if right is not None:
            yield exchange, booked(row, model, metadata), right


def test_booked_costs_are_those_that_providers_charge():
    total = right = Decimal(0)
    count, far = 0, []
    for exchange, ours, theirs in priced():
        count += 1
        total += ours or 0
        right += theirs
        if ours is None or abs(ours - theirs) > max(Decimal("0.000000001"), theirs / 100):
            far.append((exchange.id, exchange.provider, str(ours), str(theirs)))
    assert count > 500
    assert Decimal("0.995") <= total / right <= Decimal("1.005"), (total, right, far)
    # Mistral's `num_cached_tokens`, which the oracle does not read, is all that differs.
    assert [one for one in far if one[1] != "mistral"] == []
