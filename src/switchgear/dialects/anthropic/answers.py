"""Anthropic messages: answers to and from the canonical values, and what they say of usage. Level 1, sans-I/O.

Anthropic API reference, "Messages", "Streaming", "Extended thinking", "Structured outputs" (as of 2026-11). Usage:
`input_tokens` excludes what was read from or written to the cache; `message_delta` repeats running totals, the last one
counts.
"""

from typing import Any

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.core.steps import Steps, Stepwise
from switchgear.core.usage import Beside, Other, TokenUsage
from switchgear.dialects import canonical, media
from switchgear.dialects.anthropic.requests import MAKER, decode_block
from switchgear.dialects.canonical import Answer, Finish, Media, Part, Refusal, Text, Thinking
from switchgear.dialects.dialect import (
    PLAIN_TOOLS,
    ClientTools,
)
from switchgear.dialects.json_node import Node, object_of

FINISHES: dict[str, Finish] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "refusal",
}


FINISH_NAMES: dict[Finish, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
}


class _Creation(msgspec.Struct):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class _ServerTools(msgspec.Struct):
    web_search_requests: int | None = None
    web_fetch_requests: int | None = None


class Usage(msgspec.Struct):
    """A usage object, as it stands in answers and stream events."""

    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: _Creation | None = None
    output_tokens: int | None = None
    service_tier: str | None = None
    server_tool_use: _ServerTools | None = None
    speed: str | None = None
    inference_geo: str | None = None
    iterations: "list[_Iteration] | None" = None

    @property
    def tier(self) -> str | None:
        """What the price goes by: the service tier; before it the fast mode, and inference in the United States alone, which
        cost more ("Fast mode", "Data residency", as of 2026-11)."""
        if self.speed == "fast":
            return "fast+us" if self.inference_geo == "us" else self.speed
        return self.inference_geo if self.inference_geo == "us" else self.service_tier

    def beside(self, model: str | None, has_container: bool = False) -> Beside:
        """Return what stands beside the tokens: searches, a container that ran code, which is free beside web tools ("Code
        execution tool", "Usage and pricing"), and tokens of a model that was asked for advice. Those of the answer's own
        rounds are in the totals ("Advisor tool", "Web search tool", as of 2026-11)."""
        tools = self.server_tool_use or _ServerTools()
        is_paid = has_container and not tools.web_search_requests and not tools.web_fetch_requests
        counts = {"web_searches": tools.web_search_requests or 0, "containers": int(is_paid)}
        others = [
            Other(one.model[:128], tokens)
            for one in self.iterations or ()
            if one.type == "advisor_message" and one.model is not None and (tokens := one.tokens()) is not None
        ]
        return Beside({name: count for name, count in counts.items() if count} or None, others or None, model)

    def merge(self, later: "Usage") -> "Usage":
        """Return these figures with those of a later event over them."""
        values = {
            field: getattr(self, field) if getattr(later, field) is None else getattr(later, field)
            for field in self.__struct_fields__
        }
        return Usage(**values)

    def tokens(self) -> TokenUsage | None:
        """Return the buckets, or None when there is nothing, or nothing sensible. A compaction's tokens are not in the
        totals ("Compaction", as of 2026-11)."""
        found = self._tokens()
        for one in self.iterations or ():
            if one.type == "compaction" and found is not None:
                found = _add(found, one.tokens())
        return found

    def _tokens(self) -> TokenUsage | None:
        if self.input_tokens is None and self.output_tokens is None:
            return None
        written, long = self.cache_creation_input_tokens, None
        if self.cache_creation is not None and self.cache_creation.ephemeral_1h_input_tokens:
            long = self.cache_creation.ephemeral_1h_input_tokens
            total = written if written is not None else long + (self.cache_creation.ephemeral_5m_input_tokens or 0)
            written = max(0, total - long)
        usage = TokenUsage(
            input=self.input_tokens,
            cache_read=self.cache_read_input_tokens,
            cache_write_5m=written,
            cache_write_1h=long,
            output=self.output_tokens,
        )
        return usage if usage.is_sane() else None


class _Iteration(Usage):
    type: str | None = None
    model: str | None = None


def _add(one: TokenUsage, more: TokenUsage | None) -> TokenUsage:
    if more is None:
        return one
    pairs = zip(one.__struct_fields__, msgspec.structs.astuple(one), msgspec.structs.astuple(more), strict=True)
    return TokenUsage(**{name: None if a is None and b is None else (a or 0) + (b or 0) for name, a, b in pairs})


_decode_usage = msgspec.json.Decoder(Usage | None, strict=False).decode


def usage_of_raw(raw: Raw) -> Usage | None:
    """Read a usage object; None where there is none that decodes."""
    try:
        found: Usage | None = _decode_usage(raw)
    except UNREADABLE:
        return None
    return found


@Stepwise
def decode_answer(body: Node) -> Steps[Answer]:
    """Read a provider's answer."""
    answer = Answer(id=body.text("id"), model=body.text("model"))
    if body.text("type") == "error" or not body.has("content"):
        raise body.fail("an answer without content", "content")
    for block in body.each("content"):
        yield
        part = decode_block(block, answer.dropped)
        if part is not None:
            answer.parts.append(part)
    answer.finish = FINISHES.get(body.text("stop_reason") or "end_turn", "stop")
    answer.stop_sequence = body.text("stop_sequence")
    usage = usage_of_raw(body.raw("usage"))
    if usage is not None:
        answer.usage, answer.service_tier = usage.tokens(), usage.tier
    return answer


@Stepwise
def encode_answer(answer: Answer, model: str, created: int, tools: ClientTools = PLAIN_TOOLS) -> Steps[dict[str, Any]]:
    """Build the answer for a client."""
    content = []
    for part in canonical.detach_signatures(answer.parts):
        yield
        content.append(_answer_block(part))
    return {
        "id": answer.id or "msg_unknown",
        "type": "message",
        "role": "assistant",
        "model": answer.model or model,
        "content": content,
        "stop_reason": FINISH_NAMES[answer.finish],
        "stop_sequence": answer.stop_sequence,
        "usage": encode_usage(answer.usage, answer.service_tier),
    }


def _answer_block(part: Part) -> dict[str, Any]:
    if isinstance(part, Text | Refusal):
        return {"type": "text", "text": part.text}
    if isinstance(part, canonical.ToolCall):
        return {"type": "tool_use", "id": part.id, "name": part.name, "input": object_of(part.arguments)}
    if isinstance(part, Thinking):
        if part.redacted is not None and part.maker == MAKER:
            return {"type": "redacted_thinking", "data": part.redacted}
        signature = canonical.pack_signature(part.signature or part.redacted, part.maker, MAKER)
        return {"type": "thinking", "thinking": part.text, "signature": signature}
    if isinstance(part, Media):
        return {"type": "text", "text": f"![image]({media.to_url(part)})"}
    raise AssertionError("no model answers with a tool's result")


def encode_usage(usage: TokenUsage | None, tier: str | None = None) -> dict[str, Any]:
    """Build a usage object; what is not known is 0, because clients add these figures up."""
    known = usage or TokenUsage()
    out: dict[str, Any] = {
        "input_tokens": (known.input or 0) + (known.audio_in or 0) + (known.image_in or 0) + (known.video_in or 0),
        "cache_creation_input_tokens": (known.cache_write_5m or 0) + (known.cache_write_1h or 0),
        "cache_read_input_tokens": known.cached_total,
        "output_tokens": known.output_total,
    }
    if tier in {"standard", "priority", "batch"}:
        out["service_tier"] = tier
    return out
