"""What an answer says, read from the provider's own JSON by a reader that shares no code with the product. Level 5, pure.

One function per dialect turns a plain answer into `Said`: text, calls, why it ended, how many tokens. The crossings of
`tests/end_to_end` read both ends with it: what the provider said, and what a client's official SDK made of what arrived.
References: OpenAI "Chat" and "Responses", Anthropic "Messages", Google "GenerateContentResponse", AWS "Converse", Cohere "Chat
(v2)", as of 2026-11; the meaning of each field was compared with the recorded answers.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple


class Call(NamedTuple):
    """The model calls a tool. `id` is empty where the provider gives none."""

    id: str
    name: str
    arguments: Any
    """As JSON; a text where it is none."""


class Tokens(NamedTuple):
    """Totals: `input` includes what came from and went to the cache, `output` includes reasoning."""

    input: int
    output: int
    cached: int


class Said(NamedTuple):
    """An answer. `finish` is one of stop, length, tools, filter."""

    text: str
    calls: tuple[Call, ...]
    finish: str
    tokens: Tokens | None
    """None where the answer tells none."""


def arguments_of(text: Any) -> Any:
    """Return a call's arguments as JSON; no text at all is no argument."""
    if not isinstance(text, str):
        return text if text is not None else {}
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


def _number(found: Any, *path: str) -> int:
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return int(found) if isinstance(found, int | float) else 0


def openai(body: dict[str, Any]) -> Said:
    """A chat completion."""
    choice = body["choices"][0]
    message = choice["message"]
    content = message.get("content") or ""
    if isinstance(content, list):  # Mistral's: thinking and text
        content = "".join(part["text"] for part in content if part["type"] == "text")
    calls = tuple(
        Call(call.get("id") or "", call["function"]["name"], arguments_of(call["function"].get("arguments")))
        for call in message.get("tool_calls") or []
    )
    ends = {"length": "length", "model_length": "length", "content_filter": "filter"}
    finish = ends.get(choice.get("finish_reason") or "stop", "tools" if calls else "stop")
    return Said(content + (message.get("refusal") or ""), calls, finish, openai_tokens(body.get("usage")))


def openai_tokens(usage: dict[str, Any] | None) -> Tokens | None:
    """A usage object of chat. Where the total is more than its parts, it decides."""
    if not usage or usage.get("prompt_tokens") is None:
        return None
    prompt, completion = _number(usage, "prompt_tokens"), _number(usage, "completion_tokens")
    cached = _number(usage, "prompt_tokens_details", "cached_tokens") or _number(usage, "prompt_cache_hit_tokens")
    total = _number(usage, "total_tokens")
    return Tokens(prompt, max(completion, total - prompt), cached or _number(usage, "num_cached_tokens"))


def responses(body: dict[str, Any]) -> Said:
    """A response."""
    text, calls = "", list[Call]()
    for item in body["output"]:
        if item["type"] == "message":
            text += "".join(part.get("text") or part.get("refusal") or "" for part in item["content"])
        elif item["type"] == "function_call":
            calls.append(Call(item["call_id"], item["name"], arguments_of(item["arguments"])))
        elif item["type"] == "custom_tool_call":
            calls.append(Call(item["call_id"], item["name"], {"input": item["input"]}))
    finish = "tools" if calls else "stop"
    if body.get("status") == "incomplete":
        reason = (body.get("incomplete_details") or {}).get("reason")
        finish = "filter" if reason == "content_filter" else "length"
    usage = body.get("usage")
    tokens = None
    if usage and usage.get("total_tokens"):  # a background response has none yet
        cached = _number(usage, "input_tokens_details", "cached_tokens")
        tokens = Tokens(_number(usage, "input_tokens"), _number(usage, "output_tokens"), cached)
    return Said(text, tuple(calls), finish, tokens)


def anthropic(body: dict[str, Any]) -> Said:
    """A message."""
    text = "".join(block["text"] for block in body["content"] if block["type"] == "text")
    calls = tuple(
        Call(block["id"], block["name"], block["input"]) for block in body["content"] if block["type"] == "tool_use"
    )
    ends = {
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "tool_use": "tools",
        "refusal": "filter",
    }
    usage = body["usage"]
    cached, written = _number(usage, "cache_read_input_tokens"), _number(usage, "cache_creation_input_tokens")
    tokens = Tokens(_number(usage, "input_tokens") + cached + written, _number(usage, "output_tokens"), cached)
    return Said(text, calls, ends.get(body.get("stop_reason") or "", "stop"), tokens)


_GEMINI_FILTERS = {
    "MODEL_ARMOR",
    "SAFETY",
    "RECITATION",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "LANGUAGE",
}


def gemini(body: dict[str, Any]) -> Said:
    """A GenerateContentResponse."""
    candidate = (body.get("candidates") or [{}])[0]
    parts = (candidate.get("content") or {}).get("parts") or []
    text = "".join(part["text"] for part in parts if part.get("text") and not part.get("thought"))
    calls = tuple(
        Call(part["functionCall"].get("id") or "", part["functionCall"]["name"], part["functionCall"].get("args") or {})
        for part in parts
        if part.get("functionCall")
    )
    reason = candidate.get("finishReason")
    finish = "tools" if calls else "stop"
    if reason == "MAX_TOKENS":
        finish = "length"
    elif reason in _GEMINI_FILTERS or (body.get("promptFeedback") or {}).get("blockReason"):
        finish = "filter"
    usage = body.get("usageMetadata")
    tokens = None
    if usage:
        tokens = Tokens(
            _number(usage, "promptTokenCount") + _number(usage, "toolUsePromptTokenCount"),
            _number(usage, "candidatesTokenCount") + _number(usage, "thoughtsTokenCount"),
            _number(usage, "cachedContentTokenCount"),
        )
    return Said(text, calls, finish, tokens)


def bedrock(body: dict[str, Any]) -> Said:
    """A Converse response."""
    blocks = body["output"]["message"]["content"]
    text = "".join(block["text"] for block in blocks if "text" in block)
    uses = [block["toolUse"] for block in blocks if "toolUse" in block]
    uses = [use for use in uses if use.get("type") != "server_tool_use"]  # those the provider runs
    calls = tuple(Call(use["toolUseId"], use["name"], use.get("input") or {}) for use in uses)
    ends = {
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "tool_use": "tools",
        "content_filtered": "filter",
        "guardrail_intervened": "filter",
    }
    usage = body["usage"]
    cached, written = _number(usage, "cacheReadInputTokens"), _number(usage, "cacheWriteInputTokens")
    tokens = Tokens(_number(usage, "inputTokens") + cached + written, _number(usage, "outputTokens"), cached)
    return Said(text, calls, ends.get(body.get("stopReason") or "", "stop"), tokens)


def cohere(body: dict[str, Any]) -> Said:
    """A chat response of version 2."""
    message = body["message"]
    text = "".join(part["text"] for part in message.get("content") or [] if part.get("type") == "text")
    calls = tuple(
        Call(call["id"], call["function"]["name"], arguments_of(call["function"].get("arguments")))
        for call in message.get("tool_calls") or []
    )
    finish = {"MAX_TOKENS": "length", "TOOL_CALL": "tools"}.get(body.get("finish_reason") or "", "stop")
    usage = body.get("usage") or {}
    tokens = None
    for key in (
        "billed_units",
        "tokens",
    ):  # what is charged is less than what was read: Cohere's own instructions are free
        if usage.get(key) and tokens is None:
            tokens = Tokens(_number(usage, key, "input_tokens"), _number(usage, key, "output_tokens"), 0)
    return Said(text, calls, finish, tokens)


READERS: dict[str, Callable[[dict[str, Any]], Said]] = {
    "openai": openai,
    "responses": responses,
    "anthropic": anthropic,
    "gemini": gemini,
    "bedrock": bedrock,
    "cohere": cohere,
}
