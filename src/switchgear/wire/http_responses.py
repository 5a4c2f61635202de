"""The client's side of HTTP/1.1, on llhttp (httptools): one response at a time (docs/invariants.md H2). Level 1, sans-I/O."""

import httptools
import msgspec

from switchgear.core.errors import ProtocolError
from switchgear.wire.http_syntax import DIGITS, FIELD_VALUE_BAD, OVERHEAD_BYTES_MAX, join_repeated

CHUNK_FRAMING_BYTES = 12
"""More than the longest size that `take_chunk` reads, and two line ends: a chunk that carries as much outweighs its framing."""
INFORMATIONAL_MAX = 8  # 1xx responses before the real one


class ResponseHead(msgspec.Struct):
    """A response head from an upstream. Names are lower-case, in order, repeats kept."""

    status: int
    headers: list[tuple[bytes, bytes]]
    keep_alive: bool

    def get(self, name: bytes) -> bytes | None:
        """Return the first value of a lower-case name."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


class ResponseParser:
    """The client side of one connection: one response at a time (docs/invariants.md H2).

    Call `begin(method)` for each request, `feed` for bytes, `eof` at the connection's end. After `feed`, look at
    `head`, `take_body()` and `complete`. Any byte that belongs to no request raises ProtocolError.
    """

    __slots__ = (
        "_body",
        "_busy",
        "_excess",
        "_headers",
        "_informational",
        "_is_between",
        "_is_final",
        "_parser",
        "complete",
        "head",
        "head_bytes_max",
    )

    def __init__(self, head_bytes_max: int = 65_536) -> None:
        self.head_bytes_max = head_bytes_max
        self._busy = False
        self.complete = False
        self.head: ResponseHead | None = None
        self._reset()

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._informational = 0
        self._excess = 0
        """Bytes that came, less twice those of the body: what is framing and not outweighed by what it carries."""
        self._is_final = False
        self._is_between = False
        """True when a chunk has ended and none has begun."""

    def close(self) -> None:
        """Let go of everything, as `RequestParser.close` does."""
        self._body = []
        del self._parser

    def begin(self) -> None:
        """Expect a response. Raises ProtocolError when one is still expected."""
        if self._busy:
            raise ProtocolError("a response is still expected")
        self._busy = True
        if self.head is not None:
            self._reset()
        self.head = None
        self.complete = False

    def feed(self, data: bytes) -> None:
        """Process received bytes. Raises ProtocolError; the connection must be closed then."""
        if not self._busy:
            raise ProtocolError("bytes from the upstream without a request")
        self._excess += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise ProtocolError("the upstream switched protocols") from None
        except httptools.HttpParserCallbackError as exc:
            if isinstance(exc.__context__, ProtocolError):
                raise exc.__context__ from None
            raise
        except httptools.HttpParserError as exc:
            raise ProtocolError(f"malformed response: {exc}") from None
        if self._excess > self.head_bytes_max:
            self._check_excess()
        if self.complete:
            self._busy = False

    def _check_excess(self) -> None:
        if self.head is None:
            raise ProtocolError("the response head is too large")
        if self._excess > self.head_bytes_max + OVERHEAD_BYTES_MAX:
            raise ProtocolError("chunk framing is larger than the body it carries")

    def take_chunk(self, data: bytes) -> bytes | None:
        """Return the body of received bytes that are one whole chunk in the middle of a body, which is how events of a stream
        come; None for all others, which are to be fed. Its framing is read here, so that llhttp stays between two chunks."""
        if not self._is_between:
            return None
        at = data.find(b"\r\n", 0, CHUNK_FRAMING_BYTES)
        size = len(data) - at - 4
        # RFC 9112 §7.1: chunk-size is 1*HEXDIG. Written so, in either case, it is this very size and nothing else.
        if at < 0 or size < CHUNK_FRAMING_BYTES or data[-2:] != b"\r\n":
            return None
        if data[:at] != b"%x" % size and data[:at] != b"%X" % size:
            return None
        self._excess += at + 4 - size
        return data[at + 2 : -2]

    def eof(self) -> bool:
        """The connection ended. Returns True when that completes the response (a body without a length)."""
        if not self._busy or self.head is None or self.complete:
            return False
        names = {name for name, _ in self.head.headers}
        if b"content-length" in names or b"transfer-encoding" in names:
            return False
        self.complete = True
        self._busy = False
        return True

    def take_body(self) -> bytes:
        """Return the body bytes received since the last call."""
        body = self._body
        if not body:
            return b""
        self._body = []
        return body[0] if len(body) == 1 else b"".join(body)

    def on_message_begin(self) -> None:
        """llhttp: a message begins; after a final one that is an attack (response splitting)."""
        if self.complete:
            raise ProtocolError("a second response in the same bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        """llhttp: a header field, or a trailer field (discarded)."""
        if self.head is not None:
            return
        self._headers.append((name.lower(), value))
        if len(self._headers) > 256:
            raise ProtocolError("too many response headers")

    def on_headers_complete(self) -> None:
        """llhttp: the head ends. 1xx are skipped (RFC 9110 §15.2), 101 is an error."""
        status = self._parser.get_status_code()
        if status < 200:
            self._informational += 1
            if status == 101 or self._informational > INFORMATIONAL_MAX:
                raise ProtocolError(f"unexpected {status} response")
            self._headers = []
            self._is_final = False
            return
        headers = self._headers
        fields = dict(headers)
        if len(fields) != len(headers):
            fields = join_repeated(headers)
        encoding, length = fields.get(b"transfer-encoding"), fields.get(b"content-length")
        if encoding is not None and (length is not None or encoding.lower() != b"chunked"):
            raise ProtocolError("ambiguous response framing")
        if length is not None and not DIGITS.fullmatch(length):
            raise ProtocolError("contradicting response lengths")
        if FIELD_VALUE_BAD.search(b" ".join(fields.values())):
            raise ProtocolError("a response header has control characters")
        self._is_final = True
        self.head = ResponseHead(status, headers, self._parser.should_keep_alive())

    def on_body(self, data: bytes) -> None:
        """llhttp: body bytes."""
        self._excess -= 2 * len(data)
        self._body.append(data)

    def on_chunk_header(self) -> None:
        """llhttp: a chunk begins; it may be the last."""
        self._is_between = False

    def on_chunk_complete(self) -> None:
        """llhttp: a chunk has ended."""
        self._is_between = True

    def on_message_complete(self) -> None:
        """llhttp: a message ends; only a final one completes the response."""
        self._is_between = False
        if self._is_final:
            self.complete = True
