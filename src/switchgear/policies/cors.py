"""Which pages of other origins may read answers (Fetch Standard, "HTTP CORS protocol"; read 2026-11-27). Level 1.

Off unless origins are named. Keys travel in headers, so no credentials of the browser's are ever allowed.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping

_ORIGIN = re.compile(
    r"(https?)://(?:((?:[a-z0-9_-]{1,63}\.)*([a-z0-9_-]{1,63}))|\[([0-9a-f:]{2,39})\])(?::([1-9][0-9]{0,4}))?"
)
_DEFAULT = {"http": 80, "https": 443}
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ASKED = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,2048}")
ANY = "*"
_READABLE = (
    b"access-control-expose-headers: x-request-id, request-id, retry-after, retry-after-ms, x-switchgear-model,"
    b" x-switchgear-provider, x-switchgear-attempts, x-switchgear-cost-usd, x-switchgear-dropped, x-switchgear-estimated\r\n"
)
_VARY = b"vary: origin\r\n"
_PREFLIGHT = b"access-control-allow-methods: GET, POST, DELETE\r\naccess-control-max-age: 600\r\n"


def check_origin(origin: str) -> str | None:
    """Say what is wrong with an origin of the configuration, None where a browser may send it.

    Browsers send the serialization of the URL Standard (url.spec.whatwg.org, "host serializing", "ends in a number checker", "port
    state"; read 2026-11-27): addresses in their shortest form, and never the scheme's own port. Another spelling would match none.
    """
    if origin == ANY:
        return None
    found = _ORIGIN.fullmatch(origin)
    if found is None or not _is_host(found[2], found[3], found[4]):
        return (
            f"{origin[:80]!r} is no origin: write scheme, host and port as browsers do, e.g. https://app.example, "
            "or '*' for any"
        )
    if found[5] is not None and int(found[5]) > 65_535:
        return f"{origin[:80]!r} is no origin: a port is at most 65535"
    if found[5] is not None and int(found[5]) == _DEFAULT[found[1]]:
        return f"{origin!r} is never sent: browsers leave out the port {found[5]} of {found[1]}: {origin.rpartition(':')[0]}"
    return None


def _is_host(name: str | None, last: str | None, address: str | None) -> bool:
    try:
        if address is not None:
            return ipaddress.IPv6Address(address).compressed == address
        if _NUMBER.fullmatch(last or ""):  # then it is read as an IPv4 address
            return str(ipaddress.IPv4Address(name)) == name
    except ValueError:
        return False
    return len(name or "") <= 253


def _allow(origin: bytes) -> bytes:
    return b"access-control-allow-origin: %b\r\n" % origin + _READABLE


class Cors:
    """The origins of a listener."""

    def __init__(self, origins: Iterable[str]) -> None:
        named = [origin.encode("ascii") for origin in origins]
        self._for_any = _allow(ANY.encode()) if ANY.encode() in named else b""
        self._lines = {origin: _allow(origin) + _VARY for origin in named}

    def lines(self, headers: Mapping[bytes, bytes]) -> bytes:
        """Return what an answer's head says: to a page of a named origin that it may read. Where origins are named, all others are
        told that answers differ by origin, whoever asked: a cache would give a page what was answered to another, or to none
        (Fetch Standard, "CORS protocol and HTTP caches")."""
        return self._for_any or self._lines.get(headers.get(b"origin", b""), _VARY)

    def preflight(self, method: bytes, headers: Mapping[bytes, bytes]) -> bytes | None:
        """Return what a browser's question before a request is answered with, beside `lines`; None for what is no such question, or
        one of a page that may not ask."""
        if method != b"OPTIONS" or b"access-control-request-method" not in headers:
            return None
        origin = headers.get(b"origin")
        if origin is None or (not self._for_any and origin not in self._lines):
            return None
        asked = headers.get(b"access-control-request-headers", b"")
        allowed = b"access-control-allow-headers: %b\r\n" % asked if asked and _ASKED.fullmatch(asked) else b""
        return _PREFLIGHT + allowed
