"""Bedrock: what is read in passing."""

import base64
import json

import pytest

from switchgear.dialects.bedrock import tap
from switchgear.dialects.json_node import Node
from switchgear.dialects.request import Request
from switchgear.wire import eventstream

USAGE = {"inputTokens": 3, "outputTokens": 4, "cacheReadInputTokens": 2}


def opened(operation):
    return tap.open_tap(Request({}, "bedrock", operation, "m", True))


def chunk(value):
    return eventstream.event(
        "chunk", json.dumps({"bytes": base64.b64encode(json.dumps(value).encode()).decode()}).encode()
    )


def test_a_stream_passes_and_tells_usage_tier_and_why_it_ended():
    reader = opened("chat")
    data = (
        eventstream.event("contentBlockDelta", b'{"delta":{"text":"hello"}}')
        + eventstream.event("messageStop", b'{"stopReason":"end_turn"}')
        + eventstream.event("metadata", json.dumps({"usage": USAGE, "serviceTier": {"type": "flex"}}).encode())
    )
    assert b"".join(reader.feed(data[at : at + 9]) for at in range(0, len(data), 9)) + reader.finish() == data
    metadata = reader.metadata
    assert (metadata.usage.input, metadata.usage.output, metadata.usage.cache_read) == (3, 4, 2)
    assert (metadata.finish_reason, metadata.service_tier, reader.output_tokens_estimate) == ("end_turn", "flex", 1)
    assert reader.is_clean


def test_an_exception_is_no_clean_end():
    reader = opened("chat")
    reader.feed(eventstream.exception("modelStreamErrorException", b'{"message":"x"}'))
    assert reader.error and not reader.is_clean


def test_an_invoked_models_stream_tells_bedrocks_own_counts():
    reader = opened("invoke")
    metrics = {"inputTokenCount": 3, "outputTokenCount": 5}
    reader.feed(chunk({"delta": {"text": "hello", "stop_reason": "end_turn"}}))
    reader.feed(eventstream.event("other", b"{}") + eventstream.event("chunk", b'{"bytes":"AA"}'))
    reader.feed(chunk({"amazon-bedrock-invocationMetrics": metrics}))
    assert (reader.metadata.usage.input, reader.metadata.usage.output, reader.metadata.finish_reason) == (
        3,
        5,
        "end_turn",
    )
    assert reader.is_clean


def test_counts_in_headers_are_read_and_absurd_ones_are_not():
    headers = [(b"x-amzn-bedrock-input-token-count", b"3"), (b"x-amzn-bedrock-output-token-count", b"5"), (b"x", b"1")]
    found = tap.usage_of_headers(headers)
    assert (found.input, found.output) == (3, 5)
    assert tap.usage_of_headers([(b"x-amzn-bedrock-input-token-count", b"12345678901")]) is None


CREATED = {"usage": {"cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 70}}}


@pytest.mark.parametrize(
    ("written", "split"), [(100, (30, 70)), (50, (0, 50)), (0, (0, None))], ids=["both", "never more than all", "none"]
)
def test_an_invoked_claude_tells_what_was_written_to_the_cache_for_an_hour(written, split):
    headers = [
        (b"x-amzn-bedrock-input-token-count", b"3"),
        (b"x-amzn-bedrock-cache-write-input-token-count", b"%d" % written),
    ]
    found = tap.usage_of_headers(headers, json.dumps(CREATED).encode())
    assert (found.cache_write_5m, found.cache_write_1h) == split
    reader = opened("invoke")
    reader.feed(chunk({"type": "message_start", "message": CREATED}))
    metrics = {"inputTokenCount": 3, "outputTokenCount": 5, "cacheWriteInputTokenCount": written}
    reader.feed(chunk({"amazon-bedrock-invocationMetrics": metrics}))
    assert (reader.metadata.usage.cache_write_5m, reader.metadata.usage.cache_write_1h) == split


@pytest.mark.parametrize(
    "body", [b"", b"[1]", b"{", b'{"usage":5}', b'{"usage":{"cache_creation":{"ephemeral_1h_input_tokens":-5}}}']
)
def test_an_odd_body_of_an_invoked_model_changes_no_count(body):
    headers = [(b"x-amzn-bedrock-cache-write-input-token-count", b"9")]
    assert tap.usage_of_headers(headers, body).cache_write_5m == 9


def test_a_plain_answer_tells_its_tier_where_it_has_one():
    metadata = tap.read_answer(Node({"usage": USAGE, "stopReason": "end_turn", "serviceTier": {"type": "priority"}}))
    assert (metadata.usage.input, metadata.finish_reason, metadata.service_tier) == (3, "end_turn", "priority")
    assert tap.read_answer(Node({"serviceTier": 5})).service_tier is None
