"""Bedrock's Converse: reads what answers and streams that pass say about themselves. Level 1."""

import base64
import contextlib

import msgspec

from switchgear.core.errors import UNREADABLE
from switchgear.core.usage import TokenUsage
from switchgear.dialects import request as hub_request
from switchgear.dialects.answer_metadata import AnswerMetadata, cap
from switchgear.dialects.bedrock.answers import usage_of_raw
from switchgear.dialects.bedrock.streams import tier_of
from switchgear.dialects.json_node import (
    Node,
    decode_event,
)
from switchgear.dialects.taps import BinaryTap, Tap, TapState
from switchgear.dialects.text_count import Opening, needles

_COUNTS = {
    b"x-amzn-bedrock-input-token-count": "input",
    b"x-amzn-bedrock-output-token-count": "output",
    b"x-amzn-bedrock-cache-read-input-token-count": "cache_read",
    b"x-amzn-bedrock-cache-write-input-token-count": "cache_write_5m",
}


_METRICS = {
    "inputTokenCount": "input",
    "outputTokenCount": "output",
    "cacheReadInputTokenCount": "cache_read",
    "cacheWriteInputTokenCount": "cache_write_5m",
}


class _Creation(msgspec.Struct):
    ephemeral_1h_input_tokens: int = 0


class _ClaudesUsage(msgspec.Struct):
    cache_creation: _Creation | None = None


class _Invoked(msgspec.Struct):
    usage: _ClaudesUsage | None = None


_decode_invoked = msgspec.json.Decoder(_Invoked).decode
_decode_usage = msgspec.json.Decoder(_ClaudesUsage).decode


def _long_of(usage: _ClaudesUsage | None) -> int:
    return (
        usage.cache_creation.ephemeral_1h_input_tokens if usage is not None and usage.cache_creation is not None else 0
    )


def _split(usage: TokenUsage, long: int) -> TokenUsage:
    """Return the counts with what was written to the cache for an hour apart, which costs more: Bedrock's own have one figure, and
    Claude's `usage` both (seen in recorded exchanges)."""
    written = usage.cache_write_5m or 0
    long = max(0, min(long, written))
    return msgspec.structs.replace(usage, cache_write_5m=written - long, cache_write_1h=long) if long else usage


def usage_of_headers(headers: list[tuple[bytes, bytes]], body: bytes = b"") -> TokenUsage | None:
    """Read Bedrock's own counts from a response's headers (seen in recorded exchanges); None where there are none."""
    found = {
        _COUNTS[name]: int(value)
        for name, value in headers
        if name in _COUNTS and value.isdigit() and len(value) < 10  # more is no count
    }
    if not found:
        return None
    usage = TokenUsage(**found)
    if not usage.cache_write_5m:
        return usage
    try:
        return _split(usage, _long_of(_decode_invoked(body).usage))
    except UNREADABLE:
        return usage


def read_invoke_event(kind: str, event: Node, state: TapState) -> None:
    """Read one message of an invoked model's stream: its last chunk carries Bedrock's counts."""
    if kind != "chunk":
        return
    try:
        state.memory = base64.b64decode(event.text("bytes") or "")
        value = decode_event(state.memory)
    except ValueError:
        return
    chunk = Node(value if isinstance(value, dict) else {})
    if chunk.text("type") == "message_start":
        with contextlib.suppress(*UNREADABLE):
            state.noted = _long_of(_decode_usage(chunk.object("message").raw("usage")))
    metrics = chunk.object("amazon-bedrock-invocationMetrics")
    counts = {name: metrics.integer(key) for key, name in _METRICS.items() if metrics.has(key)}
    if counts:
        usage = _split(TokenUsage(**counts), state.noted)
        state.metadata.usage = usage if usage.is_sane() else None
        state.is_done = True
    reason = chunk.object("delta").text("stop_reason") if isinstance(chunk.get("delta"), dict) else None
    state.metadata.finish_reason = cap(reason) or state.metadata.finish_reason


def read_answer(body: Node) -> AnswerMetadata:
    """Read what a plain answer says about itself."""
    return AnswerMetadata(usage_of_raw(body.raw("usage")), cap(body.text("stopReason")), service_tier=tier_of(body))


def read_event(kind: str, event: Node, state: TapState) -> None:
    """Read one message of a stream."""
    if kind == "messageStop":
        state.metadata.finish_reason = cap(event.text("stopReason"))
    elif kind == "metadata":
        state.metadata.usage = usage_of_raw(event.raw("usage"))
        state.metadata.service_tier = tier_of(event)
        state.is_done = True


TEXTS = needles("text", "input", "thinking", "partial_json", "completion", "generation", "outputText")
"""Invoked models have their own."""


OPENINGS = (Opening((b'"toolUse":{', b'"name":'), 25),)


def open_tap(request: hub_request.Request) -> Tap:
    """Return what reads from a stream that passes."""
    return BinaryTap(read_invoke_event if request.operation == "invoke" else read_event, TEXTS, OPENINGS)
