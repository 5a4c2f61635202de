"""Is what came under a status of success what its operation answers with? Level 1, sans-I/O.

Proxies answer 200 with a page, providers with an error object, broken servers with half of their JSON. Readers find the common
answer fit in passing (`Reading.is_fit`); only what they did not recognise is looked at here.
"""

import re

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.dialects.reading import Unfit

MEMBERS: dict[tuple[str, str], tuple[str, ...]] = {
    ("openai", "chat"): ("choices",),
    ("openai", "completions"): ("choices",),
    ("openai", "embeddings"): ("data", "embeddings"),
    ("openai", "images"): ("data",),
    ("openai", "image_edits"): ("data",),
    ("openai", "image_variations"): ("data",),
    ("openai", "moderations"): ("results",),
    ("openai", "rerank"): ("results", "data"),
    ("openai", "transcriptions"): (),
    ("openai", "translations"): (),
    ("openai", "speech"): (),
    ("responses", "chat"): ("output",),
    ("responses", "compact"): ("output",),
    ("responses", "count_tokens"): ("input_tokens",),
    ("anthropic", "chat"): ("content",),
    ("anthropic", "count_tokens"): ("input_tokens",),
    ("gemini", "chat"): ("candidates", "promptFeedback", "usageMetadata", "prompt_feedback", "usage_metadata"),
    ("gemini", "count_tokens"): ("totalTokens", "total_tokens"),
    ("gemini", "embeddings"): ("embedding", "embeddings"),
    ("gemini", "embeddings_batch"): ("embeddings", "embedding"),
    ("bedrock", "chat"): ("output",),
    ("bedrock", "count_tokens"): ("inputTokens",),
    ("cohere", "chat"): ("message",),
    ("cohere", "embeddings"): ("embeddings",),
    ("cohere", "rerank"): ("results",),
}
"""Dialect and operation → members of which an answer has one, as an object, a list or a number. None: any body that is no
error. What is not in the table (an invoked model's own body, something stored, raw paths) is only no page."""
_ERRORS = ("error", "errors", "message", "detail", "msg")
_IDLE = re.compile(rb'\s*\{\s*"type"\s*:\s*"(?:ping|keepalive)"')
_decode = msgspec.json.Decoder(dict[str, Raw]).decode


def judge(dialect: str, operation: str, body: bytes, content_type: bytes) -> Unfit | None:
    """Return why a body is no answer, or None for one that may be."""
    if body[:256].lstrip().startswith(b"<") or content_type.startswith(b"text/html"):
        return Unfit("it is HTML")
    members = MEMBERS.get((dialect, operation))
    if members is None or (not members and b"json" not in content_type):
        return None
    try:
        found = _decode(body)
    except msgspec.ValidationError:
        return Unfit("it is no JSON object")
    except UNREADABLE:
        return Unfit("it is not JSON, or only a part of it")
    has_error = bytes(found.get("error", b"null")) != b"null"
    kept = [value for name in members if (value := bytes(found.get(name, b"null")))[:1] not in {b"n", b'"'}]
    if has_error and all(value == b"[]" for value in kept):
        return Unfit("it is an error", is_error=True)
    if kept or not members:
        return None
    return Unfit(f"it has no {members[0]!r}", is_error=any(name in found for name in _ERRORS))


def is_idle(data: bytes) -> bool:
    """Tell whether an event only keeps a connection open."""
    return _IDLE.match(data) is not None


def is_event(data: bytes) -> bool:
    """Tell whether an event's data is what events of all dialects are: a JSON object."""
    try:
        _decode(data)
    except UNREADABLE:
        return False
    return True
