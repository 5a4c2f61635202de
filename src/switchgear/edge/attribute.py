"""Stage: what the client says about itself. Level 4.

Claims only: they fill the record's client, session and end user, and decide nothing.
"""

import msgspec

from switchgear.core.text import clean
from switchgear.wire.http_requests import RequestHead


class ClientClaims(msgspec.Struct, frozen=True):
    """Claims from the request head."""

    tool: str | None = None
    request_id: str | None = None
    trace_id: str | None = None
    session: str | None = None
    agent: str | None = None
    end_user: str | None = None
    end_user_source: str | None = None
    tags: list[str] | None = None
    retry: int | None = None
    timeout_s: float | None = None
    """How long the client waits in all; it may shorten the model's own limit, never lengthen it."""
    wants_cost: bool = False
    """The final usage shall say what it cost."""
    is_dry_run: bool = False
    """Nothing shall be sent: the answer is what would be done."""
    cache: str | None = None
    """What it says of the cache (`core.cache_rule.wish`); None: nothing."""


TAGS_MAX = 16
# Which headers say what; the first that is there counts. Client names change fast: this is the place to add one.
CLAIMS: dict[str, tuple[bytes, ...]] = {
    "session": (
        b"x-switchgear-session",
        b"x-claude-code-session-id",
        b"x-session-id",
        b"session-id",
        b"thread-id",
        b"x-openwebui-chat-id",
        b"x-amzn-bedrock-agentcore-runtime-session-id",
    ),
    "agent": (b"x-claude-code-agent-id", b"x-openai-subagent"),
    "end_user": (
        b"x-switchgear-end-user",
        b"x-litellm-end-user-id",
        b"x-litellm-customer-id",
        b"x-openwebui-user-email",
        b"x-openwebui-user-id",
        b"x-librechat-user-id",
    ),
    "tags": (b"x-switchgear-tags", b"x-litellm-tags"),
    "title": (b"x-title", b"x-openrouter-title"),
    "request_id": (b"x-client-request-id",),
    "timeout": (b"x-switchgear-timeout-s", b"x-litellm-timeout"),
    "include": (b"x-switchgear-include",),
    "dry_run": (b"x-switchgear-dry-run",),
    "cache": (b"x-switchgear-cache",),
}
_INTERESTING = frozenset(name for names in CLAIMS.values() for name in names)


def attribute(head: RequestHead) -> ClientClaims:
    """Read the claims. The common request has a User-Agent and nothing else."""
    headers = head.headers
    agent = headers.get(b"user-agent")
    retry = headers.get(b"x-stainless-retry-count")
    trace = headers.get(b"traceparent")
    trace_id = _text(trace)[3:35] if trace and len(trace) >= 55 else None  # type: ignore[index]
    count = min(int(retry), 1000) if retry and retry.isdigit() and len(retry) < 6 else None
    if _INTERESTING.isdisjoint(headers):
        return ClientClaims(tool=_tool(agent) if agent else None, trace_id=trace_id, retry=count)
    end_user, source = _first(headers, "end_user")
    tags = _first(headers, "tags")[0]
    title = _first(headers, "title")[0]
    found = [clean(tag.strip(), 64) for tag in tags.split(",")[:TAGS_MAX] if tag.strip()] if tags else []
    return ClientClaims(
        tool=_tool(agent) if agent else None,
        request_id=_first(headers, "request_id")[0],
        trace_id=trace_id,
        session=_first(headers, "session")[0],
        agent=_first(headers, "agent")[0],
        end_user=end_user,
        end_user_source=source,
        tags=([f"app={clean(title, 60)}"] if title else []) + found or None,
        retry=count,
        timeout_s=_seconds(_first(headers, "timeout")[0]),
        wants_cost="cost" in [word.strip() for word in (_first(headers, "include")[0] or "").split(",")],
        is_dry_run=(_first(headers, "dry_run")[0] or "").lower() in {"1", "true", "yes"},
        cache=_first(headers, "cache")[0],
    )


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text) if text else 0.0
    except ValueError:
        return None
    return seconds if 0 < seconds <= 86_400 else None


def _tool(agent: bytes) -> str:
    return clean(agent[:64].decode("latin-1"), 64)


def _text(value: bytes | None) -> str | None:
    return clean(value[:256].decode("latin-1"), 128) if value else None


def _first(headers: dict[bytes, bytes], claim: str) -> tuple[str | None, str | None]:
    for name in CLAIMS[claim]:
        value = headers.get(name)
        if value:
            return _text(value), name.decode("ascii")
    return None, None
