"""Bedrock's Converse: answers to and from the canonical values, and what they say of usage. Level 1, sans-I/O.

Amazon Bedrock API reference, "Converse" and "ConverseStream" (as of 2026-11). Usage: `inputTokens` excludes what was
read from or written to the cache. Streams are binary (`wire.eventstream`).
"""

from typing import Any

import msgspec

from switchgear.core.steps import Steps, Stepwise
from switchgear.core.usage import TokenUsage
from switchgear.dialects import canonical, media
from switchgear.dialects.answer_metadata import usage_reader
from switchgear.dialects.bedrock.requests import FORMAT_NAMES, MAKER, decode_blocks, encode_media, without_served
from switchgear.dialects.canonical import Answer, Finish, Media, Part, Refusal, Text, Thinking
from switchgear.dialects.dialect import (
    PLAIN_TOOLS,
    ClientTools,
)
from switchgear.dialects.json_node import (
    Node,
    object_of,
)

FINISHES: dict[str, Finish] = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "refusal",
    "pause_turn": "pause",
}


BROKEN = frozenset({"malformed_model_output", "malformed_tool_use"})
"""Reasons that say that there is no answer (Amazon Bedrock API reference, Converse, `stopReason`; read 2026-11-27)."""


FINISH_NAMES: dict[Finish, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "content_filtered",
    "refusal": "content_filtered",
    "pause": "end_turn",
}


class _CacheDetail(msgspec.Struct, rename="camel"):
    ttl: str | None = None
    input_tokens: int | None = None


class _Usage(msgspec.Struct, rename="camel"):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_details: list[_CacheDetail] | None = None


def _tokens(found: _Usage) -> TokenUsage | None:
    if found.input_tokens is None and found.output_tokens is None:
        return None
    written = found.cache_write_input_tokens
    long = sum(one.input_tokens or 0 for one in found.cache_details or () if one.ttl == "1h") or None
    return TokenUsage(
        input=found.input_tokens,
        cache_read=found.cache_read_input_tokens,
        cache_write_5m=max(0, (written or 0) - long) if long else written,
        cache_write_1h=long,
        output=found.output_tokens,
    )


usage_of_raw = usage_reader(_Usage, _tokens)


@Stepwise
def decode_answer(body: Node) -> Steps[Answer]:
    """Read a provider's answer."""
    if not body.has("output"):
        raise body.fail("an answer without output", "output")
    answer = Answer()
    parts = yield from decode_blocks(body.object("output").object("message").each("content"), answer.dropped)
    # Tools that Bedrock ran itself leave their results in the answer: they are no calls for the client.
    served = {part.call_id for part in parts if isinstance(part, canonical.ToolResult)}
    answer.dropped += [f"toolUse {call_id}" for call_id in served]
    answer.parts = without_served(parts, served)
    reason = body.text("stopReason") or "end_turn"
    if reason in BROKEN:
        raise body.fail(f"the model's answer is none ({reason})", "stopReason")
    answer.finish = FINISHES.get(reason, "stop")
    answer.usage = usage_of_raw(body.raw("usage"))
    return answer


@Stepwise
def encode_answer(answer: Answer, model: str, created: int, tools: ClientTools = PLAIN_TOOLS) -> Steps[dict[str, Any]]:
    """Build the answer for a client."""
    content = []
    for part in canonical.detach_signatures(answer.parts):
        yield
        content.append(_answer_block(part))
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": FINISH_NAMES[answer.finish],
        "usage": encode_usage(answer.usage),
        "metrics": {"latencyMs": 0},
    }


def _answer_block(part: Part) -> dict[str, Any]:
    if isinstance(part, Text | Refusal):
        return {"text": part.text}
    if isinstance(part, canonical.ToolCall):
        return {"toolUse": {"toolUseId": part.id, "name": part.name, "input": object_of(part.arguments)}}
    if isinstance(part, Thinking):
        if part.redacted is not None and part.maker == MAKER:
            return {"reasoningContent": {"redactedContent": part.redacted}}
        text = {"text": part.text}
        signature = canonical.pack_signature(part.signature or part.redacted, part.maker, MAKER)
        return {"reasoningContent": {"reasoningText": text | ({"signature": signature} if signature else {})}}
    if isinstance(part, Media) and part.kind == "image" and part.data is not None and part.mime in FORMAT_NAMES:
        return encode_media(part, set())
    return {"text": f"![image]({media.to_url(part)})" if isinstance(part, Media) else ""}


def encode_usage(usage: TokenUsage | None) -> dict[str, Any]:
    """Build a usage object."""
    known = usage or TokenUsage()
    uncached = (known.input or 0) + (known.audio_in or 0) + (known.image_in or 0) + (known.video_in or 0)
    return {
        "inputTokens": uncached,
        "outputTokens": known.output_total,
        "totalTokens": known.input_total + known.output_total,
        "cacheReadInputTokens": known.cached_total,
        "cacheWriteInputTokens": (known.cache_write_5m or 0) + (known.cache_write_1h or 0),
    }
