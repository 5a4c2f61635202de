"""The server's side of HTTP/1.1, on llhttp (httptools) with a judge in front of it. Level 1, sans-I/O.

llhttp accepts shapes that a gateway must not (docs/invariants.md H1): transfer-encoding lists, other protocols in the request
line, absolute targets for another host, several Hosts. So a request head is collected whole, judged by allow-list as
bytes and again as parsed fields, and only then counted as a request. RFC 9112 (read 2026-11-23) is quoted where obeyed.
"""

import re
from typing import Protocol

import httptools
import msgspec

from switchgear.core import problems
from switchgear.core.errors import ProtocolError
from switchgear.core.problems import Case
from switchgear.wire.http_syntax import DIGITS, FIELD_NAME, FIELD_VALUE_BAD, OVERHEAD_BYTES_MAX

METHODS = frozenset({b"GET", b"HEAD", b"POST", b"DELETE", b"OPTIONS", b"PUT", b"PATCH"})
_TARGET = re.compile(rb"[\x21-\x7e]+")
_LENGTH_LINE = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: ?([0-9]{1,9})\r\n")
_ORIGIN_LINE = re.compile(rb"\r\norigin:[ \t]*([\x21-\x7e]{1,512})[ \t]*\r\n", re.I)
_HOST = re.compile(rb"[0-9A-Za-z._~%!$&'()*+,;=:\[\]-]*")


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one request; the precedents are nginx's and Envoy's edge defaults."""

    head_bytes_max: int = 16_384
    headers_max: int = 64
    url_bytes_max: int = 8_192
    body_bytes_max: int = 33_554_432


class RejectedError(ProtocolError):
    """The peer's message is refused. `case` is the answer; the connection closes after it."""

    def __init__(self, case: Case, message: str) -> None:
        super().__init__(message)
        self.case = case


class SharedHead(msgspec.Struct):
    """What is derived from a head, once: one object for all requests of a connection whose heads differ in nothing but
    content-length. Clients repeat their head, so it is judged, parsed and interpreted once."""

    forwarded_for: tuple[str | None, bool] | None = None
    """net/exchange: the client's address behind a trusted proxy, and whether it is certain."""
    facts: object | None = None
    """The handler's own."""


class RequestHead(msgspec.Struct):
    """A judged request head. Names are lower-case; a repeated name is refused where it matters."""

    method: bytes
    target: bytes
    """The request target in origin form, query included; an absolute target is reduced to it."""
    headers: dict[bytes, bytes]
    """One value per name; repeated names are joined with a comma (RFC 9110 §5.3)."""
    keep_alive: bool
    http10: bool
    body_length: int | None
    """Bytes of a fixed body, 0 for none, None for chunked."""
    expects_continue: bool
    repeated: frozenset[bytes] = frozenset()
    """Names that came more than once: refused where they identify a caller."""
    shared: SharedHead = msgspec.field(default_factory=SharedHead)
    """What is derived from the head."""


class RequestSink(Protocol):
    """Receives one connection's requests."""

    def on_head(self, head: RequestHead) -> None:
        """A head was judged good."""
        ...

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        ...

    def on_end(self) -> None:
        """The message is complete."""
        ...


class RequestParser:
    """The server side of one connection. Feed it bytes; it calls the sink. RejectedError ends the connection."""

    __slots__ = (
        "_blank",
        "_body",
        "_complete",
        "_crossed",
        "_direct",
        "_head",
        "_headers",
        "_limits",
        "_memo",
        "_memo_head",
        "_parser",
        "_raw",
        "_remaining",
        "_repeated",
        "_shown",
        "_sink",
        "_url",
        "in_message",
        "is_paused",
        "pending",
    )

    def __init__(self, sink: RequestSink, limits: Limits) -> None:
        self._sink = sink
        self._limits = limits
        self._parser = httptools.HttpRequestParser(self)
        self.pending = b""
        """What is kept: the beginning of a head, or requests that came while parsing is paused."""
        self.in_message = False
        """True from a head's end to its message's end."""
        self.is_paused = False
        """Set by the sink when it takes no further request for now: bytes are kept, until `feed` is called again."""
        self._blank = False
        """An empty line came before this head: one is ignored."""
        self._head: RequestHead | None = None
        self._memo: tuple[bytes, int, bytes, int] | None = None
        """What stands before and after the digits of the last head's content-length, each with its length."""
        self._memo_head: RequestHead | None = None
        self._direct = False
        self._remaining: int | None = 0
        self._complete = False
        self._crossed = False
        self._raw = 0
        self._body = 0
        self._shown = b""
        """The head that is being judged."""
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._repeated: dict[bytes, list[bytes]] = {}

    @property
    def target(self) -> bytes:
        """The target of the head that was refused, as it was sent and as far as it came; it is only good for choosing the shape
        of the refusal."""
        shown = self._shown or self.pending
        parts = shown[: self._limits.url_bytes_max].partition(b"\r\n")[0].split(b" ")
        return parts[1] if len(parts) > 1 else b""

    @property
    def origin(self) -> bytes | None:
        """The Origin field of the head that was refused, as far as it came; None where it has none. Only good for telling a page
        of a named origin why its request was refused."""
        shown = self._shown or self.pending
        found = _ORIGIN_LINE.search(shown[: self._limits.head_bytes_max])
        return found.group(1) if found is not None else None

    def close(self) -> None:
        """Let go of everything: the parser and its callbacks hold each other, and a collector that seldom runs would keep them
        and what was not parsed. The parser must not be used afterwards."""
        self.pending = self._shown = b""
        self._memo = self._memo_head = self._head = None
        del self._parser, self._sink

    def feed(self, data: bytes) -> None:
        """Process received bytes. Raises RejectedError; the parser must not be used afterwards."""
        if self.pending:
            data = self.pending + data
            self.pending = b""
        while data:
            if self.in_message:
                data = self._feed_body(data)
            elif self.is_paused:
                self.pending = data
                return
            else:
                data = self._feed_head(data)
            if not self.in_message and data and not self.is_paused and b"\r\n\r\n" not in data:
                self._check_partial(data)
                self.pending = data
                return

    def _check_partial(self, data: bytes) -> None:
        self._shown = data
        if len(data) > self._limits.head_bytes_max:
            raise RejectedError(problems.HEADERS_TOO_LARGE, f"the head is over {self._limits.head_bytes_max} bytes")
        # Refuse early what can no longer become a good head: a client that ends lines with a bare LF would hang.
        if b"\n" in data and data.count(b"\n") != data.count(b"\r\n"):
            raise RejectedError(problems.BAD_HTTP, "a line ends with a bare LF")
        self._shown = b""

    def _feed_repeated(self, data: bytes) -> bytes | None:
        """Take a head that repeats the last one but for the digits of its content-length; None when it does not."""
        memo, known = self._memo, self._memo_head
        if memo is None or known is None:
            return None
        before, at, after, after_bytes = memo
        if data[:at] != before:
            return None
        end = data.find(b"\r\n", at)
        digits = data[at:end]
        rest = end + after_bytes
        if not digits.isdigit() or len(digits) > 9 or data[end:rest] != after:
            return None
        length = int(digits)
        if length > self._limits.body_bytes_max:
            return None
        self._remaining = length
        self._complete = length == 0
        self._direct = True
        self.in_message = True
        headers = known.headers
        self._sink.on_head(
            RequestHead(
                known.method,
                known.target,
                headers,
                known.keep_alive,
                known.http10,
                length,
                known.expects_continue and length != 0,
                known.repeated,
                known.shared,
            )
        )
        if self._complete:
            self._finish()
        return data[rest:]

    def _remember(self, head: bytes, parsed: RequestHead) -> None:
        match = _LENGTH_LINE.search(head)
        if match is not None and parsed.body_length is not None:
            self._memo = (head[: match.start(1)], match.start(1), head[match.end(1) :], len(head) - match.end(1))
            self._memo_head = parsed

    def _feed_head(self, data: bytes) -> bytes:
        if self._memo is not None:
            rest = self._feed_repeated(data)
            if rest is not None:
                return rest
        # RFC 9112 §2.2: a server SHOULD ignore at least one empty line received before the request line.
        if data.startswith(b"\r\n"):
            data = data[2:]
            if self._blank or data.startswith(b"\r\n"):
                raise RejectedError(problems.BAD_HTTP, "empty lines before the request line")
            self._blank = True
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return data
        head = self._shown = data[: end + 4]
        self._judge_bytes(head)
        self._reset()
        self.in_message = True
        self._parse(_without_upgrade(head))
        if self._head is None:
            raise RejectedError(problems.BAD_HTTP, "the head is not understood")
        parsed = self._head
        self._shown = b""
        self._remaining = parsed.body_length
        self._remember(head, parsed)
        self._sink.on_head(parsed)
        if self._complete:
            self._finish()
        return data[end + 4 :]

    def _reset(self) -> None:
        self._url = b""
        self._headers = {}
        self._repeated = {}
        self._raw = self._body = 0
        self._complete = self._crossed = self._direct = self._blank = False
        self._head = None

    def _feed_body(self, data: bytes) -> bytes:
        remaining = self._remaining
        if remaining == len(data) and self._direct:
            self._sink.on_body(data)
            self._finish()
            return b""
        if remaining is None:
            self._raw += len(data)
            self._parse(data)
            if self._raw - self._body > OVERHEAD_BYTES_MAX:
                raise RejectedError(problems.BAD_HTTP, "chunk framing is larger than allowed")
            if self._crossed:
                raise RejectedError(problems.BAD_HTTP, "bytes after a chunked body; send the next request later")
            rest = b""
        else:
            piece, rest = (data, b"") if len(data) <= remaining else (data[:remaining], data[remaining:])
            self._remaining = remaining - len(piece)
            if self._direct:
                # A fixed body after a repeated head: llhttp never saw the head and need not see the body.
                self._complete = self._remaining == 0
                self._sink.on_body(piece)
            else:
                self._parse(piece)
        if self._complete:
            self._finish()
        return rest

    def _finish(self) -> None:
        self.in_message = False
        self._sink.on_end()

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise RejectedError(problems.UPGRADE_REFUSED, "upgrades are not supported here") from None
        except httptools.HttpParserCallbackError as exc:
            raise exc.__context__ or exc from None
        except httptools.HttpParserError as exc:
            raise RejectedError(problems.BAD_HTTP, f"malformed HTTP: {exc}") from None

    def _judge_bytes(self, head: bytes) -> None:
        limits = self._limits
        line_end = head.find(b"\r\n")
        line = head[:line_end]
        if len(line) > limits.url_bytes_max + 32:
            raise RejectedError(problems.URL_TOO_LONG, f"the URL is over {limits.url_bytes_max} bytes")
        if len(head) > limits.head_bytes_max:
            raise RejectedError(problems.HEADERS_TOO_LARGE, f"the head is over {limits.head_bytes_max} bytes")
        newlines = head.count(b"\r\n")
        if newlines - 2 > limits.headers_max:
            raise RejectedError(problems.HEADERS_TOO_LARGE, f"more than {limits.headers_max} header fields")
        if head.count(b"\n") != newlines or head.count(b"\r") != newlines or b"\0" in head:
            raise RejectedError(problems.BAD_HTTP, "a bare CR, LF or NUL in the head")
        if b"\r\n " in head or b"\r\n\t" in head:
            raise RejectedError(problems.BAD_HTTP, "folded header lines are obsolete")  # RFC 9112 §5.2
        # llhttp also accepts RTSP and ICE here.
        parts = line.split(b" ")
        if len(parts) != 3 or parts[2] not in {b"HTTP/1.1", b"HTTP/1.0"}:
            raise RejectedError(problems.BAD_HTTP, "the request line is not METHOD SP TARGET SP HTTP/1.1")
        if parts[0] not in METHODS:
            raise RejectedError(problems.METHOD_NOT_ALLOWED, "this method is not served")
        if not _TARGET.fullmatch(parts[1]):
            raise RejectedError(problems.BAD_HTTP, "the request target has bytes that are not allowed")

    # httptools callbacks

    def on_message_begin(self) -> None:
        """llhttp: a message begins. Inside a fed chunked body that means bytes follow the end."""
        if self._complete:
            self._crossed = True

    def on_url(self, url: bytes) -> None:
        """llhttp: a piece of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """llhttp: a header field; after the head's end these are trailer fields, which are discarded."""
        if self._head is not None:
            return
        if not FIELD_NAME.fullmatch(name):
            raise RejectedError(problems.BAD_HTTP, "a header name has characters that are not allowed")
        if FIELD_VALUE_BAD.search(value):
            raise RejectedError(problems.BAD_HTTP, "a header value has control characters")
        name = name.lower()
        if name in self._headers:
            self._repeated.setdefault(name, [self._headers[name]]).append(value)
        else:
            self._headers[name] = value

    def on_headers_complete(self) -> None:
        """llhttp: the head ends; judge the fields."""
        headers = self._headers
        for name, values in self._repeated.items():
            headers[name] = b", ".join(values)
        http10 = self._parser.get_http_version() == "1.0"
        host = headers.get(b"host")
        if (
            b"host" in self._repeated
            or (host is None and not http10)
            or (host is not None and not _HOST.fullmatch(host))
        ):
            raise RejectedError(problems.BAD_HTTP, "exactly one valid Host field is required")  # RFC 9112 §3.2
        target = self._url
        if not target.startswith(b"/"):
            target = _origin_form(target, host or b"")
        if len(target) > self._limits.url_bytes_max:
            raise RejectedError(problems.URL_TOO_LONG, f"the URL is over {self._limits.url_bytes_max} bytes")
        encoding = headers.get(b"transfer-encoding")
        length = headers.get(b"content-length")
        body_length: int | None = 0
        if encoding is not None:
            # RFC 9112 §6.1: both fields together ought to be handled as an error; §6.1: not in HTTP/1.0.
            if length is not None or http10 or encoding.lower() != b"chunked":
                raise RejectedError(
                    problems.BAD_HTTP, "transfer-encoding must be exactly chunked, without content-length"
                )
            body_length = None
        elif length is not None:
            if b"content-length" in self._repeated or not DIGITS.fullmatch(length):
                raise RejectedError(problems.BAD_HTTP, "content-length must be one number")
            body_length = int(length)
            if body_length > self._limits.body_bytes_max:
                raise RejectedError(problems.BODY_TOO_LARGE, f"the body is over {self._limits.body_bytes_max} bytes")
        expect = headers.get(b"expect")
        if expect is not None and expect.lower() != b"100-continue":
            raise RejectedError(problems.EXPECTATION_FAILED, "only 100-continue can be expected")
        if b"upgrade" in headers and b"upgrade" in headers.get(b"connection", b"").lower():
            raise RejectedError(problems.UPGRADE_REFUSED, "upgrades are not supported here; use plain HTTP/1.1")
        self._head = RequestHead(
            method=self._parser.get_method(),
            target=target,
            headers=headers,
            keep_alive=self._parser.should_keep_alive(),
            http10=http10,
            body_length=body_length,
            expects_continue=expect is not None and body_length != 0 and not http10,
            repeated=frozenset(self._repeated) if self._repeated else frozenset(),
            shared=SharedHead(),
        )

    def on_body(self, data: bytes) -> None:
        """llhttp: body bytes."""
        self._body += len(data)
        if self._body > self._limits.body_bytes_max:
            raise RejectedError(problems.BODY_TOO_LARGE, f"the body is over {self._limits.body_bytes_max} bytes")
        if not self._crossed:
            self._sink.on_body(data)

    def on_message_complete(self) -> None:
        """llhttp: the message ends."""
        self._complete = True


def _origin_form(target: bytes, host: bytes) -> bytes:
    # RFC 9112 §3.2.2: a server must accept the absolute form; here only for the host that the client named.
    for scheme in (b"http://", b"https://"):
        if target.lower().startswith(scheme):
            authority, slash, rest = target[len(scheme) :].partition(b"/")
            if authority.lower() == host.lower() and b"@" not in authority:
                return slash + rest if slash else b"/"
    raise RejectedError(problems.BAD_HTTP, "the request target must be a path, or absolute for the Host named")


def _without_upgrade(head: bytes) -> bytes:
    """Take the offer to change the protocol out of a judged head. RFC 9110 §7.8: "A server MAY ignore a received Upgrade header
    field"; Java's HttpClient offers h2c with every first request, and goes on in HTTP/1.1 (RFC 7540 §3.2). A WebSocket
    cannot go on without, so it stays and is refused."""
    if b"\r\nupgrade:" not in head.lower():
        return head
    kept = []
    for line in head[:-4].split(b"\r\n"):
        name, _, value = line.partition(b":")
        name = name.lower()
        if name == b"upgrade" and b"websocket" in value.lower():
            return head
        if name in {b"upgrade", b"http2-settings"}:
            continue
        if name == b"connection":
            tokens = [token.strip() for token in value.split(b",")]
            tokens = [token for token in tokens if token.lower() not in {b"upgrade", b"http2-settings", b""}]
            if not tokens:
                continue
            line = b"connection: " + b", ".join(tokens)  # noqa: PLW2901
        kept.append(line)
    return b"\r\n".join(kept) + b"\r\n\r\n"
