"""Destinations with their secrets open, and the request heads for them. Level 4. Pure.

A destination is sealed with its secret: control hands the blobs over and cannot point one elsewhere, as with credentials
(docs/invariants.md C1). One that does not open, or is no valid endpoint, is told of, and used
for nothing.
"""

import re
from collections.abc import Callable, Iterable

from switchgear.core.errors import RefusedError, SealError
from switchgear.courier.verbs import REQUEST_BODY_BYTES_MAX, DestinationState, Notice, Request, Sealed
from switchgear.policies import passthrough
from switchgear.providers import endpoint as place
from switchgear.providers.endpoint import Endpoint
from switchgear.vault import seal
from switchgear.vault.kek import KeyPair
from switchgear.vault.seal import Redactor
from switchgear.wire.http_syntax import is_safe_header

USER_AGENT = b"user-agent: switchgear/0.1\r\n"
CONTENT_TYPE_BYTES_MAX = 128
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Without a full stop, which parts what is signed."""


class OpenDestination:
    """One destination, and how often it was used."""

    def __init__(self, sealed: Sealed, keys: KeyPair) -> None:
        context = sealed.context
        self.name = context.credential
        self.purpose = context.purpose
        self.endpoint: Endpoint = context.endpoint
        self.requests = 0
        self.failures = 0
        self._auth_line: bytes | None = None
        self._redactor: Redactor | None = None
        self._sign: Callable[[str, int, bytes], bytes] | None = None
        if place.check(context.endpoint) is not None:
            return
        try:
            secret = seal.open_sealed(sealed.blob, context, keys)
            self._auth_line = seal.auth_line(secret, context.endpoint)
            if self.purpose == "webhook":
                self._sign = seal.webhook_signer(secret)
        except SealError:
            self._auth_line = None
            return
        self._redactor = Redactor(secret)

    @property
    def opens(self) -> bool:
        """True when it can be used."""
        return self._auth_line is not None

    def state(self) -> DestinationState:
        """Return what may be told of it."""
        return DestinationState(
            name=self.name,
            purpose=self.purpose,
            url=self.endpoint.url,
            opens=self.opens,
            requests=self.requests,
            failures=self.failures,
        )

    def clean(self, data: bytes) -> bytes:
        """Return an answer without the destination's secret, should the destination echo it."""
        return self._redactor.clean(data) if self._redactor is not None else b""

    def encode(self, request: Request) -> bytes:
        """Return a request's bytes. Raises RefusedError for what may not be sent."""
        path, _, query = request.path.partition("?")
        if path and not passthrough.is_plain(path, query):
            raise RefusedError(f"{request.path[:64]!r} is not a plain path")
        if len(request.body) > REQUEST_BODY_BYTES_MAX:
            raise RefusedError(f"the body has more than {REQUEST_BODY_BYTES_MAX} bytes")
        kind = request.content_type.encode("latin-1", "replace")
        if len(kind) > CONTENT_TYPE_BYTES_MAX or not is_safe_header(b"content-type", kind):
            raise RefusedError("that is no content type")
        return self._encode(request.method, path, query, b"content-type: %s\r\n" % kind if kind else b"", request.body)

    def encode_notice(self, notice: Notice) -> bytes:
        """Return a signed notice's bytes (Standard Webhooks 1.0.0, "Webhook headers", read 2026-11-28). Raises RefusedError for
        what may not be sent."""
        if not _MESSAGE_ID.fullmatch(notice.id) or not 0 <= notice.time_s < 1 << 40:
            raise RefusedError("that is no id or no time of a message")
        if len(notice.body) > REQUEST_BODY_BYTES_MAX:
            raise RefusedError(f"the body has more than {REQUEST_BODY_BYTES_MAX} bytes")
        assert self._sign is not None
        signature = self._sign(notice.id, notice.time_s, notice.body)
        fields = (
            b"content-type: application/json\r\nwebhook-id: %s\r\nwebhook-timestamp: %d\r\nwebhook-signature: %s\r\n"
        )
        return self._encode("POST", "", "", fields % (notice.id.encode(), notice.time_s, signature), notice.body)

    def _encode(self, method: str, path: str, query: str, fields: bytes, body: bytes) -> bytes:
        endpoint = self.endpoint
        queries = [text for text in (query, endpoint.query) if text]
        target = (endpoint.path_prefix + path or "/") + ("?" + "&".join(queries) if queries else "")
        lines = [f"{method} {target} HTTP/1.1\r\nhost: ".encode("ascii"), endpoint.host_header, b"\r\n"]
        lines += [self._auth_line or b"", USER_AGENT, b"accept-encoding: identity\r\nconnection: close\r\n"]
        lines.append(fields)
        if method == "POST":
            lines.append(b"content-length: %d\r\n" % len(body))
        return b"".join([*lines, b"\r\n", body])


class Destinations:
    """All destinations, by name."""

    def __init__(self, sealed: Iterable[Sealed], keys: KeyPair) -> None:
        self._by_name = {one.context.credential: OpenDestination(one, keys) for one in sealed}

    @property
    def unopened(self) -> list[str]:
        """Names of destinations that this key does not open."""
        return [one.name for one in self._by_name.values() if not one.opens]

    def find(self, name: str, purpose: str) -> OpenDestination:
        """Return a destination that may be used so. Raises RefusedError."""
        found = self._by_name.get(name)
        if found is None:
            raise RefusedError(f"there is no destination {name[:64]!r}")
        if found.purpose != purpose:
            raise RefusedError(f"the destination {name!r} is for {found.purpose}s, not for {purpose}s")
        if not found.opens:
            raise RefusedError(f"the courier's key does not open the destination {name!r}")
        return found

    def of(self, purpose: str) -> list[OpenDestination]:
        """Return those for a purpose."""
        return [one for one in self._by_name.values() if one.purpose == purpose]

    def states(self) -> list[DestinationState]:
        """Return what may be told of all."""
        return [one.state() for one in self._by_name.values()]


def ports(sealed: Iterable[Sealed]) -> frozenset[int]:
    """Return the TCP ports that the courier must reach: its destinations', or those of the proxies in front of them."""
    return frozenset(proxy_of(one.context.endpoint)[1] for one in sealed)


def proxy_of(endpoint: Endpoint) -> tuple[str, int]:
    """Return host and port of what is connected to: the proxy, where there is one."""
    if not endpoint.proxy:
        return endpoint.host, endpoint.port
    host, _, port = endpoint.proxy.rpartition(":")
    return host, int(port)
