"""One request and its answer, and what it asks of its connection, of its server and of the handler. Level 2.

An exchange is answered at once or later; one whose turn has not come keeps its answer until then. What a handler did not
expect ends this exchange and nothing else (decision 020).
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from switchgear.core.clock import Clock
from switchgear.core.guard import Guard, guarded
from switchgear.core.problems import Problem
from switchgear.net.held import HeldBytes
from switchgear.policies.cors import Cors
from switchgear.policies.forwarded import Proxies
from switchgear.wire import http_requests, http_syntax
from switchgear.wire.http_requests import RequestHead
from switchgear.wire.http_syntax import STATUS_LINES

DISCARD_BYTES_MAX = 65_536
_PLAIN = b"content-type: text/plain\r\n"


class ServerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a server; the defaults stand in docs/operations.md."""

    http: http_requests.Limits = http_requests.Limits()
    head_s: float = 10.0
    body_grace_s: float = 10.0
    body_rate_min: int = 1_024
    """Bytes per second that a body must make in each `body_grace_s`."""
    body_s: float = 900.0
    """A body that takes longer is refused however it comes: 32 MiB at 37 KB/s."""
    keep_alive_s: float = 75.0
    write_stall_s: float = 60.0
    """A client that reads nothing for so long is dropped."""
    write_buffer_bytes: int = 262_144
    buffered_bytes_max: int = 402_653_184
    """Bytes of requests held at once, all connections; at least four of the largest bodies. With what a body costs while it
    is read, an edge stays below 600 MB."""
    connections_max: int = 20_000
    connections_per_address_max: int = 1_000


class Handler(Protocol):
    """What a server calls."""

    def on_head(self, exchange: "Exchange") -> None:
        """The head is judged good; answer now to refuse before a body is read."""
        ...

    def on_request(self, exchange: "Exchange") -> None:
        """The whole request is there and it is its turn."""
        ...

    def on_gone(self, exchange: "Exchange") -> None:
        """The client went away before its answer ended."""
        ...

    def on_writable(self, exchange: "Exchange") -> None:
        """The client reads again after `Exchange.is_blocked` was true."""
        ...

    def on_fault(self, exchange: "Exchange", exc: Exception) -> None:
        """Something unexpected was raised about this exchange: tell it, settle it and end it, and nothing else."""
        ...

    def render(self, problem: Problem, target: bytes) -> tuple[bytes, bytes]:
        """Return (header block, body) for a refusal that the server itself makes. `target` is the request's as far as it is
        known, which may be nothing: its path says in which shape its client reads errors."""
        ...


class Channel(Protocol):
    """What exchanges and servers ask of a connection."""

    server: "ServerState"
    address: str | None
    proxies: Proxies | None
    is_blocked: bool
    is_counted: bool
    transport: asyncio.Transport | None

    def is_tls(self) -> bool:
        """Tell whether the connection is encrypted."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes, unless the connection is gone."""
        ...

    def is_current(self, exchange: "Exchange") -> bool:
        """True when it is this exchange's turn to be answered."""
        ...

    def finished(self, exchange: "Exchange") -> None:
        """The current exchange's answer is written."""
        ...

    def break_off(self, reset: bool) -> None:
        """Close without a good end."""
        ...

    def arriving(self) -> Iterator["Exchange"]:
        """Return the requests whose body is not whole, or whose turn has not come."""
        ...

    def close_if_idle(self) -> None:
        """Close a connection that waits for a request."""
        ...

    def tick(self) -> None:
        """Enforce deadlines."""
        ...


class ServerState:
    """What all connections of a server share: its bounds, its time, and what they hold together."""

    def __init__(
        self, handler: Handler, clock: Clock, guard: Guard, limits: ServerLimits, proxies: Proxies | None
    ) -> None:
        """`proxies`: peers whose X-Forwarded-For is believed; None for nobody's."""
        self.handler = handler
        self.guard = guard
        self.proxies = proxies
        self.limits = limits
        self.on_done: Callable[[Exchange], None] | None = None
        """Called once for each exchange when its answer is written, or its client gone: for the access log."""
        self.now_s = clock.monotonic_s()
        self.date = b""
        """The header line, of the last tick."""
        self.is_draining = False
        self.is_closing = False
        self.connections: set[Channel] = set()
        self.counted = 0
        """Connections, with those that are being set up."""
        self._per_address: dict[str, int] = {}
        self.held = HeldBytes(max(limits.buffered_bytes_max, 4 * limits.http.body_bytes_max))
        self.queued = 0
        """Requests that wait behind others of their connection."""
        self.cors: Cors | None = None
        """Which pages of other origins may read answers; None for none."""

    def admit(self, connection: Channel) -> bool:
        """Count a new connection; False when there are too many."""
        connection.is_counted = True
        self.counted += 1
        address = connection.address
        count = 0
        is_shared = connection.proxies is not None or address == "::1"  # many clients come from there
        if address is not None and not (is_shared or address.startswith("127.")):
            count = self._per_address[address] = self._per_address.get(address, 0) + 1
        return self.counted <= self.limits.connections_max and count <= self.limits.connections_per_address_max

    def forget(self, connection: Channel) -> None:
        """Uncount a connection that ended."""
        self.connections.discard(connection)
        if not connection.is_counted:
            return
        connection.is_counted = False
        self.counted -= 1
        address = connection.address
        if address in self._per_address:
            self._per_address[address] -= 1
            if not self._per_address[address]:
                del self._per_address[address]

    def arriving(self) -> Iterator["Exchange"]:
        """Return the requests that are not answered yet and whose turn has not come, or whose body is not whole. Each can be
        answered with `Exchange.send`, which drops its body and closes the connection where a large rest would follow."""
        for connection in list(self.connections):
            yield from list(connection.arriving())


class Exchange:
    """One request and its answer."""

    __slots__ = (
        "_chunked",
        "_window_bytes",
        "_window_s",
        "body_bytes",
        "connection",
        "context",
        "deferred",
        "head",
        "held_bytes",
        "id",
        "is_complete",
        "is_discarded",
        "is_ended",
        "is_kept",
        "is_last",
        "is_started",
        "owner",
        "parts",
        "received_s",
        "status",
    )

    def __init__(self, connection: "Channel", head: RequestHead, now_s: float) -> None:
        self.connection = connection
        self.head = head
        self.context: object | None = None
        """The handler's own state."""
        self.id = ""
        """The handler's name for the request."""
        self.received_s = now_s
        self.is_complete = False
        self.is_started = False
        self.is_ended = False
        self.body_bytes = 0
        self.status = 0
        """Of the answer, once it began."""
        self.owner = (connection.address if connection.proxies is None else self.client_address) or ""
        """On whose account its bytes are held; the handler names the key as soon as it is known."""
        self.is_kept = False
        """True while the handler goes on with the body although the client may be gone; it calls `release` then."""
        self.parts: list[bytes] = []
        self.held_bytes = 0
        self._window_s = now_s
        self._window_bytes = 0
        self._chunked = False
        self.is_last = not head.keep_alive
        self.is_discarded = False
        self.deferred: tuple[int, bytes, bytes] | None = None

    @property
    def client_address(self) -> str | None:
        """The client's address: the peer's, or what a trusted proxy says of it. None for a Unix socket."""
        if self.connection.proxies is None:
            return self.connection.address
        return self._behind(self.connection.proxies)[0]

    @property
    def certain_address(self) -> str | None:
        """The client's address where that is certain, for rules: None when a trusted proxy's list cannot be read."""
        if self.connection.proxies is None:
            return self.connection.address
        address, is_certain = self._behind(self.connection.proxies)
        return address if is_certain else None

    def _behind(self, proxies: Proxies) -> tuple[str | None, bool]:
        found = self.head.shared.forwarded_for
        if found is None:
            listed = self.head.headers.get(b"x-forwarded-for")
            found = self.head.shared.forwarded_for = proxies.client(self.connection.address, listed)
        return found

    @property
    def is_tls(self) -> bool:
        """True when the client's connection is encrypted: here, or at a trusted proxy that says so."""
        if self.connection.proxies is not None and not self.connection.is_tls():
            scheme = self.head.headers.get(b"x-forwarded-proto", b"")
            return scheme.rpartition(b",")[2].strip().lower() == b"https"
        return self.connection.is_tls()

    @property
    def is_blocked(self) -> bool:
        """True while the client does not read what was written."""
        return self.connection.is_blocked

    @property
    def is_answered(self) -> bool:
        """True when the answer was written, or waits for its turn."""
        return self.is_ended or self.deferred is not None

    def body(self) -> bytes:
        """Return the whole body and forget it. It counts as held until the answer ends, or `release` is called."""
        parts, self.parts = self.parts, []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def release(self) -> None:
        """The body is let go: count it no more."""
        if self.held_bytes:
            self.parts.clear()
            self.connection.server.held.give(self.owner, self.held_bytes)
            self.held_bytes = 0

    def hold(self, size: int) -> bool:
        """Count bytes that the handler keeps for this exchange, until `release`; False when they are too many."""
        if not self.connection.server.held.take(self.owner, size):
            return False
        self.held_bytes += size
        return True

    def discard(self) -> None:
        """Nobody will read the body: drop it as it comes."""
        self.is_discarded = True

    def begin_window(self, now_s: float) -> None:
        """Measure the body's rate from now on: it could not come before."""
        self._window_s, self._window_bytes = now_s, self.body_bytes

    def is_slow(self, now_s: float, limits: ServerLimits) -> bool:
        """Tell whether the body takes too long in all, or came too slowly since it was measured last."""
        age_s = now_s - self._window_s
        if age_s < limits.body_grace_s:
            return False
        came = self.body_bytes - self._window_bytes
        self.begin_window(now_s)
        return came < limits.body_rate_min * age_s or now_s - self.received_s > limits.body_s

    def send(self, status: int, headers: bytes, body: bytes) -> None:
        """Answer at once, or when it is this exchange's turn. `headers` is a block of CRLF-ended lines without
        content-length and connection."""
        if not self.is_complete:
            self._refuse_rest()
        connection = self.connection
        server = connection.server
        if not self.is_kept:
            self.release()
        if not connection.is_current(self):
            self.deferred = (status, headers, body)
            return
        if server.is_draining:
            self.is_last = True
        tail = b"connection: close\r\n\r\n" if self.is_last else b"\r\n"
        if server.cors is not None:
            headers += server.cors.lines(self.head.headers)
        payload = b"" if self.head.method == b"HEAD" else body
        message = b"%b%bcontent-length: %d\r\n%b%b%b" % (
            STATUS_LINES[status],
            headers,
            len(body),
            server.date,
            tail,
            payload,
        )
        self.is_started = self.is_ended = True
        self.status = status
        transport = connection.transport
        if transport is not None:
            transport.write(message)
        connection.finished(self)

    def start(self, status: int, headers: bytes, first: bytes = b"") -> None:
        """Begin a streamed answer: chunked, or until close for HTTP/1.0."""
        if not self.is_complete:
            self._refuse_rest()
        self._chunked = not self.head.http10
        self.is_last = self.is_last or self.head.http10
        cors = self.connection.server.cors
        if cors is not None:
            headers += cors.lines(self.head.headers)
        framing = b"transfer-encoding: chunked\r\n" if self._chunked else b""
        tail = b"connection: close\r\n\r\n" if self._must_close() else b"\r\n"
        head = b"%b%b%b%b%b" % (STATUS_LINES[status], headers, framing, self.connection.server.date, tail)
        if first and self._chunked:
            first = http_syntax.encode_chunk(first)
        self.is_started = True
        self.status = status
        self.connection.write(head + first)

    def write(self, data: bytes) -> None:
        """Send a piece of a streamed answer. An empty one is nothing: as a chunk it would be the terminator (H6)."""
        transport = self.connection.transport
        if data and transport is not None:
            transport.write(http_syntax.encode_chunk(data) if self._chunked else data)

    def end(self) -> None:
        """End a streamed answer well."""
        self.is_ended = True
        if self._chunked:
            self.connection.write(http_syntax.LAST_CHUNK)
        self.connection.finished(self)

    def abort(self) -> None:
        """End a streamed answer badly: the terminator is withheld, so that no client takes it for complete (H6)."""
        self.is_ended = True
        self.tell_done()
        self.connection.break_off(reset=self.head.http10)

    # doors to the handler, and what becomes of what it did not expect

    def _give_up(self, exc: Exception) -> None:
        # Even ending it failed: a plain refusal when nothing was said, else the connection, which no client takes for an end.
        self.connection.server.guard.caught(exc, self.id)
        self.is_kept = False
        if self.is_started or self.deferred is not None:
            self.release()
            self.is_ended = True
            self.connection.break_off(reset=False)
        else:
            self.send(500, _PLAIN, b"internal error\n")

    def _done_fault(self, exc: Exception) -> None:
        self.connection.server.guard.caught(exc, self.id)

    @guarded(_done_fault)
    def tell_done(self) -> None:
        """The answer is written, or its client gone."""
        on_done = self.connection.server.on_done
        if on_done is not None:
            on_done(self)

    @guarded(_give_up)
    def fault(self, exc: Exception) -> None:
        """End this exchange, and nothing else, for what was raised about it."""
        self.connection.server.handler.on_fault(self, exc)

    @guarded(fault)
    def tell_head(self) -> None:
        """The head is judged good."""
        cors = self.connection.server.cors
        if cors is not None:
            said = cors.preflight(self.head.method, self.head.headers)
            if said is not None:  # a browser asks before a request of a page's; it presents no key
                self.discard()
                self.send(200, said, b"")
                return
        self.connection.server.handler.on_head(self)

    @guarded(fault)
    def tell_request(self) -> None:
        """The whole request is there, and it is its turn."""
        self.connection.server.handler.on_request(self)

    @guarded(fault)
    def tell_gone(self) -> None:
        """The client went away."""
        self.is_ended = True
        self.tell_done()
        self.connection.server.handler.on_gone(self)

    @guarded(fault)
    def tell_writable(self) -> None:
        """The client reads again."""
        self.connection.server.handler.on_writable(self)

    @guarded(fault)
    def act(self, function: Callable[..., None], arguments: tuple[object, ...]) -> None:
        """Do something towards the client."""
        function(*arguments)

    def _must_close(self) -> bool:
        if self.connection.server.is_draining:
            self.is_last = True
        return self.is_last

    def _refuse_rest(self) -> None:
        # An answer before the body's end: a short rest is read and thrown away, a long one closes the connection.
        self.is_discarded = True
        if self.head.body_length is None or self.head.body_length > DISCARD_BYTES_MAX or self.head.expects_continue:
            self.is_last = True
