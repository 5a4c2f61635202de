"""Stage: what the client says about itself. Level 4.

Claims only: they fill the record's client, session and end user, and decide nothing.
"""

import msgspec

from switchgear.core.text import clean
from switchgear.wire.http1 import RequestHead


class Client(msgspec.Struct, frozen=True):
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


TAGS_MAX = 16
_SESSION = (b"x-switchgear-session", b"x-claude-code-session-id", b"x-session-id")
_END_USER = (b"x-switchgear-end-user", b"x-litellm-end-user-id", b"x-litellm-customer-id", b"x-openwebui-user-id")
_TAGS = (b"x-switchgear-tags", b"x-litellm-tags")


def attribute(head: RequestHead) -> Client:
    """Read the claims. The common request has a User-Agent and nothing else."""
    headers = head.headers
    agent = headers.get(b"user-agent")
    retry = headers.get(b"x-stainless-retry-count")
    trace = headers.get(b"traceparent")
    end_user, source = _first(headers, _END_USER)
    tags = _first(headers, _TAGS)[0]
    return Client(
        tool=_tool(agent) if agent else None,
        request_id=_text(headers.get(b"x-client-request-id")),
        trace_id=_text(trace)[3:35] if trace and len(trace) >= 55 else None,  # type: ignore[index]
        session=_first(headers, _SESSION)[0],
        agent=_text(headers.get(b"x-claude-code-agent-id")),
        end_user=end_user,
        end_user_source=source,
        tags=[clean(tag.strip(), 64) for tag in tags.split(",")[:TAGS_MAX] if tag.strip()] if tags else None,
        retry=min(int(retry), 1000) if retry and retry.isdigit() and len(retry) < 6 else None,
    )


def _tool(agent: bytes) -> str:
    return clean(agent[:64].decode("latin-1"), 64)


def _text(value: bytes | None) -> str | None:
    return clean(value[:256].decode("latin-1"), 128) if value else None


def _first(headers: dict[bytes, bytes], names: tuple[bytes, ...]) -> tuple[str | None, str | None]:
    for name in names:
        value = headers.get(name)
        if value:
            return _text(value), name.decode("ascii")
    return None, None
