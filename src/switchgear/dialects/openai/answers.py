"""OpenAI chat completions: answers to and from the canonical values, and what they say of usage. Level 1, sans-I/O.

OpenAI API reference, "Chat" (as of 2026-11). Beyond it, what compatible providers add and clients understand:
`reasoning_content` (DeepSeek, vLLM) or `reasoning` (OpenRouter, Groq) for thinking, `reasoning_details` (OpenRouter) for
signed thinking, `extra_content.google.thought_signature` (Gemini's compatible endpoint) on tool calls, content as a list
of `thinking` and `text` parts (Mistral), `prompt_cache_hit_tokens` (DeepSeek).
"""

from typing import Any

from switchgear.core.steps import Steps, Stepwise
from switchgear.core.usage import TokenUsage
from switchgear.dialects import media
from switchgear.dialects.canonical import Answer, Finish, Media, Part, Request, Thinking
from switchgear.dialects.dialect import (
    PLAIN_TOOLS,
    ClientTools,
)
from switchgear.dialects.json_node import Node
from switchgear.dialects.openai.requests import FORMATS, decode_assistant, encode_assistant
from switchgear.dialects.openai.usage import id_of, tier_name, usage_of_raw
from switchgear.providers.quirks import Quirks

FINISHES: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "model_length": "length",
    # what compatible servers say instead (Zhipu, and servers that pass on what a model behind them says)
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "sensitive": "content_filter",
}


BROKEN = frozenset({"error", "network_error", "insufficient_system_resource", "malformed_function_call"})
"""Reasons that say that the answer is none, although its status is 200: OpenRouter ("Errors", mid-stream), Zhipu and DeepSeek
(API references, `finish_reason`); read 2026-11-27."""


def broken(reason: str, error: Any) -> str:
    """Return the sentence for an answer that broke off. `error` is what the choice says of it, if anything."""
    said = error.get("message") if isinstance(error, dict) else error
    return str(said)[:1024] if said else f"the model's provider broke off ({reason})"


FINISH_NAMES: dict[Finish, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "stop",
}


@Stepwise
def decode_answer(body: Node) -> Steps[Answer]:
    """Read a provider's answer. Raises InvalidBodyError when it is none."""
    choices = body.items("choices")
    if not choices:
        raise body.fail("an answer without choices", "choices")
    if (reason := choices[0].text("finish_reason")) in BROKEN:
        raise body.fail(broken(reason, choices[0].get("error")), "choices")
    message = choices[0].object("message")
    parts = yield from decode_assistant(message)
    answer = Answer(id=id_of(body.get("id")), model=body.text("model"), parts=parts)
    for image in message.items("images"):  # OpenRouter
        answer.parts.append(media.from_url("image", image.object("image_url").need("url")))
    answer.finish = FINISHES.get(choices[0].text("finish_reason") or "stop", "stop")
    logprobs = choices[0].child("logprobs")
    if logprobs is not None and logprobs.has("content"):
        answer.logprobs = logprobs.raw("content")
    answer.usage = usage_of_raw(body.raw("usage"))
    answer.service_tier = body.text("service_tier")
    if message.has("audio"):
        answer.dropped.append("audio")
    if message.has("annotations"):
        answer.dropped.append("annotations")
    return answer


@Stepwise
def encode_answer(answer: Answer, model: str, created: int, tools: ClientTools = PLAIN_TOOLS) -> Steps[dict[str, Any]]:
    """Build the answer for a client. `created` is in seconds since the epoch."""
    yield
    message = encode_assistant(answer.parts, Request(model=""), Quirks())
    message.setdefault("refusal", None)
    message.update(_encode_thinking(answer.parts))
    images = [part for part in answer.parts if isinstance(part, Media) and part.kind == "image"]
    if images:
        message["images"] = [{"type": "image_url", "image_url": {"url": media.to_url(image)}} for image in images]
    choice: dict[str, Any] = {
        "index": 0,
        "message": message,
        "finish_reason": FINISH_NAMES[answer.finish],
        "logprobs": {"content": answer.logprobs, "refusal": None} if bytes(answer.logprobs) != b"null" else None,
    }
    out: dict[str, Any] = {
        "id": answer.id or "chatcmpl-unknown",
        "object": "chat.completion",
        "created": created,
        "model": answer.model or model,
        "choices": [choice],
    }
    if answer.usage is not None:
        out["usage"] = encode_usage(answer.usage)
    tier = tier_name(answer.service_tier)
    if tier is not None:
        out["service_tier"] = tier
    return out


def _encode_thinking(parts: list[Part]) -> dict[str, Any]:
    thoughts = [part for part in parts if isinstance(part, Thinking)]
    if not thoughts:
        return {}
    out: dict[str, Any] = {"reasoning_content": "".join(part.text for part in thoughts)}
    if any(part.signature or part.redacted for part in thoughts):
        out["reasoning_details"] = [detail_of(part) for part in thoughts]
    return out


def detail_of(part: Thinking) -> dict[str, Any]:
    """Build an element of `reasoning_details` (OpenRouter)."""
    maker = FORMATS.get(part.maker or "", f"{part.maker or 'unknown'}-v1")
    if part.redacted is not None:
        return {"type": "reasoning.encrypted", "data": part.redacted, "format": maker, "id": part.id, "text": part.text}
    return {"type": "reasoning.text", "text": part.text, "signature": part.signature, "format": maker, "id": part.id}


def encode_usage(usage: TokenUsage) -> dict[str, Any]:
    """Build a usage object: totals include cached, audio and reasoning tokens."""
    prompt: dict[str, int] = {"cached_tokens": usage.cached_total, "audio_tokens": usage.audio_in or 0}
    written = (usage.cache_write_5m or 0) + (usage.cache_write_1h or 0)
    if written:
        prompt["cache_write_tokens"] = written
    return {
        "prompt_tokens": usage.input_total,
        "completion_tokens": usage.output_total,
        "total_tokens": usage.input_total + usage.output_total,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning or 0,
            "audio_tokens": usage.audio_out or 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
