"""Which pages of other origins may read answers (Fetch Standard, "HTTP CORS protocol"; read 2026-11-27). Level 1.

Off unless origins are named. Keys travel in headers, so no credentials of the browser's are ever allowed.
"""

import re
from collections.abc import Iterable, Mapping

_ORIGIN = re.compile(r"https?://(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:]{2,39}\])(?::[0-9]{1,5})?")
_ASKED = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,2048}")
ANY = "*"
_READABLE = (
    b"access-control-expose-headers: x-request-id, request-id, retry-after, retry-after-ms, x-switchgear-model,"
    b" x-switchgear-provider, x-switchgear-attempts, x-switchgear-cost-usd, x-switchgear-dropped, x-switchgear-estimated\r\n"
)
_PREFLIGHT = b"access-control-allow-methods: GET, POST, DELETE\r\naccess-control-max-age: 600\r\n"


def check_origin(origin: str) -> str | None:
    """Say what is wrong with an origin of the configuration, None where it is one."""
    if origin == ANY or _ORIGIN.fullmatch(origin):
        return None
    return f"{origin[:80]!r} is no origin: write scheme, host and port as browsers do, e.g. https://app.example, or '*' for any"


class Cors:
    """The origins of a listener."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._is_any = False
        self._lines: dict[bytes, bytes] = {}
        for origin in origins:
            self._is_any = self._is_any or origin == ANY
            self._lines[origin.encode("ascii")] = (
                b"access-control-allow-origin: %b\r\nvary: origin\r\n" % origin.encode("ascii") + _READABLE
            )

    def lines(self, headers: Mapping[bytes, bytes]) -> bytes:
        """Return what an answer's head says to the page that asked; nothing to one of another origin, and to what is no page."""
        origin = headers.get(b"origin")
        if origin is None:
            return b""
        found = self._lines.get(origin)
        if found is None:
            return self._lines[ANY.encode()] if self._is_any else b"vary: origin\r\n"
        return found

    def preflight(self, method: bytes, headers: Mapping[bytes, bytes]) -> bytes | None:
        """Return what a browser's question before a request is answered with, beside `lines`; None for what is no such question, or
        one of a page that may not ask."""
        if method != b"OPTIONS" or b"access-control-request-method" not in headers:
            return None
        origin = headers.get(b"origin")
        if origin is None or (not self._is_any and origin not in self._lines):
            return None
        asked = headers.get(b"access-control-request-headers", b"")
        allowed = b"access-control-allow-headers: %b\r\n" % asked if asked and _ASKED.fullmatch(asked) else b""
        return _PREFLIGHT + allowed
