"""Texts in deltas are counted, and nothing else; a stream that is cut is charged about what it said."""

import json
import statistics

import pytest

from switchgear.dialects import cohere
from switchgear.dialects.anthropic import tap as anthropic
from switchgear.dialects.bedrock import tap as bedrock
from switchgear.dialects.gemini import tap as gemini
from switchgear.dialects.openai import tap as openai
from switchgear.dialects.request import Request
from switchgear.dialects.responses import tap as responses
from switchgear.dialects.text_count import TextCount
from switchgear.dialects.translation import Translation
from switchgear.testing import recordings

TEXTS = {
    "openai": openai.TEXTS,
    "bedrock": bedrock.TEXTS,
    "responses": responses.TAP_RULES.texts,
    "anthropic": anthropic.TAP_RULES.texts,
    "gemini": gemini.TAP_RULES.texts,
    "cohere": cohere.TAP_RULES.texts,
}


def counted(dialect, *events):
    count = TextCount(TEXTS[dialect])
    for event in events:
        count.add(event)
    return count.deltas, count.size


@pytest.mark.parametrize(
    ("dialect", "event", "text"),
    [
        ("openai", b'data: {"choices":[{"index":0,"delta":{"content":"Hi there"},"finish_reason":null}]}\n\n', "Hi there"),
        ("openai", b'data: {"choices": [{"delta": {"content": "Hi there"}}]}\n\n', "Hi there"),
        ("openai", b'data: {"choices":[{"delta":{"content":null,"reasoning_content":"hmm"}}]}\n\n', "hmm"),
        ("openai", b'data: {"choices":[{"delta":{"content":"","reasoning":"hmm","reasoning_details":[{"text":"hmm"}]}}]}\n\n', "hmm"),
        ("openai", b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"a\\":"}}]}}]}\n\n', '{\\"a\\":'),
        ("openai", b'data: {"choices":[{"text":"Hi","logprobs":null}]}\n\n', "Hi"),
        ("openai", b'data: {"choices":[{"delta":{"content":"Hi"},"logprobs":{"content":[{"token":"Hi"}]}}],"obfuscation":"xyz"}\n\n', "Hi"),
        ("anthropic", b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}       }\n\n', "Hi"),
        ("anthropic", b'data: {"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"so"}}\n\n', "so"),
        ("anthropic", b'data: {"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"{}"}}\n\n', "{}"),
        ("responses", b'data: {"type":"response.output_text.delta","delta":"Hi","logprobs":[],"obfuscation":"abcdefgh"}\n\n', "Hi"),
        ("gemini", b'data: {"candidates":[{"content":{"parts":[{"text":"Hi "},{"text":"there"}]}}]}\n\n', "Hi there"),
        ("cohere", b'data: {"type":"content-delta","delta":{"message":{"content":{"text":"Hi"}}}}\n\n', "Hi"),
        ("bedrock", b'{"contentBlockIndex":0,"delta":{"text":"Hi"},"p":"abcdefghijk"}', "Hi"),
        ("bedrock", b'{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{}"}},"p":"abc"}', "{}"),
    ],
)  # fmt: skip
def test_the_text_of_a_delta_is_counted(dialect, event, text):
    assert counted(dialect, event)[1] == len(text)


@pytest.mark.parametrize(
    ("dialect", "event"),
    [
        ("anthropic", b'event: ping\ndata: {"type": "ping"}\n\n'),
        ("anthropic", b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'),
        ("anthropic", b'data: {"type":"content_block_delta","delta":{"type":"signature_delta","signature":"RXJhbmRvbQ=="}}\n\n'),
        ("anthropic", b'data: {"type":"message_start","message":{"content":[],"usage":{"input_tokens":25}}}\n\n'),
        ("responses", b'data: {"type":"response.created","response":{"instructions":"be good","tools":[{"description":"long"}]}}\n\n'),
        ("responses", b'data: {"type":"response.output_text.done","text":"the whole text again"}\n\n'),
        ("responses", b'data: {"type":"response.output_item.done","item":{"content":[{"text":"again"}]}}\n\n'),
        ("gemini", b'data: {"candidates":[{"content":{"parts":[{"thoughtSignature":"AAAA","text":""}]}}]}\n\n'),
        ("openai", b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'),
        ("openai", b": OPENROUTER PROCESSING\n\n"),
    ],
)  # fmt: skip
def test_envelopes_repetitions_and_signatures_are_not(dialect, event):
    assert counted(dialect, event) == (0, 0)


def test_the_count_follows_a_stream_that_changes_between_thinking_text_and_calls():
    think = b'{"delta":{"type":"thinking_delta","thinking":"abcd"}}'
    text = b'{"delta":{"type":"text_delta","text":"ef"}}'
    call = b'{"delta":{"type":"input_json_delta","partial_json":"ghi"}}'
    assert counted("anthropic", text, think, think, text, call, text) == (6, 2 + 4 + 4 + 2 + 3 + 2)


def test_several_events_in_one_piece_and_broken_ones():
    event = b'data: {"choices":[{"delta":{"content":"a\\"b"}}]}\n\n'
    assert counted("openai", event * 3) == (3, 12)
    assert counted("openai", b'{"content":"no end') == (0, 0)
    assert counted("openai", b'{"content":"ends in \\"') == (0, 0)


def test_money_43_a_long_cut_stream_is_charged_by_its_words():
    """cases/money/43: 1,000 deltas of two words, about 2,400 tokens."""
    request = Request({}, "anthropic", "chat", "m", True)
    tap = Translation(request, "anthropic", "anthropic", 0, False, "id").tap()
    start = {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 25, "output_tokens": 1}}}
    tap.feed(b"event: message_start\ndata: %b\n\n" % json.dumps(start).encode())
    tap.feed(b'event: ping\ndata: {"type": "ping"}\n\n')
    for number in range(1000):
        delta = {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": f" word{number % 10} another"},
        }
        tap.feed(b"event: content_block_delta\ndata: %b\n\n" % json.dumps(delta).encode())
    assert 2_400 / 2 <= tap.output_tokens_estimate <= 2_400 * 2
    assert tap.metadata.usage.input == 25


# A second reader of streams: what was said, and what the provider charged. It shares nothing with the product.


def events_of(one):
    if one.content_type.startswith("application/vnd"):
        from botocore.eventstream import EventStreamBuffer

        buffer = EventStreamBuffer()
        buffer.add_data(one.body)
        for message in buffer:
            kind = message.headers.get(":event-type", "")
            yield {"type": kind, **json.loads(message.payload or b"{}")}, len(message.payload)
        return
    at = 0
    for block in one.body.decode().replace("\r\n", "\n").split("\n\n"):
        at += len(block.encode()) + 2
        data = "".join(line[5:].lstrip() for line in block.split("\n") if line.startswith("data:"))
        if data and data != "[DONE]":
            yield json.loads(data), at


def said(event):
    """Texts, thoughts and arguments of one event."""
    kind = event.get("type", "")
    delta = event.get("delta")
    if kind.startswith("response."):
        return delta if isinstance(delta, str) else ""
    if kind == "content_block_delta":
        return delta.get("text", "") + delta.get("thinking", "") + delta.get("partial_json", "")
    if kind == "contentBlockDelta":
        thought = (delta.get("reasoningContent") or {}).get("text", "")
        return delta.get("text", "") + thought + (delta.get("toolUse") or {}).get("input", "")
    if kind in {"content-delta", "tool-call-delta", "tool-plan-delta", "tool-call-start"}:
        message = event["delta"]["message"]
        content = message.get("content") or {}
        call = ((message.get("tool_calls") or {}).get("function") or {}).get("arguments", "")
        return content.get("text", "") + content.get("thinking", "") + message.get("tool_plan", "") + call
    text = ""
    for choice in event.get("choices") or ():
        part = choice.get("delta") or {}
        text += (part.get("content") or "") + (part.get("refusal") or "")
        text += part.get("reasoning_content") or part.get("reasoning") or ""
        text += "".join((call.get("function") or {}).get("arguments") or "" for call in part.get("tool_calls") or ())
    for candidate in event.get("candidates") or ():
        for part in (candidate.get("content") or {}).get("parts") or ():
            text += part.get("text", "") + (json.dumps(part["functionCall"]["args"]) if "functionCall" in part else "")
    return text


def charged(events):
    """Visible output tokens by the provider's last word, and its hidden ones."""
    output = hidden = 0
    for event, _ in events:
        usage = (
            event.get("usage")
            or (event.get("response") or {}).get("usage")
            or (event.get("x_groq") or {}).get("usage")
            or {}
        )
        usage = (
            usage or (event.get("delta") or {}).get("usage", {}).get("tokens", {})
            if isinstance(event.get("delta"), dict)
            else usage
        )
        meta = event.get("usageMetadata") or {}
        total = usage.get("output_tokens") or usage.get("completion_tokens") or usage.get("outputTokens")
        if meta.get("candidatesTokenCount"):
            output, hidden = meta["candidatesTokenCount"], 0
        if total:
            details = usage.get("output_tokens_details") or usage.get("completion_tokens_details") or {}
            output, hidden = int(total), details.get("reasoning_tokens") or 0
    return output - hidden if output > hidden else output


def counted_by_google(events):
    """Gemini says in each event how much it has made, thoughts that it does not show included."""
    last = [event["usageMetadata"] for event, _ in events if "usageMetadata" in event][-1:]
    return sum(meta.get("candidatesTokenCount", 0) + meta.get("thoughtsTokenCount", 0) for meta in last)


@pytest.mark.skipif(recordings.folder() is None, reason="no recordings here")
def test_recorded_streams_that_are_cut_are_charged_about_what_they_said():
    ratios, streams = [], 0
    for one in recordings.exchanges():
        dialect = recordings.dialect_of(one.path)
        if dialect is None or not one.is_stream or one.status != 200:
            continue
        events = list(events_of(one))
        whole, tokens = sum(len(said(event)) for event, _ in events), charged(events)
        if not whole or tokens < 20:
            continue
        streams += 1
        for percent in (20, 40, 60, 80):
            cut = len(one.body) * percent // 100
            request = Request({}, dialect, "chat", "m", True)
            tap = Translation(request, dialect, dialect, 0, False, "id").tap()
            sent = tap.feed(one.body[:cut])
            part = sum(len(said(event)) for event, _ in events_of(_cut(one, sent)))
            true = counted_by_google(events_of(_cut(one, sent))) or tokens * part / whole
            if true < 10:
                continue
            seen, usage = tap.output_tokens_estimate, tap.metadata.usage
            booked = max(seen, usage.output_total if usage is not None else 0)
            ratios.append((booked / true, one.provider, one.id, percent, booked, round(true)))
    assert streams >= 20
    ratios.sort()
    found = [ratio for ratio, *_ in ratios]
    assert 0.8 <= statistics.median(found) <= 1.25
    assert found[int(len(found) * 0.95)] <= 2, ratios[-12:]


def _cut(one, sent):
    from msgspec import structs

    return structs.replace(one, body=sent)


DELTA = b'data: {"choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}\n\n'


def learned():
    count = TextCount(TEXTS["openai"])
    count.learn(DELTA % b"Hi")
    return count


@pytest.mark.parametrize("text", [b"there", b"[DONE]", b"\\n", "ü".encode(), b"tool: {}"])
def test_an_event_that_differs_in_its_text_alone_is_known_and_counted(text):
    count = learned()
    assert count.repeats(DELTA % text)
    assert (count.deltas, count.size) == counted("openai", DELTA % text)


@pytest.mark.parametrize(
    "event",
    [
        DELTA % b"",
        DELTA % b'say \\"yes\\"',
        DELTA % b'x"},"usage":{"prompt_tokens":1},"y":{"z":"',
        (DELTA % b"Hi").replace(b'"finish_reason":null', b'"finish_reason":"stop"'),
        (DELTA % b"Hi").replace(b'"index":0', b'"index":1'),
        (DELTA % b"Hi")[:-1],
        DELTA % b"Hi" + DELTA % b"there",
        b"data: [DONE]\n\n",
        b"",
        b'"',
    ],
)
def test_any_other_event_is_not(event):
    count = learned()
    assert not count.repeats(event)
    assert (count.deltas, count.size) == (0, 0)


@pytest.mark.parametrize(
    "event",
    [DELTA % b'a \\"', DELTA % b"Hi" + DELTA % b"Hi", (DELTA % b"Hi")[:-1], b'data: {"choices":[]}\n\n', b""],
)
def test_what_is_more_than_one_text_or_not_whole_is_not_learned(event):
    count = TextCount(TEXTS["openai"])
    count.learn(event)
    assert not count.repeats(event)


def test_a_stream_whose_events_differ_otherwise_is_given_up():
    count = TextCount(TEXTS["openai"])
    for number in range(100):
        count.learn(b'data: {"n":%d,"choices":[{"delta":{"content":"Hi"}}]}\n\n' % number)
    assert not count.repeats(b'data: {"n":99,"choices":[{"delta":{"content":"Hi"}}]}\n\n')


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "cohere"])
def test_the_end_of_a_stream_is_seen_after_repeated_events(dialect):
    event = {
        "openai": DELTA,
        "anthropic": b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%b"}}\n\n',
        "cohere": b'data: {"type":"content-delta","delta":{"message":{"content":{"text":"%b"}}}}\n\n',
    }[dialect]
    end = {
        "openai": b'data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":9}}\n\n',
        "anthropic": b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":1,"output_tokens":9}}\n\n',
        "cohere": b'data: {"type":"message-end","delta":{"finish_reason":"COMPLETE","usage":{"tokens":{"input_tokens":1,"output_tokens":9}}}}\n\n',
    }[dialect]
    tap = Translation(Request({}, dialect, "chat", "m", True), dialect, dialect, 0, False, "id").tap()
    sent = [event % b"word" for _ in range(20)] + [end]
    assert [tap.feed(data) for data in sent] == sent
    assert tap.metadata.usage.output_total == 9
    assert tap.metadata.finish_reason is not None
    assert tap.output_tokens_estimate == 20


def estimated(dialect, *events):
    openings = {
        "openai": openai.OPENINGS,
        "bedrock": bedrock.OPENINGS,
        "responses": responses.TAP_RULES.openings,
        "anthropic": anthropic.TAP_RULES.openings,
    }
    count = TextCount(TEXTS[dialect], openings[dialect])
    for event in events:
        count.add(event)
    return count.tokens


@pytest.mark.parametrize(
    ("dialect", "begins", "least", "most"),
    [
        # Recorded answers of one call each: what the provider counted, less a quarter of the arguments' characters.
        ("openai", b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]}}]}\n\n', 5, 20),
        ("anthropic", b'data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}\n\n', 30, 50),
        ("anthropic", b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n', 1, 5),
        ("responses", b'data: {"type":"response.output_item.added","item":{"id":"fc_1","type":"function_call","arguments":"","name":"f"}}\n\n', 8, 20),
        ("responses", b'data: {"type":"response.output_item.added","item":{"id":"msg_1","type":"message","content":[]}}\n\n', 1, 5),
        ("bedrock", b'{"contentBlockIndex":1,"start":{"toolUse":{"toolUseId":"t","name":"f"}}}', 15, 35),
    ],
)  # fmt: skip
def test_what_begins_comes_to_tokens_beside_its_texts(dialect, begins, least, most):
    assert least <= estimated(dialect, begins) <= most


def test_what_only_repeats_or_ends_begins_nothing():
    assert estimated("anthropic", b'data: {"type":"content_block_stop","index":1}\n\n') == 0
    done = b'data: {"type":"response.output_item.done","item":{"id":"fc_1","type":"function_call","name":"f"}}\n\n'
    assert estimated("responses", done) == 0
