"""What a provider's error means that clients act on, whoever says it and in whose words. Level 1, pure.

Coding agents compact a conversation only when they are told in the words that they know that it is too long; SDKs retry what
they take for a rate. Words of providers: OpenAI, Anthropic and Gemini API references ("Errors"); llama.cpp#15780
(`exceed_context_size_error`), copilot-intellij-feedback#94 (`model_max_prompt_tokens_exceeded`), claude-code#476, omlx#26,
free-claude-code#263 and public reports of vLLM, Mistral, xAI, Groq, OpenRouter and Cohere. Words of clients: Claude Code and
Cline look for "prompt is too long" (claude-code-proxy#29, cline#8315), Codex for `context_length_exceeded`. Read 2026-11-27.
"""

import re
from typing import Any, Literal

import msgspec

from switchgear.core.errors import UNREADABLE
from switchgear.dialects.json_node import InvalidBodyError, decode_event

Meaning = Literal["context_length", "content_policy", "quota", "model_not_found"]

TEXT_CHARS_MAX = 4_096
_CODES: dict[str, Meaning] = {
    "context_length_exceeded": "context_length",
    "exceed_context_size_error": "context_length",
    "model_max_prompt_tokens_exceeded": "context_length",
    "content_filter": "content_policy",
    "content_policy_violation": "content_policy",
    "insufficient_quota": "quota",
    "model_not_found": "model_not_found",
    "DeploymentNotFound": "model_not_found",
}
CODES = frozenset(_CODES)
"""Words for machines whose meaning is known."""
_TOO_LONG = re.compile(
    r"maximum (context|prompt|model) length|context[ _](length|window|size|limit)|(prompt|input)( is)? too long"
    r"|too many (input )?tokens|input token count|maximum number of tokens allowed|too large for model with"
    # Kimi; DashScope; Bedrock's Nova; Zhipu; Cerebras; TGI; volcengine (public error reports, read 2026-11-27)
    r"|exceeded model token limit|range of input length should be|input tokens exceeded|prompt exceeds max"
    r"|reduce the length of (the|your) (messages|prompt|input)|must have less than \d+ tokens|exceed max message tokens",
    re.IGNORECASE,
)
_NO_MONEY = re.compile(r"credit balance is too low|insufficient (balance|credits|funds)", re.IGNORECASE)
"""Anthropic, DeepSeek, OpenRouter. Google calls rates a quota, too."""
# The prompt would fit with fewer tokens for the answer: Anthropic, vLLM, OpenAI and those that say it alike, OpenRouter, TGI
# (claude-code#476, public error reports of vLLM and OpenRouter, read 2026-11-27).
_OVER = (
    re.compile(r"exceed context limit: (?P<input>\d+) \+ (?P<output>\d+) > (?P<limit>\d+)"),
    re.compile(
        r"is too large: (?P<output>\d+)\. This model's maximum context length is (?P<limit>\d+) tokens and your request has "
        r"(?P<input>\d+) input tokens"
    ),
    re.compile(
        r"context length is (?P<limit>\d+) tokens\. However, you requested (?:about )?\d+ (?:output )?tokens "
        r"\((?P<input>\d+) (?:in the messages|of text input)[^)]*?,? (?P<output>\d+) in the (?:completion|output)\)"
    ),
    re.compile(
        r"must be <= (?P<limit>\d+)\. Given: (?P<input>\d+) `inputs` tokens and (?P<output>\d+) `max_new_tokens`"
    ),
)
_NUMBER = re.compile(r"\d{3,9}")


class Found(msgspec.Struct, frozen=True):
    """A meaning, with the figures that the text gives for it."""

    meaning: Meaning
    tokens: int | None = None
    """How many the request has."""
    tokens_max: int | None = None
    """How many there may be."""
    output: int | None = None
    """How many it asks for, where fewer would do."""


def find(status: int, body: bytes, message: str) -> Found | None:
    """Return what an error means, or None where its status says all. `message` is its sentence, from `body`."""
    if status >= 500:
        return None
    meaning = next((_CODES[code] for code in _codes(body) if code in _CODES), None)
    text = message[:TEXT_CHARS_MAX]
    over = next((match for pattern in _OVER if (match := pattern.search(text)) is not None), None)
    if over is not None and status != 429:
        asked, output, limit = (int(over[name]) for name in ("input", "output", "limit"))
        return Found("context_length", asked, limit, output if asked < limit else None)
    if meaning is None and status != 429 and _TOO_LONG.search(text):
        meaning = "context_length"
    if meaning is None and _NO_MONEY.search(text):
        meaning = "quota"
    if meaning is None:
        return Found("model_not_found") if status == 404 else None
    if meaning != "context_length":
        return Found(meaning)
    numbers = sorted({int(number) for number in _NUMBER.findall(text.replace(",", ""))})
    if len(numbers) < 2:
        return Found(meaning)
    return Found(meaning, numbers[-1], numbers[-2])


def words(too_long: tuple[str, str, str] | None, found: Found, message: str) -> str:
    """Return the sentence for a client: in its provider's words where it acts on them (`ErrorShape.too_long`), else as it
    came."""
    if found.meaning != "context_length" or too_long is None or too_long[0] in message:
        return message
    plain, counted, over = too_long
    if found.output is not None:
        return over.format(tokens=found.tokens, output=found.output, limit=found.tokens_max) if over else message
    if found.tokens is None or found.tokens_max is None:
        return f"{plain}: {message}"
    return counted.format(tokens=found.tokens, limit=found.tokens_max)


def retry_delay_s(body: bytes) -> int | None:
    """Return the whole seconds of Google's RetryInfo, rounded up; None without one (google.rpc.RetryInfo, as in python-genai#2114;
    read 2026-11-27)."""
    if b"retryDelay" not in body:
        return None
    error = _error(body)
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else []:
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and re.fullmatch(r"\d{1,6}(\.\d{1,9})?s", delay):
            whole, _, part = delay[:-1].partition(".")
            return int(whole) + bool(part.strip("0"))
    return None


def _error(body: bytes) -> Any:
    try:
        value: Any = decode_event(body)
    except (*UNREADABLE, InvalidBodyError):
        return None
    if isinstance(value, list) and value:
        value = value[0]
    return value.get("error", value) if isinstance(value, dict) else None


def _codes(body: bytes) -> list[str]:
    error = _error(body)
    if not isinstance(error, dict):
        return []
    return [value for value in (error.get("code"), error.get("type")) if isinstance(value, str)]
