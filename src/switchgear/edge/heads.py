"""What goes in the heads: of an attempt to its provider, and of the answer to its client. Level 4 (docs/contract.md §4)."""

import re
from collections.abc import Iterator

import msgspec

from switchgear.core.money import format_usd
from switchgear.core.text import header_value
from switchgear.dialects.translation import Translation
from switchgear.edge import litellm
from switchgear.edge.context import RequestContext
from switchgear.edge.course import BUDGET
from switchgear.edge.resolver import PricedDeployment
from switchgear.wire import frames
from switchgear.wire.frames import Head

NOT_FORWARDED = frozenset({b"x-goog-api-key", b"x-goog-user-project"})
PASSED = frozenset({b"retry-after", b"retry-after-ms", b"x-should-retry", b"openai-processing-ms", b"x-amzn-errortype"})
UPSTREAM_IDS = frozenset({b"x-request-id", b"request-id", b"x-amzn-requestid"})
FORWARDED = (b"openai-beta", b"idempotency-key")
"""Of clients that speak a provider's own dialect, beside `Dialect.forwarded_prefixes`: they change what it does."""
PER_REQUEST = frozenset({b"idempotency-key", b"traceparent"})
"""Headers whose values differ from request to request: a route that has one of them is not cached."""
TRACE = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context §3.2, version 00 (read 2026-11-26)."""


def route(context: RequestContext, priced: PricedDeployment, translation: Translation) -> msgspec.Raw:
    """Encode where the attempt goes: once per priced, path and the headers that are passed on."""
    headers = _forwarded(context, priced, translation)
    trace = context.exchange.head.headers.get(b"traceparent") if priced.deployment.provider.own else None
    if trace is not None and TRACE.fullmatch(trace):
        headers = (*headers, (b"traceparent", trace))
    is_stream = context.request is not None and context.request.stream
    name = (translation.method, translation.path, headers, translation.content_type, is_stream)
    raw = priced.opens.get(name)
    if raw is None:
        timeouts = priced.deployment.timeouts
        first_s = timeouts.first_event_s if is_stream else None
        raw = msgspec.Raw(
            frames.encode_payload(
                frames.UpstreamRoute(
                    priced.credential_id,
                    translation.method,
                    translation.path,
                    [(b"content-type", translation.content_type), *headers],
                    timeouts.first_byte_s if first_s is None else first_s,
                    timeouts.idle_s,
                    timeouts.total_s,
                    timeouts.connect_s,
                )
            )
        )
        if (
            len(priced.opens) < 64
            and "/resp_" not in translation.path
            and not any(header in PER_REQUEST or value.startswith(b"multipart") for header, value in headers)
        ):
            priced.opens[name] = raw
    return raw


def _forwarded(
    context: RequestContext, priced: PricedDeployment, translation: Translation
) -> tuple[tuple[bytes, bytes], ...]:
    """Return the client's headers that a provider of its dialect gets; another's get none but what they need."""
    if not translation.is_verbatim:
        return translation.provider_row.headers
    betas = priced.deployment.provider.quirks.betas
    known = context.facts.forwarded
    if known is not None and known[0] == translation.dialect and not betas:
        return known[1]
    headers = context.exchange.head.headers
    found = tuple((name, headers[name]) for name in (b"accept", *FORWARDED) if name in headers)
    row = translation.row
    if row.forwarded_prefixes:
        found += tuple(
            (name, value)
            for name, value in headers.items()
            if name.startswith(row.forwarded_prefixes) and name not in NOT_FORWARDED
        )
    found += tuple(header for header in row.headers if header[0] not in headers)
    if betas:
        return tuple((name, value) for name, value in _known_betas(found, betas) if value)
    context.facts.forwarded = (translation.dialect, found)
    return found


def _known_betas(headers: tuple[tuple[bytes, bytes], ...], betas: dict[str, str]) -> Iterator[tuple[bytes, bytes]]:
    """Say `anthropic-beta` in the words that a provider knows; one refused value costs the whole request."""
    for name, value in headers:
        if name != b"anthropic-beta":
            yield name, value
            continue
        kept: dict[str, None] = {}
        for beta in value.decode("latin-1").split(","):
            plain = beta.strip()
            known = next((other for start, other in betas.items() if plain.startswith(start)), plain)
            if known:
                kept[known] = None
        yield name, ",".join(kept).encode("latin-1")


def reason(why: str) -> bytes:
    """Say why another model or deployment answers than was asked first."""
    return b"x-switchgear-fallback-reason: %b\r\n" % header_value(why)


def response(
    context: RequestContext,
    priced: PricedDeployment,
    head: Head,
    attempts: int,
    elapsed_ms: int,
    *,
    default_type: bytes,
    forced_type: bytes | None = None,
    cost: int | None = None,
) -> bytes:
    """Build the response's headers. The content type is the provider's, unless the answer was translated."""
    request_id = context.id.encode()
    parts = [b"x-request-id: ", request_id, b"\r\n", priced.headers]
    id_header = context.endpoint.dialect.id_header
    if id_header:
        parts += (id_header, b": ", request_id, b"\r\n")
    content_type = default_type
    for name, value in head.headers:
        if name == b"content-type":
            content_type = value
        elif name in PASSED:
            parts += (name, b": ", value, b"\r\n")
        elif name in UPSTREAM_IDS:
            parts += (b"x-switchgear-upstream-request-id: ", header_value(value.decode("latin-1")), b"\r\n")
    if forced_type is not None:
        content_type = forced_type
    parts.append(b"content-type: %b\r\nx-switchgear-attempts: %d\r\n" % (content_type, attempts))
    if context.limit_headers:
        parts.append(context.limit_headers)
    if context.rerouted is not None:
        parts.append(reason(BUDGET))
    if cost is not None:
        parts.append(b"x-switchgear-cost-usd: %b\r\n" % format_usd(cost).encode())
    if context.snapshot is not None and context.snapshot.compat:
        parts.append(litellm.headers(request_id, max(attempts - 1, 0), elapsed_ms, cost))
    return b"".join(parts)
