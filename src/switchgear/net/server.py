"""The HTTP server: one asyncio protocol per connection, no task per request. Level 2.

A handler gets an Exchange per request and answers through it, now or later. Pipelined requests are answered in order.
All deadlines are checked by one timer per server, so that ten thousand idle connections cost ten thousand comparisons
a second and no timers.
"""

import asyncio
import email.utils
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast

import msgspec

from switchgear.core import problems
from switchgear.core.clock import Clock
from switchgear.core.problems import Problem
from switchgear.wire import http1
from switchgear.wire.http1 import STATUS_LINES, RejectedError, RequestHead, RequestParser

TICK_S = 1.0
PIPELINE_MAX = 16
ACCEPT_PAUSE_S = 0.001
ACCEPT_BATCH = 8
STARVED_S = 0.1
STARVED_TOLD_S = 60.0
DISCARD_BYTES_MAX = 65_536


class ServerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a server; defaults are those of DESIGN's hardening table."""

    http: http1.Limits = http1.Limits()
    head_s: float = 10.0
    body_grace_s: float = 10.0
    body_rate_min: int = 1_024
    """Bytes per second that a body must make after the grace."""
    keep_alive_s: float = 75.0
    write_stall_s: float = 60.0
    """A client that reads nothing for so long is dropped."""
    write_buffer_bytes: int = 262_144
    buffered_bytes_max: int = 536_870_912
    """Request bodies held at once, all connections."""
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

    def render(self, problem: Problem, exchange: "Exchange | None") -> tuple[bytes, bytes]:
        """Return (header block, body) for a refusal that the server itself makes."""
        ...


class Exchange:
    """One request and its answer."""

    __slots__ = (
        "_body",
        "_chunked",
        "_close",
        "_deferred",
        "_discard",
        "body_bytes",
        "connection",
        "context",
        "head",
        "is_complete",
        "is_ended",
        "is_started",
        "received_s",
        "status",
    )

    def __init__(self, connection: "Connection", head: RequestHead, now_s: float) -> None:
        self.connection = connection
        self.head = head
        self.context: Any = None
        """The handler's own state."""
        self.received_s = now_s
        self.is_complete = False
        self.is_started = False
        self.is_ended = False
        self.body_bytes = 0
        self.status = 0
        """Of the answer, once it began."""
        self._body: list[bytes] = []
        self._chunked = False
        self._close = not head.keep_alive
        self._discard = False
        self._deferred: tuple[int, bytes, bytes] | None = None

    @property
    def client_address(self) -> str | None:
        """The peer's address, or None for a Unix socket."""
        return self.connection.address

    @property
    def is_tls(self) -> bool:
        """True when the client's connection is encrypted here."""
        return self.connection.is_tls()

    @property
    def is_blocked(self) -> bool:
        """True while the client does not read what was written."""
        return self.connection.is_blocked

    @property
    def is_answered(self) -> bool:
        """True when the answer was written, or waits for its turn."""
        return self.is_ended or self._deferred is not None

    def body(self) -> bytes:
        """Return the whole body and forget it."""
        parts, self._body = self._body, []
        self.connection.server.release(self.body_bytes)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def send(self, status: int, headers: bytes, body: bytes) -> None:
        """Answer at once, or when it is this exchange's turn. `headers` is a block of CRLF-ended lines without
        content-length and connection."""
        self._refuse_rest()
        connection = self.connection
        if not connection.is_current(self):
            self._deferred = (status, headers, body)
            return
        tail = b"connection: close\r\n\r\n" if self._must_close() else b"\r\n"
        self.is_started = self.is_ended = True
        self.status = status
        payload = b"" if self.head.method == b"HEAD" else body
        connection.write(
            b"%b%bcontent-length: %d\r\n%b%b%b"
            % (STATUS_LINES[status], headers, len(body), connection.server.date, tail, payload)
        )
        connection.finished(self)

    def start(self, status: int, headers: bytes, first: bytes = b"") -> None:
        """Begin a streamed answer: chunked, or until close for HTTP/1.0."""
        self._refuse_rest()
        self.status = status
        self._chunked = not self.head.http10
        self._close = self._close or self.head.http10
        framing = b"transfer-encoding: chunked\r\n" if self._chunked else b""
        tail = b"connection: close\r\n\r\n" if self._must_close() else b"\r\n"
        self.is_started = True
        head = b"%b%b%b%b%b" % (STATUS_LINES[status], headers, framing, self.connection.server.date, tail)
        if first and self._chunked:
            first = http1.encode_chunk(first)
        self.connection.write(head + first)

    def write(self, data: bytes) -> None:
        """Send a piece of a streamed answer. An empty one is nothing: as a chunk it would be the terminator (H6)."""
        if not data:
            return
        self.connection.write(http1.encode_chunk(data) if self._chunked else data)

    def end(self) -> None:
        """End a streamed answer well."""
        self.is_ended = True
        if self._chunked:
            self.connection.write(http1.LAST_CHUNK)
        self.connection.finished(self)

    def abort(self) -> None:
        """End a streamed answer badly: the terminator is withheld, so that no client takes it for complete (H6)."""
        self.is_ended = True
        if self.connection.server.on_done is not None:
            self.connection.server.on_done(self)
        self.connection.break_off(reset=self.head.http10)

    def close_after(self) -> None:
        """Let this be the connection's last exchange."""
        self._close = True

    def _must_close(self) -> bool:
        if self.connection.server.is_draining:
            self._close = True
        return self._close

    def _refuse_rest(self) -> None:
        # An answer before the body's end: a short rest is read and thrown away, a long one closes the connection.
        if not self.is_complete:
            self._discard = True
            if self.head.body_length is None or self.head.body_length > DISCARD_BYTES_MAX or self.head.expects_continue:
                self._close = True


class Connection(asyncio.Protocol):
    """One client connection."""

    __slots__ = (
        "_current",
        "_last_write_s",
        "_parser",
        "_queue",
        "_since_s",
        "_transport",
        "address",
        "is_blocked",
        "is_closing",
        "server",
    )

    def __init__(self, server: "HttpServer") -> None:
        self.server = server
        self._transport: asyncio.Transport | None = None
        self._parser = RequestParser(self, server.limits.http)
        self._current: Exchange | None = None
        self._queue: deque[Exchange] = deque()
        self._since_s = 0.0
        self._last_write_s = 0.0
        self.address: str | None = None
        self.is_blocked = False
        self.is_closing = False

    def is_tls(self) -> bool:
        """Tell whether the connection is encrypted."""
        return self._transport is not None and self._transport.get_extra_info("sslcontext") is not None

    # asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: a client connected."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.address = peer[0] if isinstance(peer, tuple) else None
        self._transport.set_write_buffer_limits(high=self.server.limits.write_buffer_bytes)
        self._since_s = self.server.now_s
        if not self.server.admit(self):
            self.is_closing = True
            self._refuse(Problem(problems.OVERLOADED, "too many connections; try again soon"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio: the connection ended."""
        self.is_closing = True
        self.server.forget(self)
        for exchange in (self._current, *self._queue):
            if exchange is not None:
                if exchange._body:
                    exchange.body()
                if not exchange.is_ended:
                    exchange.is_ended = True
                    if self.server.on_done is not None:
                        self.server.on_done(exchange)
                    self.server.handler.on_gone(exchange)
        self._current = None
        self._queue.clear()
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Asyncio: bytes came."""
        if self.is_closing:
            return
        try:
            self._parser.feed(data)
        except RejectedError as exc:
            self._reject(exc)
            return
        if self._parser.has_partial_head and self._since_s < 0:
            self._since_s = self.server.now_s
        if len(self._queue) >= PIPELINE_MAX and self._transport is not None:
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """Asyncio: the client does not read."""
        self.is_blocked = True
        self._last_write_s = self.server.now_s

    def resume_writing(self) -> None:
        """Asyncio: the client reads again."""
        self.is_blocked = False
        if self._current is not None and not self._current.is_ended:
            self.server.handler.on_writable(self._current)

    # parser

    def on_head(self, head: RequestHead) -> None:
        """Parser: a head was judged good."""
        server = self.server
        exchange = Exchange(self, head, server.now_s)
        if self._current is None:
            self._current = exchange
        else:
            self._queue.append(exchange)
        self._since_s = server.now_s
        server.handler.on_head(exchange)
        if head.expects_continue and not exchange.is_started and exchange is self._current:
            self.write(http1.CONTINUE)

    def on_body(self, data: bytes) -> None:
        """Parser: a piece of a body."""
        exchange = self._queue[-1] if self._queue else self._current
        if exchange is None or exchange._discard:
            return
        if not self.server.hold(len(data)):
            raise RejectedError(problems.OVERLOADED, "too many request bodies at once; try again soon")
        exchange.body_bytes += len(data)
        exchange._body.append(data)

    def on_end(self) -> None:
        """Parser: a request is whole."""
        exchange = self._queue[-1] if self._queue else self._current
        self._since_s = -1.0
        if exchange is None:
            return
        exchange.is_complete = True
        if exchange._discard:
            if exchange._body:
                exchange.body()
            if exchange.is_ended and exchange is self._current:
                self._advance()
        elif exchange is self._current:
            self.server.handler.on_request(exchange)

    # exchanges

    def write(self, data: bytes) -> None:
        """Send bytes, unless the connection is gone."""
        if self._transport is not None:
            self._transport.write(data)

    def is_current(self, exchange: Exchange) -> bool:
        """True when it is this exchange's turn to be answered (or nobody's: the connection is gone)."""
        return self._current is exchange or self._current is None

    def arriving(self) -> Iterator[Exchange]:
        """Return the requests whose body is not whole, or whose turn has not come."""
        if self._current is not None and not self._current.is_complete:
            yield self._current
        yield from self._queue

    def finished(self, exchange: Exchange) -> None:
        """The current exchange's answer is written: close, or go on with the next request."""
        if exchange is not self._current:
            return
        if self.server.on_done is not None:
            self.server.on_done(exchange)
        if exchange._close:
            self.is_closing = True
            if self._transport is not None:
                self._transport.close()
            return
        if exchange.is_complete:
            self._advance()

    def break_off(self, reset: bool) -> None:
        """Close without a good end; with `reset` the peer gets an RST where the transport allows it."""
        self.is_closing = True
        if self._transport is not None:
            if reset:
                self._transport.abort()
            else:
                self._transport.close()

    def _advance(self) -> None:
        self._since_s = self.server.now_s
        self._current = self._queue.popleft() if self._queue else None
        if self._current is None:
            return
        if len(self._queue) == PIPELINE_MAX - 1 and self._transport is not None:
            self._transport.resume_reading()
        if self._current._deferred is not None:
            self._current.send(*self._current._deferred)
        elif self._current.is_complete:
            self.server.handler.on_request(self._current)

    def _reject(self, exc: RejectedError) -> None:
        # The answer must not overtake one that is still due; then the connection ends without it.
        exchange = self._current
        if exchange is not None and (exchange.is_complete or exchange.is_started):
            self.break_off(reset=False)
            return
        if exchange is not None:
            exchange.is_ended = True
            if self.server.on_done is not None:
                exchange.status = exc.case.status
                self.server.on_done(exchange)
            self.server.handler.on_gone(exchange)
        self.is_closing = True
        self._refuse(Problem(exc.case, str(exc)))

    def _refuse(self, problem: Problem) -> None:
        headers, body = self.server.handler.render(problem, None)
        self.write(
            b"%b%bcontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (STATUS_LINES[problem.case.status], headers, len(body), body)
        )
        if self._transport is not None:
            self._transport.close()

    def close_if_idle(self) -> None:
        """Close a connection that has waited for a request for a while, and nothing of it has come."""
        is_waiting = self._current is None and not self._parser.has_partial_head and not self.is_closing
        if is_waiting and self.server.now_s - self._since_s >= TICK_S:
            self.is_closing = True
            if self._transport is not None:
                self._transport.close()

    def check(self, now_s: float) -> None:
        """Enforce deadlines; called by the server's timer."""
        limits = self.server.limits
        if self.is_blocked and now_s - self._last_write_s > limits.write_stall_s and self._transport is not None:
            self._transport.abort()
            return
        if self.is_closing:
            return
        exchange = self._queue[-1] if self._queue else self._current
        if exchange is not None and not exchange.is_complete:
            age = now_s - exchange.received_s
            if age > limits.body_grace_s and exchange.body_bytes < limits.body_rate_min * (age - limits.body_grace_s):
                self._reject(RejectedError(problems.REQUEST_TIMEOUT, "the request body came too slowly"))
        elif self._parser.has_partial_head:
            if now_s - self._since_s > limits.head_s:
                self._reject(RejectedError(problems.REQUEST_TIMEOUT, "the request head came too slowly"))
        elif self._current is None:
            idle = now_s - self._since_s
            if idle > limits.keep_alive_s or (self.server.is_closing and idle >= 0):
                self.is_closing = True
                if self._transport is not None:
                    self._transport.close()


class HttpServer:
    """Accepts connections on listening sockets that were bound elsewhere."""

    def __init__(self, handler: Handler, clock: Clock, limits: ServerLimits | None = None) -> None:
        self.handler = handler
        self.limits = limits or ServerLimits()
        self.on_done: Callable[[Exchange], None] | None = None
        """Called once for each exchange when its answer is written, or its client gone: for the access log."""
        self._clock = clock
        self.now_s = clock.monotonic_s()
        self.date = b""
        self.is_draining = False
        self.is_closing = False
        self.connections: set[Connection] = set()
        self._per_address: dict[str, int] = {}
        self._held = 0
        self._listeners: list[socket.socket] = []
        self._accepting: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.starved = 0
        """How often a connection could not be accepted for want of descriptors."""
        self._told_s = 0.0

    async def start(self, *sockets: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Listen on bound sockets.

        Several edges share a socket, and a loop that took all that waits would leave the others idle: one that has
        connections already lets a millisecond pass for the others before it takes a few more.
        """
        for sock in sockets:
            self._listeners.append(sock)
            self._watch(sock, tls)
        self._tick()

    def _watch(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        if listener in self._listeners:
            asyncio.get_running_loop().add_reader(listener.fileno(), self._on_waiting, listener, tls)

    def _on_waiting(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        if not self.connections:
            self._accept(listener, tls)
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener.fileno())
        loop.call_later(ACCEPT_PAUSE_S, self._accept_some, listener, tls)

    def _accept_some(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        if listener in self._listeners:
            before = self.starved
            for _ in range(ACCEPT_BATCH):
                if not self._accept(listener, tls):
                    break
            if self.starved == before:
                self._watch(listener, tls)

    def _accept(self, listener: socket.socket, tls: ssl.SSLContext | None) -> bool:
        loop = asyncio.get_running_loop()
        try:
            sock, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False  # another edge was faster, or the client is gone
        except OSError:  # no descriptors left
            self._starve(listener, tls)
            return False
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = loop.create_task(loop.connect_accepted_socket(lambda: Connection(self), sock, ssl=tls))
        self._accepting.add(task)
        task.add_done_callback(self._accepted)
        return True

    def _starve(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Wait for descriptors, and let idle clients go to get some: the loop must not spin over what it cannot accept."""
        self.starved += 1
        if self.now_s - self._told_s >= STARVED_TOLD_S or self.starved == 1:
            self._told_s = self.now_s
            text = (
                "connections are not accepted for want of file descriptors: raise the limit (ulimit -Hn, LimitNOFILE=)"
            )
            asyncio.get_running_loop().call_exception_handler({"message": text})
        for connection in list(self.connections):
            connection.close_if_idle()
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener.fileno())
        loop.call_later(STARVED_S, self._watch, listener, tls)

    def _accepted(self, task: "asyncio.Task[Any]") -> None:
        self._accepting.discard(task)
        if not task.cancelled():
            task.exception()  # a failed TLS handshake is the client's affair

    def admit(self, connection: Connection) -> bool:
        """Count a new connection; False when there are too many."""
        self.connections.add(connection)
        if len(self.connections) > self.limits.connections_max:
            return False
        address = connection.address
        if address is None or address == "::1" or address.startswith("127."):
            return True
        count = self._per_address[address] = self._per_address.get(address, 0) + 1
        return count <= self.limits.connections_per_address_max

    def forget(self, connection: Connection) -> None:
        """Uncount a connection that ended."""
        self.connections.discard(connection)
        address = connection.address
        if address in self._per_address:
            self._per_address[address] -= 1
            if not self._per_address[address]:
                del self._per_address[address]

    def arriving(self) -> Iterator[Exchange]:
        """Return the requests that are not answered yet and whose turn has not come, or whose body is not whole."""
        for connection in self.connections:
            yield from connection.arriving()

    def hold(self, size: int) -> bool:
        """Account for buffered body bytes; False when too many are held already."""
        if self._held + size > self.limits.buffered_bytes_max:
            return False
        self._held += size
        return True

    def release(self, size: int) -> None:
        """Undo `hold`."""
        self._held -= size

    def drain(self) -> None:
        """From now on each answer is its connection's last."""
        self.is_draining = True

    def stop_accepting(self) -> None:
        """Close the listeners and the idle connections."""
        self.is_draining = self.is_closing = True
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            loop.remove_reader(listener.fileno())
            listener.close()
        self._listeners.clear()
        for connection in list(self.connections):
            connection.check(self.now_s)

    def close(self) -> None:
        """Close everything."""
        self.stop_accepting()
        if self._timer is not None:
            self._timer.cancel()
        for connection in list(self.connections):
            connection.break_off(reset=False)

    def _tick(self) -> None:
        self.now_s = self._clock.monotonic_s()
        self.date = b"date: " + email.utils.formatdate(self._clock.wall_ms() / 1000, usegmt=True).encode() + b"\r\n"
        for connection in list(self.connections):
            connection.check(self.now_s)
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)
