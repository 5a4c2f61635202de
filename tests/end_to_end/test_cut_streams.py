"""What a stream that is cut is booked at, beside what its provider had written by then: over all recorded streams.

Each stream is cut where its usage is about to be told, and at every quarter of its bytes. The truth at the end is the provider's own
figure, as are the running totals of Gemini; else it is that figure's share by the characters of text, thinking and arguments that were there, counted from the
events' JSON by the lines below, which share nothing with the product's readers.
"""

import json
import statistics
import types
import urllib.parse

import msgspec
import pytest
from tests.end_to_end.test_bills import MODEL

from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.edge import settle
from switchgear.edge.upstream_answers import StreamAnswer
from switchgear.providers.catalogue import PROVIDERS
from switchgear.testing import recordings
from switchgear.wire import eventstream

pytestmark = pytest.mark.skipif(recordings.folder() is None, reason="no recordings here")

TEXTS = frozenset(
    {"text", "thinking", "partial_json", "content", "reasoning_content", "reasoning", "arguments", "input"}
)


def pieces(exchange):
    """The events of a stream: their bytes, and their JSON."""
    if "eventstream" in exchange.content_type:
        found = eventstream.Decoder().feed(exchange.body)
        return [(message.raw, json.loads(message.payload or b"{}")) for message in found]
    out = []
    for block in exchange.body.replace(b"\r\n", b"\n").split(b"\n\n"):
        data = b"".join(line[5:].strip() for line in block.split(b"\n") if line.startswith(b"data:"))
        out.append((block + b"\n\n", json.loads(data) if data and data != b"[DONE]" else {}))
    return out


def characters(value, inside=False):
    """The characters of an event's deltas."""
    if isinstance(value, list):
        return sum(characters(one, inside) for one in value)
    if not isinstance(value, dict):
        return 0
    total = 0
    for key, one in value.items():
        if (key == "delta" and isinstance(one, str)) or (inside and key in TEXTS and isinstance(one, str)):
            total += len(one)
        elif inside and key == "args":
            total += len(json.dumps(one))
        elif key in {
            "delta",
            "choices",
            "candidates",
            "content",
            "parts",
            "functionCall",
            "tool_calls",
            "function",
            "message",
        }:
            total += characters(one, inside or key in {"delta", "parts"})
        elif key == "toolUse" or (inside and key in {"reasoningContent", "reasoningText"}):
            total += characters(one, True)
    return total


def written(exchange, dialect, events):
    """(the provider's own count of what it wrote, the number of the first event that tells it)."""
    found = None
    for at, value in enumerate(events):
        if dialect == "anthropic" and value.get("type") == "message_delta":
            found = value["usage"]["output_tokens"], at
        elif dialect == "responses" and (usage := (value.get("response") or {}).get("usage")):
            found = usage["output_tokens"], at
        elif dialect == "bedrock" and "usage" in value:
            found = value["usage"]["outputTokens"], at
        elif dialect == "gemini" and any("finishReason" in one for one in value.get("candidates", ())):
            usage = value["usageMetadata"]
            found = usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0), at
        elif dialect == "openai":
            usage = value.get("usage") or (value.get("x_groq") or {}).get("usage")
            found = (usage["completion_tokens"], at) if usage else found
    return found


def told(dialect, parts, size):
    """What Gemini, which repeats running totals, has told within so many bytes; 0 where nothing was told."""
    found = 0
    for raw, value in parts:
        size -= len(raw)
        usage = value.get("usageMetadata", {}) if dialect == "gemini" and size >= 0 else {}
        found = max(found, usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0))
    return found


def booked(exchange, dialect, row, data):
    """Output tokens as the edge books them for a stream that is cut after these bytes."""
    in_path = MODEL.search(urllib.parse.unquote(exchange.path))
    model = in_path.group(1) if in_path else exchange.request["model"]
    given = (model, True) if in_path else (None, None)
    request = parse(msgspec.json.encode(exchange.request), dialect, "chat", *given)
    translation = open_translation(request, dialect, dialect, model, row.quirks, created=1)
    streamed = StreamAnswer(translation, None, request.output_tokens_max, 0.0)
    streamed.feed(data)
    context = types.SimpleNamespace(input_estimate=1, usage=None, estimate_reason=None)
    metadata = streamed.metadata
    settle.complete(context, metadata.usage, streamed.seen_tokens, metadata.finish_reason is not None, "cut")
    return context.usage.output_total


def measured():
    """(dialect, recording, quarter or "end", booked ÷ true) of every cut that has written something."""
    for exchange in recordings.exchanges():
        dialect, row = recordings.dialect_of(exchange.path.split("?")[0]), PROVIDERS.get(exchange.provider)
        if not exchange.is_stream or exchange.status != 200 or dialect is None or row is None:
            continue
        parts = pieces(exchange)
        found = written(exchange, dialect, [value for _, value in parts])
        if found is None or not found[0]:
            continue
        total, last = found
        whole = b"".join(raw for raw, _ in parts[:last])
        counts = [characters(value) for _, value in parts[:last]]
        yield dialect, exchange.id, "end", booked(exchange, dialect, row, whole) / total
        for quarter in (1, 2, 3):
            cut = whole[: len(whole) * quarter // 4]
            size = seen = 0
            for (raw, _), count in zip(parts, counts, strict=False):
                size += len(raw)
                seen += count if size <= len(cut) else 0
            if seen:
                true = told(dialect, parts, len(cut)) or max(1.0, total * seen / sum(counts))
                yield dialect, exchange.id, quarter, booked(exchange, dialect, row, cut) / true


def test_streams_that_are_cut_are_booked_at_about_what_was_written():
    rows = list(measured())
    ends = sorted(ratio for _, _, cut, ratio in rows if cut == "end")
    every = sorted(ratio for *_, ratio in rows)
    assert len(ends) >= 50 and len(every) >= 120
    for ratios in (ends, every):
        assert 0.8 <= statistics.median(ratios) <= 1.25, (statistics.median(ratios), rows)
        assert ratios[int(len(ratios) * 0.95)] <= 2, [row for row in rows if row[3] > 2]
    print(
        f"\n{len(ends)} streams: median {statistics.median(ends):.2f}, p95 {ends[int(len(ends) * 0.95)]:.2f} before their usage;"
    )
    print(f"{len(every)} cuts: median {statistics.median(every):.2f}, p95 {every[int(len(every) * 0.95)]:.2f}")
