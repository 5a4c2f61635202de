"""One client connection: its parser, the order of its requests, what it holds, and its deadlines. Level 2.

Pipelined requests are answered in order. Whatever a client can make this process hold is counted against a bound
(docs/operations.md, "What is bounded"); where the parser is lost, the connection ends (decision 020).
"""

import asyncio
import socket
from collections import deque
from collections.abc import Iterator
from typing import cast

from switchgear.core import problems
from switchgear.core.guard import guarded
from switchgear.core.problems import Problem
from switchgear.net.exchange import Exchange, ServerState
from switchgear.policies.forwarded import Proxies
from switchgear.wire import http_syntax
from switchgear.wire.http_requests import RejectedError, RequestHead, RequestParser
from switchgear.wire.http_syntax import STATUS_LINES

PIPELINE_MAX = 16
"""Requests of one connection that wait behind one in progress; nothing more of it is read or parsed then."""
QUEUED_MAX = 8_192
"""Requests that wait so on all connections (4 KB each); above it one connection may have one."""
IDLE_S = 1.0
"""A connection that has waited for so long is one of those that are let go where there are too few descriptors."""
TCP_CLOSE, TCP_CLOSE_WAIT = 7, 8
"""States of a connection that its other end has left (Linux, include/net/tcp_states.h)."""


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
        "transport",
    )

    def __init__(self, server: ServerState, address: str | None = None) -> None:
        self.server = server
        self.transport: asyncio.Transport | None = None
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
        return self.transport is not None and self.transport.get_extra_info("sslcontext") is not None

    # asyncio

    def _break_down(self, exc: Exception) -> None:
        # The connection itself is lost: what it carries ends in `connection_lost`.
        self.server.guard.caught(exc, self._current.id if self._current is not None else "")
        self.is_closing = True
        if self.transport is not None:
            self.transport.abort()

    @guarded(_break_down)
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: a client connected."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=self.server.limits.write_buffer_bytes)
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
        self._current = self.transport = None
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
        if parser.pending or self._held:
            self._hold_pending(len(parser.pending))

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
        assert self.transport is not None
        size = self.transport.get_write_buffer_size()
        owner = self._current.owner if self._current is not None else self._owner()
        if self.server.held.take(owner, size):
            self._unread = (owner, size)
        else:
            self.transport.abort()

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
                if self.transport is not None:
                    self.transport.pause_reading()
        exchange.tell_head()
        if head.expects_continue and not exchange.is_started and exchange is self._current:
            self.write(http_syntax.CONTINUE)

    def on_body(self, data: bytes) -> None:
        """Parser: a piece of a body."""
        exchange = self._queue[-1] if self._queue else self._current
        if exchange is None:
            return
        size = len(data)
        exchange.body_bytes += size
        if exchange.is_discarded:
            return
        if not self.server.held.take(exchange.owner, size):
            raise RejectedError(problems.OVERLOADED, "too many request bodies at once; try again soon")
        exchange.held_bytes += size
        exchange.parts.append(data)

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
        elif exchange.is_ended and not exchange.is_last:
            self._advance()

    # exchanges

    def write(self, data: bytes) -> None:
        """Send bytes, unless the connection is gone."""
        if self.transport is not None:
            self.transport.write(data)

    def is_current(self, exchange: Exchange) -> bool:
        """True when it is this exchange's turn to be answered (or nobody's: the connection is gone)."""
        return self._current is exchange or self._current is None

    def finished(self, exchange: Exchange) -> None:
        """The current exchange's answer is written: close, or go on with the next request."""
        if exchange is not self._current:
            return
        if self.server.on_done is not None:
            exchange.tell_done()
        if exchange.is_last:
            self.is_closing = True
            if self.transport is not None:
                self.transport.close()
            return
        if exchange.is_complete:
            self._advance()

    def break_off(self, reset: bool) -> None:
        """Close without a good end; with `reset` the peer gets an RST where the transport allows it."""
        self.is_closing = True
        if self.transport is not None:
            if reset:
                self.transport.abort()
            else:
                self.transport.close()

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
        if self._current.deferred is not None:
            self._current.act(self._current.send, self._current.deferred)
        elif self._current.is_complete:
            self._current.tell_request()
        elif self._current.head.expects_continue and not self._current.is_started:
            self._current.begin_window(self.server.now_s)
            self.write(http_syntax.CONTINUE)

    @guarded(_lose_parser)
    def _read_on(self) -> None:
        """There is room for further requests: parse what waits, then read again."""
        if not self.is_full or self.is_closing or self.is_deaf:
            return
        self.is_full = self._parser.is_paused = False
        self._feed(b"")
        if not self.is_full and self.transport is not None:
            exchange = self._queue[-1] if self._queue else self._current
            if exchange is not None:
                exchange.begin_window(self.server.now_s)
            self.transport.resume_reading()

    def _reject(self, exc: RejectedError) -> None:
        # The answer must not overtake one that is still due: those are given first, then this one, then the connection ends.
        self.is_deaf = True
        if self.transport is not None:
            self.transport.pause_reading()
        problem, target, origin = Problem(exc.case, str(exc)), self._parser.target, self._parser.origin
        broken = self._queue[-1] if self._queue else self._current
        if broken is not None and not broken.is_complete:
            broken.release()
            target, origin = broken.head.target, broken.head.headers.get(b"origin")
            if broken.is_started:
                self.break_off(reset=False)
                return
            broken.is_complete = broken.is_last = True
            if broken.deferred is not None:
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
        if self.transport is not None:
            self.transport.close()

    def close_if_idle(self) -> None:
        """Close a connection that has waited for a request for a while, and nothing of it has come."""
        is_waiting = self._current is None and not self._parser.pending and not self.is_closing
        if is_waiting and self.server.now_s - self._since_s >= IDLE_S:
            self.is_closing = True
            if self.transport is not None:
                self.transport.close()

    def check(self, now_s: float) -> None:
        """Enforce deadlines; called by the server's timer."""
        limits = self.server.limits
        if self.is_blocked and now_s - self._last_write_s > limits.write_stall_s and self.transport is not None:
            self.transport.abort()
            return
        if (self.is_full or self.is_deaf) and self._has_hung_up() and self.transport is not None:
            self.transport.abort()
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
                if self.transport is not None:
                    self.transport.close()

    def _has_hung_up(self) -> bool:
        """Tell whether the client is gone: where nothing is read, nobody hears it otherwise."""
        sock = self.transport.get_extra_info("socket") if self.transport is not None else None
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
