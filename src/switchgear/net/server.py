"""The HTTP server: one asyncio protocol per connection, no task per request. Level 2.

A handler gets an Exchange per request and answers through it, now or later. Pipelined requests are answered in order.
All deadlines are checked by one timer per server, so that ten thousand idle connections cost ten thousand comparisons
a second and no timers. Whatever a client can make this process hold is counted against a bound (docs/operations.md, "What is
bounded"), and what nobody expected ends one exchange, or one connection where its parser is lost (decision 020).
"""

import asyncio
import contextlib
import email.utils
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast

import msgspec

from switchgear.core import problems
from switchgear.core.clock import Clock
from switchgear.core.guard import Guard, guarded
from switchgear.core.problems import Problem
from switchgear.net.held import HeldBytes
from switchgear.net.memory import Memory
from switchgear.policies.cors import Cors
from switchgear.policies.forwarded import Proxies
from switchgear.wire import http1
from switchgear.wire.http1 import STATUS_LINES, RejectedError, RequestHead, RequestParser

TICK_S = 1.0
PIPELINE_MAX = 16
"""Requests of one connection that wait behind one in progress; nothing more of it is read or parsed then."""
QUEUED_MAX = 8_192
"""Requests that wait so on all connections (4 KB each); above it one connection may have one."""
HANDSHAKE_S = 10.0
"""Seconds for a TLS handshake: as long as for a head."""
SHUTDOWN_S = 5.0
HANDSHAKES_MAX = 4_000
"""TLS handshakes in progress (45 KB each). A further one takes the place of the oldest: who means it is done in
milliseconds."""
ACCEPT_PAUSE_S = 0.001
ACCEPT_BATCH = 8
STARVED_S = 0.1
STARVED_TOLD_S = 60.0
DISCARD_BYTES_MAX = 65_536
TCP_CLOSE, TCP_CLOSE_WAIT = 7, 8
"""States of a connection that its other end has left (Linux, include/net/tcp_states.h)."""
_PLAIN = b"content-type: text/plain\r\n"


class ServerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a server; the defaults stand in docs/operations.md."""

    http: http1.Limits = http1.Limits()
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


class Exchange:
    """One request and its answer."""

    __slots__ = (
        "_body",
        "_chunked",
        "_close",
        "_deferred",
        "_discard",
        "_held",
        "_window_bytes",
        "_window_s",
        "body_bytes",
        "connection",
        "context",
        "head",
        "id",
        "is_complete",
        "is_ended",
        "is_kept",
        "is_started",
        "owner",
        "received_s",
        "status",
    )

    def __init__(self, connection: "Connection", head: RequestHead, now_s: float) -> None:
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
        self._body: list[bytes] = []
        self._held = 0
        self._window_s = now_s
        self._window_bytes = 0
        self._chunked = False
        self._close = not head.keep_alive
        self._discard = False
        self._deferred: tuple[int, bytes, bytes] | None = None

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
        return self.is_ended or self._deferred is not None

    def body(self) -> bytes:
        """Return the whole body and forget it. It counts as held until the answer ends, or `release` is called."""
        parts, self._body = self._body, []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def release(self) -> None:
        """The body is let go: count it no more."""
        if self._held:
            self._body.clear()
            self.connection.server.held.give(self.owner, self._held)
            self._held = 0

    def hold(self, size: int) -> bool:
        """Count bytes that the handler keeps for this exchange, until `release`; False when they are too many."""
        if not self.connection.server.held.take(self.owner, size):
            return False
        self._held += size
        return True

    def discard(self) -> None:
        """Nobody will read the body: drop it as it comes."""
        self._discard = True

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
        self._refuse_rest()
        connection = self.connection
        if not self.is_kept:
            self.release()
        if not connection.is_current(self):
            self._deferred = (status, headers, body)
            return
        tail = b"connection: close\r\n\r\n" if self._must_close() else b"\r\n"
        if connection.server.cors is not None:
            headers += connection.server.cors.lines(self.head.headers)
        payload = b"" if self.head.method == b"HEAD" else body
        message = b"%b%bcontent-length: %d\r\n%b%b%b" % (
            STATUS_LINES[status],
            headers,
            len(body),
            connection.server.date,
            tail,
            payload,
        )
        self.is_started = self.is_ended = True
        self.status = status
        connection.write(message)
        connection.finished(self)

    def start(self, status: int, headers: bytes, first: bytes = b"") -> None:
        """Begin a streamed answer: chunked, or until close for HTTP/1.0."""
        self._refuse_rest()
        self._chunked = not self.head.http10
        self._close = self._close or self.head.http10
        cors = self.connection.server.cors
        if cors is not None:
            headers += cors.lines(self.head.headers)
        framing = b"transfer-encoding: chunked\r\n" if self._chunked else b""
        tail = b"connection: close\r\n\r\n" if self._must_close() else b"\r\n"
        head = b"%b%b%b%b%b" % (STATUS_LINES[status], headers, framing, self.connection.server.date, tail)
        if first and self._chunked:
            first = http1.encode_chunk(first)
        self.is_started = True
        self.status = status
        self.connection.write(head + first)

    def write(self, data: bytes) -> None:
        """Send a piece of a streamed answer. An empty one is nothing: as a chunk it would be the terminator (H6)."""
        transport = self.connection._transport
        if data and transport is not None:
            transport.write(http1.encode_chunk(data) if self._chunked else data)

    def end(self) -> None:
        """End a streamed answer well."""
        self.is_ended = True
        if self._chunked:
            self.connection.write(http1.LAST_CHUNK)
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
        if self.is_started or self._deferred is not None:
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
        "_head_since_s",
        "_held",
        "_last_write_s",
        "_parser",
        "_queue",
        "_refusal",
        "_since_s",
        "_transport",
        "_unread",
        "address",
        "is_admitted",
        "is_blocked",
        "is_closing",
        "is_counted",
        "is_deaf",
        "is_full",
        "proxies",
        "server",
    )

    def __init__(self, server: "HttpServer", address: str | None = None) -> None:
        self.server = server
        self._transport: asyncio.Transport | None = None
        self._parser: (
            RequestParser  # made with the connection: of a handshake that comes to nothing nobody would close it
        )
        self._current: Exchange | None = None
        self._queue: deque[Exchange] = deque()
        self._refusal: tuple[Problem, bytes, bytes | None] | None = None
        """What is said when everything that came before it is answered; then the connection ends."""
        self._since_s = 0.0
        """When it began to wait for a request; -1 while one is there."""
        self._head_since_s = -1.0
        """When the first byte of an unfinished head came; -1 when there is none."""
        self._held = 0
        """Bytes of requests that are not parsed yet."""
        self._unread = ("", 0)
        """Whose and how many bytes its client had not read when it stopped to."""
        self._last_write_s = 0.0
        self.address = address
        self.proxies: Proxies | None = None
        """Set where the peer is a trusted proxy: then it says who the client is."""
        if server.proxies is not None and server.proxies.trusts(address):
            self.proxies = server.proxies
        self.is_admitted = True
        self.is_counted = False
        self.is_blocked = False
        self.is_closing = False
        self.is_deaf = False
        """True when nothing more is read: what is still due is answered, then the connection ends."""
        self.is_full = False
        """True while requests wait that leave no room for further ones: nothing is read or parsed then."""

    def is_tls(self) -> bool:
        """Tell whether the connection is encrypted."""
        return self._transport is not None and self._transport.get_extra_info("sslcontext") is not None

    # asyncio

    def _break_down(self, exc: Exception) -> None:
        # The connection itself is lost: what it carries ends in `connection_lost`.
        self.server.guard.caught(exc, self._current.id if self._current is not None else "")
        self.is_closing = True
        if self._transport is not None:
            self._transport.abort()

    @guarded(_break_down)
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: a client connected."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=self.server.limits.write_buffer_bytes)
        self._parser = RequestParser(self, self.server.limits.http)
        self._since_s = self.server.now_s
        self.server.connections.add(self)
        if not self.is_admitted:
            self.is_closing = True
            self._refuse(Problem(problems.OVERLOADED, "too many connections; try again soon"), b"", None)

    @guarded(_break_down)
    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio: the connection ended."""
        server = self.server
        self.is_closing = True
        server.forget(self)
        server.queued -= len(self._queue)
        exchanges = [exchange for exchange in (self._current, *self._queue) if exchange is not None]
        self._current = self._transport = None
        self._queue.clear()
        server.held.give(self._owner(), self._held)
        self._held = 0
        self._give_unread()
        for exchange in exchanges:
            if not exchange.is_ended:
                exchange.tell_gone()
            if not exchange.is_kept:
                exchange.release()
                exchange.context = None
        if hasattr(self, "_parser"):
            self._parser.close()

    @guarded(_break_down)
    def _lose_parser(self, exc: Exception) -> None:
        # Nothing that follows can be read any more; what came before is still answered.
        last = self._queue[-1] if self._queue else self._current
        self.server.guard.caught(exc, last.id if last is not None else "")
        self._reject(RejectedError(problems.INTERNAL, "internal error"))

    @guarded(_lose_parser)
    def data_received(self, data: bytes) -> None:
        """Asyncio: bytes came."""
        if self.is_closing or self.is_deaf:
            return
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        parser = self._parser
        try:
            parser.feed(data)
        except RejectedError as exc:
            self._reject(exc)
            return
        pending = parser.pending_bytes
        if pending or self._held:
            self._hold_pending(pending)

    def _hold_pending(self, pending: int) -> None:
        """Account for what is not parsed yet: the beginning of a head, or requests behind a full queue."""
        server, owner = self.server, self._owner()
        if not pending or self.is_full:
            self._head_since_s = -1.0
        elif self._head_since_s < 0:
            self._head_since_s = server.now_s
        if pending > self._held and not server.held.take(owner, pending - self._held):
            self._reject(RejectedError(problems.OVERLOADED, "too many requests at once; try again soon"))
            return
        if pending < self._held:
            server.held.give(owner, self._held - pending)
        self._held = pending

    def _owner(self) -> str:
        return self.address or ""

    @guarded(_break_down)
    def pause_writing(self) -> None:
        """Asyncio: the client does not read. What it has to read yet counts as held for it."""
        self.is_blocked = True
        self._last_write_s = self.server.now_s
        assert self._transport is not None
        size = self._transport.get_write_buffer_size()
        owner = self._current.owner if self._current is not None else self._owner()
        if self.server.held.take(owner, size):
            self._unread = (owner, size)
        else:
            self._transport.abort()

    @guarded(_break_down)
    def resume_writing(self) -> None:
        """Asyncio: the client reads again."""
        self.is_blocked = False
        self._give_unread()
        if self._current is not None and not self._current.is_ended:
            self._current.tell_writable()

    def _give_unread(self) -> None:
        (owner, size), self._unread = self._unread, ("", 0)
        self.server.held.give(owner, size)

    # parser

    def on_head(self, head: RequestHead) -> None:
        """Parser: a head was judged good."""
        server = self.server
        exchange = Exchange(self, head, server.now_s)
        self._since_s = self._head_since_s = -1.0
        if self._current is None:
            self._current = exchange
        else:
            self._queue.append(exchange)
            server.queued += 1
            if len(self._queue) >= (PIPELINE_MAX if server.queued < QUEUED_MAX else 1):
                self.is_full = self._parser.is_paused = True
                if self._transport is not None:
                    self._transport.pause_reading()
        exchange.tell_head()
        if head.expects_continue and not exchange.is_started and exchange is self._current:
            self.write(http1.CONTINUE)

    def on_body(self, data: bytes) -> None:
        """Parser: a piece of a body."""
        exchange = self._queue[-1] if self._queue else self._current
        if exchange is None:
            return
        size = len(data)
        exchange.body_bytes += size
        if exchange._discard:
            return
        if not self.server.held.take(exchange.owner, size):
            raise RejectedError(problems.OVERLOADED, "too many request bodies at once; try again soon")
        exchange._held += size
        exchange._body.append(data)

    def on_end(self) -> None:
        """Parser: a request is whole."""
        exchange = self._queue[-1] if self._queue else self._current
        if exchange is None:
            return
        exchange.is_complete = True
        if exchange is not self._current:
            return
        if not exchange.is_started:
            exchange.tell_request()
        elif exchange.is_ended and not exchange._close:
            self._advance()

    # exchanges

    def write(self, data: bytes) -> None:
        """Send bytes, unless the connection is gone."""
        if self._transport is not None:
            self._transport.write(data)

    def is_current(self, exchange: Exchange) -> bool:
        """True when it is this exchange's turn to be answered (or nobody's: the connection is gone)."""
        return self._current is exchange or self._current is None

    def finished(self, exchange: Exchange) -> None:
        """The current exchange's answer is written: close, or go on with the next request."""
        if exchange is not self._current:
            return
        if self.server.on_done is not None:
            exchange.tell_done()
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

    def arriving(self) -> Iterator[Exchange]:
        """Return the requests whose body is not whole, or whose turn has not come."""
        if self._current is not None and not self._current.is_complete:
            yield self._current
        yield from self._queue

    def _advance(self) -> None:
        self._since_s = self.server.now_s
        done = self._current
        if done is not None and not done.is_kept:
            done.context = None  # it holds the exchange, and a body of megabytes: a cycle would wait for the collector
        self._current = self._queue.popleft() if self._queue else None
        if self._current is None:
            if self._refusal is not None:
                self.is_closing = True
                self._refuse(*self._refusal)
            return
        self.server.queued -= 1
        self._since_s = -1.0
        if self.is_full and len(self._queue) < PIPELINE_MAX // 2:
            asyncio.get_running_loop().call_soon(self._read_on)
        if self._current._deferred is not None:
            self._current.act(self._current.send, self._current._deferred)
        elif self._current.is_complete:
            self._current.tell_request()
        elif self._current.head.expects_continue and not self._current.is_started:
            self._current.begin_window(self.server.now_s)
            self.write(http1.CONTINUE)

    @guarded(_lose_parser)
    def _read_on(self) -> None:
        """There is room for further requests: parse what waits, then read again."""
        if not self.is_full or self.is_closing or self.is_deaf:
            return
        self.is_full = self._parser.is_paused = False
        self._feed(b"")
        if not self.is_full and self._transport is not None:
            exchange = self._queue[-1] if self._queue else self._current
            if exchange is not None:
                exchange.begin_window(self.server.now_s)
            self._transport.resume_reading()

    def _reject(self, exc: RejectedError) -> None:
        # The answer must not overtake one that is still due: those are given first, then this one, then the connection ends.
        self.is_deaf = True
        if self._transport is not None:
            self._transport.pause_reading()
        problem, target, origin = Problem(exc.case, str(exc)), self._parser.target, self._parser.origin
        broken = self._queue[-1] if self._queue else self._current
        if broken is not None and not broken.is_complete:
            broken.release()
            target, origin = broken.head.target, broken.head.headers.get(b"origin")
            if broken.is_started:
                self.break_off(reset=False)
                return
            broken.is_complete = broken._close = True
            if broken._deferred is not None:
                return  # it was refused already: that is the last answer
            broken.status = exc.case.status
            broken.tell_gone()
            if broken is self._current:
                self._current = None
            else:
                self._queue.pop()
                self.server.queued -= 1
        if self._current is not None:
            self._refusal = (problem, target, origin)
            return
        self.is_closing = True
        self._refuse(problem, target, origin)

    @guarded(_break_down)
    def _refuse(self, problem: Problem, target: bytes, origin: bytes | None) -> None:
        headers, body = self.server.handler.render(problem, target)
        if self.server.cors is not None:
            headers += self.server.cors.lines({b"origin": origin} if origin is not None else {})
        self.write(
            b"%b%bcontent-length: %d\r\n%bconnection: close\r\n\r\n%b"
            % (STATUS_LINES[problem.case.status], headers, len(body), self.server.date, body)
        )
        if self._transport is not None:
            self._transport.close()

    def close_if_idle(self) -> None:
        """Close a connection that has waited for a request for a while, and nothing of it has come."""
        is_waiting = self._current is None and not self._parser.pending_bytes and not self.is_closing
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
        if (self.is_full or self.is_deaf) and self._has_hung_up() and self._transport is not None:
            self._transport.abort()
            return
        if self.is_closing or self.is_full or self.is_deaf:
            return
        exchange = self._queue[-1] if self._queue else self._current
        if exchange is not None and not exchange.is_complete:
            waits = exchange.head.expects_continue and exchange is not self._current
            if not waits and exchange.is_slow(now_s, limits):
                self._reject(RejectedError(problems.REQUEST_TIMEOUT, "the request body came too slowly"))
        elif self._head_since_s >= 0:
            if now_s - self._head_since_s > limits.head_s:
                self._reject(RejectedError(problems.REQUEST_TIMEOUT, "the request head came too slowly"))
        elif self._current is None:
            idle = now_s - self._since_s
            if idle > limits.keep_alive_s or (self.server.is_closing and idle >= 0):
                self.is_closing = True
                if self._transport is not None:
                    self._transport.close()

    def _has_hung_up(self) -> bool:
        """Tell whether the client is gone: where nothing is read, nobody hears it otherwise."""
        sock = self._transport.get_extra_info("socket") if self._transport is not None else None
        if sock is None:
            return False
        try:
            state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        except OSError:  # a Unix socket
            return False
        return state in {TCP_CLOSE, TCP_CLOSE_WAIT}

    @guarded(_break_down)
    def tick(self) -> None:
        """Enforce deadlines, as of the server's clock."""
        self.check(self.server.now_s)


class HttpServer:
    """Accepts connections on listening sockets that were bound elsewhere."""

    def __init__(
        self,
        handler: Handler,
        clock: Clock,
        guard: Guard,
        limits: ServerLimits | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        """`proxies`: peers whose X-Forwarded-For is believed; None for nobody's."""
        self.handler = handler
        self.guard = guard
        self.proxies = proxies
        self.limits = limits or ServerLimits()
        self.on_done: Callable[[Exchange], None] | None = None
        """Called once for each exchange when its answer is written, or its client gone: for the access log."""
        self._clock = clock
        self.now_s = clock.monotonic_s()
        self.date = b""
        self.is_draining = False
        self.is_closing = False
        self.connections: set[Connection] = set()
        self._counted = 0
        self._per_address: dict[str, int] = {}
        self.held = HeldBytes(max(self.limits.buffered_bytes_max, 4 * self.limits.http.body_bytes_max))
        self.queued = 0
        """Requests that wait behind others of their connection."""
        self._listeners: list[socket.socket] = []
        self._tls: ssl.SSLContext | None = None
        self._accepting: dict[asyncio.Task[Any], tuple[Connection, socket.socket]] = {}
        """Connections that are being set up, the oldest first: with TLS, until their handshakes are done."""
        self._ending: dict[asyncio.Task[Any], tuple[Connection, socket.socket]] = {}
        """Handshakes that made room for others and are about to end."""
        self._timer: asyncio.TimerHandle | None = None
        self._memory = Memory()
        self.cors: Cors | None = None
        """Which pages of other origins may read answers; None for none."""
        self.starved = 0
        """How often a connection could not be accepted for want of descriptors."""
        self._told_s = 0.0

    async def start(self, *sockets: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Listen on bound sockets.

        Several edges share a socket, and a loop that took all that waits would leave the others idle: one that has
        connections already lets a millisecond pass for the others before it takes a few more.
        """
        self._tls = tls
        for sock in sockets:
            self._listeners.append(sock)
            self._watch(sock)
        self._tick()

    def _fault(self, exc: Exception) -> None:
        # Nothing but this one turn ends.
        self.guard.caught(exc)

    def _accept_fault(self, exc: Exception) -> None:
        self.guard.caught(exc)
        for listener in self._listeners:
            self._pause(listener)

    @guarded(_accept_fault)
    def _watch(self, listener: socket.socket) -> None:
        if listener in self._listeners:
            asyncio.get_running_loop().add_reader(listener.fileno(), self._on_waiting, listener)

    @guarded(_accept_fault)
    def _on_waiting(self, listener: socket.socket) -> None:
        if not self.connections:
            self._accept(listener)
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener.fileno())
        loop.call_later(ACCEPT_PAUSE_S, self._accept_some, listener)

    @guarded(_accept_fault)
    def _accept_some(self, listener: socket.socket) -> None:
        if listener in self._listeners:
            before = self.starved
            for _ in range(ACCEPT_BATCH):
                if not self._accept(listener):
                    break
            if self.starved == before:
                self._watch(listener)

    def _accept(self, listener: socket.socket) -> bool:
        loop = asyncio.get_running_loop()
        try:
            sock, peer = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False  # another edge was faster, or the client is gone
        except OSError:  # no descriptors left
            self._starve(listener)
            return False
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(self, peer[0] if isinstance(peer, tuple) else None)
        connection.is_admitted = self._admit(connection)
        if self._tls is None:
            setting_up = loop.connect_accepted_socket(lambda: connection, sock)
        elif not connection.is_admitted:
            self.forget(connection)
            sock.close()  # saying why would take the handshake that is not to be had
            return True
        else:
            if len(self._accepting) >= HANDSHAKES_MAX:
                self._end_oldest_handshake()
            setting_up = loop.connect_accepted_socket(
                lambda: connection,
                sock,
                ssl=self._tls,
                ssl_handshake_timeout=HANDSHAKE_S,
                ssl_shutdown_timeout=SHUTDOWN_S,
            )
        task = loop.create_task(setting_up)
        self._accepting[task] = (connection, sock)
        task.add_done_callback(self._accepted)
        return True

    def _end_oldest_handshake(self) -> None:
        task = next(iter(self._accepting))
        connection, sock = self._ending[task] = self._accepting.pop(task)
        self.forget(connection)
        with contextlib.suppress(OSError):  # it has ended by itself
            sock.shutdown(socket.SHUT_RDWR)

    def _starve(self, listener: socket.socket) -> None:
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
        self._pause(listener)

    def _pause(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener.fileno())
        loop.call_later(STARVED_S, self._watch, listener)

    @guarded(_fault)
    def _accepted(self, task: "asyncio.Task[Any]") -> None:
        connection, _ = self._accepting.pop(task) if task in self._accepting else self._ending.pop(task)
        if task.cancelled():
            self.forget(connection)
        elif task.exception() is None:
            transport = task.result()[0]
            if connection not in self.connections and not transport.is_closing():
                self.forget(connection)
                transport.abort()  # it never came to life: a fault of `connection_made`
        elif (exc := task.exception()) is not None:
            self.forget(connection)
            if not isinstance(exc, OSError):  # a failed TLS handshake is the client's affair (SSLError is an OSError)
                self.guard.caught(exc)

    def _admit(self, connection: Connection) -> bool:
        """Count a new connection; False when there are too many."""
        connection.is_counted = True
        self._counted += 1
        address = connection.address
        count = 0
        is_shared = connection.proxies is not None or address == "::1"  # many clients come from there
        if address is not None and not (is_shared or address.startswith("127.")):
            count = self._per_address[address] = self._per_address.get(address, 0) + 1
        return self._counted <= self.limits.connections_max and count <= self.limits.connections_per_address_max

    def forget(self, connection: Connection) -> None:
        """Uncount a connection that ended."""
        self.connections.discard(connection)
        if not connection.is_counted:
            return
        connection.is_counted = False
        self._counted -= 1
        address = connection.address
        if address in self._per_address:
            self._per_address[address] -= 1
            if not self._per_address[address]:
                del self._per_address[address]

    def arriving(self) -> Iterator[Exchange]:
        """Return the requests that are not answered yet and whose turn has not come, or whose body is not whole. Each can be
        answered with `Exchange.send`, which drops its body and closes the connection where a large rest would follow."""
        for connection in list(self.connections):
            yield from list(connection.arriving())

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
            connection.tick()

    def close(self) -> None:
        """Close everything."""
        self.stop_accepting()
        if self._timer is not None:
            self._timer.cancel()
        for connection in list(self.connections):
            connection.break_off(reset=False)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _tick_fault(self, exc: Exception) -> None:
        # Nothing but this turn ends.
        self.guard.caught(exc)
        self._arm()

    @guarded(_tick_fault)
    def _tick(self) -> None:
        self._arm()
        self.now_s = self._clock.monotonic_s()
        self.date = b"date: " + email.utils.formatdate(self._clock.wall_ms() / 1000, usegmt=True).encode() + b"\r\n"
        for connection in list(self.connections):
            connection.tick()
        self._memory.tick(self.now_s)
