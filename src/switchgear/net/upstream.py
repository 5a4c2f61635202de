"""The HTTP client of the vault: pools of connections to checked addresses. Level 2.

No redirects, no environment proxies, no second send of our own: whoever asks decides what to do after a failure, from
`Failure.dispatched` (docs/invariants.md H2, H3).
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Protocol, cast

import msgspec

from switchgear.core.clock import Clock
from switchgear.core.errors import ProtocolError
from switchgear.core.guard import Guard, guarded
from switchgear.net import dial
from switchgear.net.dial import Dialer, Resolve
from switchgear.net.memory import Memory
from switchgear.net.ticker import Ticker
from switchgear.providers.endpoint import Endpoint
from switchgear.wire.http_responses import ResponseHead, ResponseParser

IDLE_S = 4.0
TICK_S = 0.5
IDLE_CONNECTIONS_MAX = 256
WRITE_BUFFER_BYTES = 65_536
"""What may wait in a connection for the kernel to take it before the request counts as still held."""
CONNECTING_MAX = 4_096
"""Connections that are being made; a provider that does not answer must not collect more."""


class Failure(msgspec.Struct, frozen=True):
    """Why there is no complete response. `dispatched` is True when request bytes may have left."""

    reason: str
    message: str
    dispatched: bool


class Receiver(Protocol):
    """Gets one response."""

    def on_data(self, head: ResponseHead | None, body: bytes, complete: bool) -> None:
        """Bytes came: the head (once, with the first call), body bytes, and whether that was all."""
        ...

    def on_failure(self, failure: Failure) -> None:
        """There will be no (more) response."""
        ...

    def on_fault(self, exc: Exception) -> None:
        """Something unexpected was raised about this response, which is over: tell it and end it."""
        ...


class Deadlines(msgspec.Struct, frozen=True):
    """Seconds for each phase."""

    connect_s: float
    first_byte_s: float
    idle_s: float
    total_s: float


class UpstreamConnection(asyncio.Protocol):
    """One connection; at most one request at a time."""

    __slots__ = (
        "_deadlines",
        "_last_s",
        "_parser",
        "_pool",
        "_receiver",
        "_sent",
        "_sent_s",
        "_started",
        "_transport",
        "connect_ms",
        "is_open",
        "is_paused",
        "is_sending",
    )

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._parser = ResponseParser()
        self._transport: asyncio.Transport | None = None
        self._receiver: Receiver | None = None
        self._sent: Callable[[], None] | None = None
        self._deadlines = Deadlines(0, 0, 0, 0)
        self._started = False
        self._sent_s = 0.0
        self._last_s = 0.0
        self.is_open = False
        self.is_paused = False
        self.is_sending = False
        self.connect_ms: int | None = None

    # doors: what is raised about one response ends that, and its connection

    def _give_up(self, exc: Exception) -> None:
        self._pool.guard.caught(exc)

    @guarded(_give_up)
    def _fault(self, exc: Exception) -> None:
        receiver = self._receiver
        self.abort()
        self._tell_sent()
        if receiver is not None:
            receiver.on_fault(exc)
        else:
            self._pool.guard.caught(exc)

    def _lost_fault(self, exc: Exception) -> None:
        self._pool.forget(self)
        self._fault(exc)

    @guarded(_fault)
    def _tell_sent(self) -> None:
        """The request has left this process, or never will."""
        sent, self._sent = self._sent, None
        if sent is not None:
            sent()

    # asyncio

    @guarded(_fault)
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: connected."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES, low=0)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.is_open = True
        self._last_s = self._pool.now_s

    @guarded(_fault)
    def pause_writing(self) -> None:
        """Asyncio: the provider does not take the request as fast as it was given."""
        self.is_sending = True

    @guarded(_fault)
    def resume_writing(self) -> None:
        """Asyncio: it has taken all of it."""
        self.is_sending = False
        self._tell_sent()

    @guarded(_lost_fault)
    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio: the connection ended; that completes a body without a length."""
        self.is_open = False
        self._pool.forget(self)
        self._tell_sent()
        receiver = self._receiver
        if receiver is not None:
            if exc is None and self._parser.eof():
                receiver.on_data(None, self._parser.take_body(), True)
                self._receiver = None
            else:
                self._fail("broken", "the provider closed the connection before the response was complete")
        self._parser.close()

    @guarded(_fault)
    def data_received(self, data: bytes) -> None:
        """Asyncio: bytes came."""
        parser, receiver = self._parser, self._receiver
        self._last_s = self._pool.now_s
        if receiver is not None and (piece := parser.take_chunk(data)) is not None:
            receiver.on_data(None, piece, False)
            return
        try:
            parser.feed(data)
        except ProtocolError as exc:
            self._fail("broken", str(exc))
            self.abort()
            return
        if receiver is None:
            return
        head = None
        if not self._started:
            head = parser.head
            if head is None:
                return
            self._started = True
        complete = parser.complete
        receiver.on_data(head, parser.take_body(), complete)
        if complete:
            self._receiver = None
            keep = parser.head is not None and parser.head.keep_alive and not self.is_sending
            self._pool.release(self, keep)

    def send(
        self,
        data: list[bytes],
        receiver: Receiver,
        deadlines: Deadlines,
        sent: Callable[[], None] | None = None,
    ) -> None:
        """Send a request. The caller got this connection from `Pool.take` or `Pool.connect`. `sent` is called once, when
        the request has left this process or never will: until then its bytes are held here."""
        assert self._transport is not None
        assert self._receiver is None
        self._parser.begin()
        self._receiver = receiver
        self._deadlines = deadlines
        self._started = False
        self._sent_s = self._last_s = self._pool.now_s
        self._pool.busy.add(self)
        if len(data) == 1:
            self._transport.write(data[0])
        else:
            self._transport.writelines(data)
        if self.is_sending:
            self._sent = sent
        elif sent is not None:
            sent()

    def pause(self) -> None:
        """Stop reading: the client does not keep up."""
        if not self.is_paused and self._transport is not None:
            self.is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self.is_paused and self._transport is not None:
            self.is_paused = False
            self._last_s = self._pool.now_s
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close at once; the receiver hears nothing more."""
        self._receiver = None
        self.is_open = False
        self._tell_sent()
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close an idle connection."""
        self.is_open = False
        if self._transport is not None:
            self._transport.close()

    @guarded(_fault)
    def check(self, now_s: float) -> None:
        """Enforce the deadlines of the request in progress."""
        if self._receiver is None:
            return
        limits = self._deadlines
        late = None
        if now_s - self._sent_s > limits.total_s:
            late = f"the response took longer than {limits.total_s:g} s"
        elif not self._started and now_s - self._sent_s > limits.first_byte_s:
            late = f"no response within {limits.first_byte_s:g} s"
        elif self._started and not self.is_paused and now_s - self._last_s > limits.idle_s:
            late = f"the response paused for more than {limits.idle_s:g} s"
        if late is not None:
            self._fail("timeout", late)
            self.abort()

    def is_idle_too_long(self, now_s: float) -> bool:
        """True when the provider may be about to close it."""
        return now_s - self._last_s > IDLE_S

    @guarded(_fault)
    def _fail(self, reason: str, message: str) -> None:
        receiver = self._receiver
        if receiver is not None:
            receiver.on_failure(Failure(reason, message, True))
            self._receiver = None


INTERNAL = "an internal error; the gateway's log says where"


class _Connecting:
    """A connection on its way."""

    def __init__(
        self,
        pool: "Pool",
        key: object,
        endpoint: Endpoint,
        connect_s: float,
        done: Callable[[UpstreamConnection], None],
        failed: Callable[[Failure], None],
        metadata: bool,
    ) -> None:
        self._pool = pool
        self._key = key
        self._endpoint = endpoint
        self._connect_s = connect_s
        self._done = done
        self._failed = failed
        self._metadata = metadata
        self._connection: UpstreamConnection | None = None

    def _give_up(self, exc: Exception) -> None:
        self._pool.guard.caught(exc)

    @guarded(_give_up)
    def _fault(self, exc: Exception) -> None:
        self._pool.guard.caught(exc)
        if self._connection is not None:
            self._connection.abort()
        self._failed(Failure("internal", INTERNAL, False))

    @guarded(_fault)
    async def connect_and_tell(self) -> None:
        """Connect and tell."""
        started_s, host = self._pool.time_s(), self._endpoint.host
        try:
            async with asyncio.timeout(self._connect_s):
                connection = self._connection = await self._pool.open(self._endpoint, self._metadata)
        except TimeoutError:
            self._failed(Failure("connect", f"no connection to {host} within {self._connect_s:g} s", False))
            return
        except (OSError, ssl.SSLError, UnicodeError) as exc:
            self._failed(Failure("connect", f"no connection to {host}: {dial.why(exc)}", False))
            return
        connection.connect_ms = int((self._pool.time_s() - started_s) * 1000)
        self._pool.add(connection, self._key)
        self._done(connection)


class Pool:
    """Connections by endpoint and credential. The key includes all that decides who is at the other end (H2)."""

    def __init__(self, clock: Clock, guard: Guard, resolve: Resolve | None = None) -> None:
        """`resolve` gives the addresses of a name; the system's resolver by default. It is asked once per connection."""
        self._clock = clock
        self.guard = guard
        self._dialer = Dialer(resolve)
        self._memory = Memory()
        self.now_s = clock.monotonic_s()
        self._idle: dict[object, list[UpstreamConnection]] = {}
        self._keys: dict[UpstreamConnection, object] = {}
        self.busy: set[UpstreamConnection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticker = Ticker(TICK_S, self._tick, guard)

    def start(self) -> None:
        """Begin the deadline timer."""
        self._ticker.start()

    def take(self, key: object) -> UpstreamConnection | None:
        """Return an idle connection of that key, if one is known to be open."""
        idle = self._idle.get(key)
        while idle:
            connection = idle.pop()
            if connection.is_open and not connection.is_idle_too_long(self.now_s):
                return connection
            connection.close()
        return None

    def connect(
        self,
        key: object,
        endpoint: Endpoint,
        connect_s: float,
        done: Callable[[UpstreamConnection], None],
        failed: Callable[[Failure], None],
        metadata: bool = False,
    ) -> None:
        """Open a connection and call `done` with it, or `failed`. Nothing was sent in the latter case.

        `metadata` is for who asks the machine's own metadata service for its identity: only then, and only by its
        address, can that service be reached.
        """
        if len(self._tasks) >= CONNECTING_MAX:
            failed(Failure("overloaded", "too many connections to providers are being made", False))
            return
        connecting = _Connecting(self, key, endpoint, connect_s, done, failed, metadata)
        task = asyncio.get_running_loop().create_task(connecting.connect_and_tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def time_s(self) -> float:
        """Return the seconds of the clock, as they are now."""
        return self._clock.monotonic_s()

    def add(self, connection: UpstreamConnection, key: object) -> None:
        """Know a new connection."""
        if connection.is_open:
            self._keys[connection] = key

    async def open(self, endpoint: Endpoint, metadata: bool) -> UpstreamConnection:
        """Make a connection to a checked address. Raises OSError, ssl.SSLError."""
        connection = await self._dialer.open(endpoint, lambda: UpstreamConnection(self), metadata)
        if not connection.is_open:
            connection.abort()  # it never came to life: a fault of `connection_made`
        return connection

    def release(self, connection: UpstreamConnection, keep: bool) -> None:
        """A response is complete: keep the connection for later, or close it."""
        self.busy.discard(connection)
        key = self._keys.get(connection)
        idle = self._idle.setdefault(key, []) if key is not None else None
        if keep and connection.is_open and idle is not None and len(idle) < IDLE_CONNECTIONS_MAX:
            connection.resume()
            idle.append(connection)
        else:
            connection.close()

    def forget(self, connection: UpstreamConnection) -> None:
        """A connection ended."""
        self.busy.discard(connection)
        key = self._keys.pop(connection, None)
        idle = self._idle.get(key)
        if idle and connection in idle:
            idle.remove(connection)

    def drop(self, key: object) -> None:
        """Close the idle connections of a key (a credential was replaced or removed)."""
        for connection in self._idle.pop(key, []):
            connection.close()

    def close(self) -> None:
        """Close everything."""
        self._ticker.stop()
        for connection in list(self._keys):
            connection.abort()

    def _tick(self) -> None:
        self.now_s = self._clock.monotonic_s()
        for connection in list(self.busy):
            connection.check(self.now_s)
        for idle in self._idle.values():
            for connection in [c for c in idle if c.is_idle_too_long(self.now_s)]:
                idle.remove(connection)
                connection.close()
        self._memory.tick(self.now_s)
