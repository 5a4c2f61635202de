"""What is said of a refusal or of a provider's error, whatever the dialect that says it (docs/contract.md §5). Level 1.

Sources (as of 2026-11): OpenAI API reference, "Error codes"; Anthropic API reference, "Errors"; Google AIP-193;
Amazon Bedrock API reference, "Common errors"; Cohere API reference, "Errors".
"""

import re
from typing import Any

import msgspec

from switchgear.core import problems
from switchgear.core.errors import UNREADABLE
from switchgear.core.problems import Problem
from switchgear.dialects import meanings
from switchgear.dialects.json_node import InvalidBodyError, decode_event

_OPENAI_CODES = frozenset({"model_not_found", "model_unpriced", "unknown_path", "content_policy_violation"})
_BY_STATUS = {
    400: ("invalid_request_error", "invalid_request_error"),
    401: ("authentication_error", "authentication_error"),
    402: ("invalid_request_error", "billing_error"),
    403: ("permission_error", "permission_error"),
    404: ("invalid_request_error", "not_found_error"),
    413: ("invalid_request_error", "request_too_large"),
    422: ("invalid_request_error", "invalid_request_error"),
    429: ("rate_limit_error", "rate_limit_error"),
    503: ("server_error", "overloaded_error"),
    504: ("server_error", "timeout_error"),
    529: ("server_error", "overloaded_error"),
}


class Fault(msgspec.Struct, frozen=True):
    """What is to be said: a refusal of ours, or a provider's error in other words."""

    status: int
    message: str
    openai_type: str
    openai_code: str | None
    anthropic_type: str
    param: str | None = None
    retry_after_s: int | None = None
    request_id: str = ""
    resets_s: int | None = None
    """Of a budget that is spent: when its next period begins, in seconds since the epoch."""

    @property
    def is_spent(self) -> bool:
        """True where a budget is spent."""
        return self.openai_code == _SPENT and self.anthropic_type == "billing_error"


_SPENT = problems.BUDGET_SPENT.code
SPENT_S = 86_400
"""How long a client is told to wait for a budget that is never filled again, where it must be told something."""
SPENT_S_MIN = 301
"""Gemini's clients wait for a delay of some minutes and ask again; a longer one ends their day."""


def of_problem(problem: Problem, request_id: str) -> Fault:
    """Turn a refusal into what is said."""
    case = problem.case
    code = case.code if case.openai_type != "invalid_request_error" or case.code in _OPENAI_CODES else None
    message = f"{problem.message} (request id: {request_id})"
    return Fault(
        case.status,
        message,
        case.openai_type,
        code,
        case.anthropic_type,
        problem.param,
        max(SPENT_S_MIN, problem.resets_in_s or SPENT_S) if case is problems.BUDGET_SPENT else problem.retry_after_s,
        request_id,
        problem.resets_ms // 1_000 if problem.resets_ms is not None else None,
    )


_CODES: dict[meanings.Meaning, str] = {
    "context_length": "context_length_exceeded",
    "content_policy": "content_policy_violation",
    "quota": "insufficient_quota",
    "model_not_found": "model_not_found",
}


def of_upstream(status: int, body: bytes, request_id: str, too_long: tuple[str, str, str] | None) -> Fault:
    """Turn another dialect's error into what is said to a client: its status and its sentence, in words that the client acts
    on (`ErrorShape.too_long`)."""
    message = message_of(body)
    found = meanings.find(status, body, message)
    if found is not None:
        message = meanings.words(too_long, found, message)
        status = 400 if found.meaning == "context_length" else status
    openai_type, anthropic_type = _BY_STATUS.get(
        status, ("server_error" if status >= 500 else "invalid_request_error",) * 2
    )
    if status >= 500 and status not in _BY_STATUS:
        anthropic_type = "api_error"
    code = _CODES[found.meaning] if found is not None else None
    wait_s = meanings.retry_delay_s(body)
    return Fault(status, message, openai_type, code, anthropic_type, None, wait_s, request_id)


_UNREADABLE = (*UNREADABLE, InvalidBodyError)
"""Also what has so many values that it is no error of anybody's."""


def message_of(body: bytes) -> str:
    """Find the sentence in a provider's error body, whatever its dialect; HTML and garbage are named, not shown."""
    try:
        value: Any = decode_event(body)
    except _UNREADABLE:
        return "the provider answered with an error that is not JSON"
    if isinstance(value, list) and value:
        value = value[0]  # Gemini's array mode
    if isinstance(value, dict) and isinstance(value.get("response"), dict):
        value = value["response"]  # response.failed
    beneath = ""
    for _ in range(3):
        if isinstance(value, dict):
            beneath = beneath or _beneath(value)
            value = value.get("error") or value.get("message") or value.get("Message") or value.get("detail")
        else:
            break
    if isinstance(value, list):
        value = _complaints(value)
    if not isinstance(value, str):
        return "the provider answered with an error"
    return f"{value[:1024]}: {beneath}"[:2048] if beneath else value[:2048]


def _beneath(error: dict[str, Any]) -> str:
    """Return what the provider behind a router said (OpenRouter, "Errors", `metadata.raw`; read 2026-11-27)."""
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if not isinstance(raw, str):
        return ""
    return message_of(raw.encode("utf-8", "replace")) if raw.lstrip().startswith("{") else raw[:1024]


def _complaints(found: list[Any]) -> str | None:
    """Join what a validator lists (FastAPI's `detail`: servers written with it, Mistral)."""
    lines = [
        f"{'.'.join(map(str, one['loc']))}: {one['msg']}" if isinstance(one.get("loc"), list) else str(one["msg"])
        for one in found[:8]
        if isinstance(one, dict) and isinstance(one.get("msg"), str)
    ]
    return "; ".join(lines) or None


_STATUS_OF_TYPES = {
    "invalid_request_error": 400,
    "INVALID_ARGUMENT": 400,
    "not_found_error": 404,
    "NOT_FOUND": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "RESOURCE_EXHAUSTED": 429,
    "overloaded_error": 529,
    "UNAVAILABLE": 503,
    "timeout_error": 504,
    "DEADLINE_EXCEEDED": 504,
}
_NOT_THE_CLIENTS = frozenset({401, 402, 403, 407})


def status_of(body: bytes) -> int:
    """Return the status that an error object stands for that came without one; 502 where it does not say, or where it concerns
    the gateway's credential."""
    try:
        value: Any = decode_event(body)
    except _UNREADABLE:
        return 502
    if isinstance(value, list) and value:
        value = value[0]  # Gemini's array mode
    if isinstance(value, dict) and isinstance(value.get("response"), dict):
        value = value["response"]  # response.failed
    error = value.get("error") if isinstance(value, dict) else None
    found = error if isinstance(error, dict) else value if isinstance(value, dict) else {}
    for name in ("code", "status", "type"):
        said = found.get(name)
        if isinstance(said, int) and not isinstance(said, bool) and 400 <= said < 600:
            return 502 if said in _NOT_THE_CLIENTS else said
        if isinstance(said, str) and said in _STATUS_OF_TYPES:
            return _STATUS_OF_TYPES[said]
        if isinstance(said, str) and said in meanings.CODES:
            return 400
    return 502


_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")


def label_of(body: bytes) -> str:
    """Return the words for machines in a provider's error (its type, code, status), to be put behind a sentence of our own;
    "" when there are none. Its sentence is left out: it may quote the prompt. So is what may be a key."""
    try:
        value: Any = decode_event(body)
    except _UNREADABLE:
        return ""
    if isinstance(value, list) and value:
        value = value[0]
    holders = [value, value.get("error")] if isinstance(value, dict) else []
    found = [
        text
        for holder in holders
        if isinstance(holder, dict)
        for key in ("type", "code", "status", "__type", "param")
        if isinstance(text := holder.get(key), str) and _LABEL.fullmatch(text) and sum(map(str.isdigit, text)) < 5
    ]
    found = [text for text in dict.fromkeys(found) if text != "error"]
    return f" ({', '.join(found)})" if found else ""
