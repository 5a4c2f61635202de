"""Bedrock's Converse: reads what answers and streams that pass say about themselves. Level 1."""

import base64

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


def usage_of_headers(headers: list[tuple[bytes, bytes]]) -> TokenUsage | None:
    """Read Bedrock's own counts from a response's headers (seen in recorded exchanges); None where there are none."""
    found = {
        _COUNTS[name]: int(value)
        for name, value in headers
        if name in _COUNTS and value.isdigit() and len(value) < 10  # more is no count
    }
    return TokenUsage(**found) if found else None


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
    metrics = chunk.object("amazon-bedrock-invocationMetrics")
    counts = {name: metrics.integer(key) for key, name in _METRICS.items() if metrics.has(key)}
    if counts:
        usage = TokenUsage(**counts)
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
