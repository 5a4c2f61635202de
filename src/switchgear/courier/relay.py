"""Bytes between a Unix socket and one destination: for protocols that others speak, such as a database's. Level 4.

A relay is a listening socket in the courier's folder. Who connects must be the very process that asked for it (docs/invariants.md
P3: the kernel says which process is at the other end); every connection is one connection to the destination. Nothing is read of
what passes, and no more of it is held than the buffers below.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol, cast

from switchgear.core.guard import Guard, guarded
from switchgear.core.log_line import Report
from switchgear.courier.destinations import OpenDestination
from switchgear.net import dial, unix
from switchgear.net.dial import Dialer

CONNECTIONS_MAX = 64
"""Of all relays: a pool of database connections has some ten."""
BUFFER_BYTES = 262_144
"""What may wait in each direction before the sender is no longer read."""
CONNECT_S = 10.0


class RelayHost(Protocol):
    """What relays share."""

    guard: Guard
    dialer: Dialer
    report: Report
    pipes: set["Pipe"]

    def is_peer(self, pid: int, uid: int) -> bool:
        """Tell whether a process may use relays: it holds a link."""
        ...


class _End(asyncio.Protocol):
    """One side of a relayed connection."""

    def __init__(self, pipe: "Pipe") -> None:
        self.pipe = pipe
        self.other: _End | None = None
        self.transport: asyncio.Transport | None = None
        self.is_at_end = False
        """True when this side sends no more."""
        self._early: list[bytes] = []
        """What came before there was another side."""

    def join(self, other: "_End") -> None:
        """Pass bytes on to another side from now on, and those that came before."""
        self.other = other
        assert other.transport is not None
        other.transport.writelines(self._early)
        self._early.clear()
        if self.transport is not None:
            self.transport.resume_reading()

    def _fault(self, exc: Exception) -> None:
        self.pipe.fault(exc)

    @guarded(_fault)
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: connected."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=BUFFER_BYTES)

    @guarded(_fault)
    def data_received(self, data: bytes) -> None:
        """Asyncio: bytes for the other side."""
        if self.other is None and self.transport is not None:
            self._early.append(data)
            self.transport.pause_reading()  # a loop may read once more although it was told not to
        elif self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    @guarded(_fault)
    def eof_received(self) -> bool:
        """Asyncio: this side sends no more; the other may (but TLS knows no half of a connection)."""
        self.is_at_end = True
        other = self.other
        if other is None or other.transport is None or other.is_at_end or not other.transport.can_write_eof():
            return False
        other.transport.write_eof()
        return True

    @guarded(_fault)
    def pause_writing(self) -> None:
        """Asyncio: this side takes no more for now."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    @guarded(_fault)
    def resume_writing(self) -> None:
        """Asyncio: it takes more again."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    @guarded(_fault)
    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio: this side is gone."""
        self.transport = None
        self.pipe.end()


class _Near(_End):
    """The side of the process that asked for the relay."""

    def _fault(self, exc: Exception) -> None:
        self.pipe.fault(exc)

    @guarded(_fault)
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: somebody connected."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=BUFFER_BYTES)
        self.pipe.begin(cast(socket.socket, transport.get_extra_info("socket")))


class Pipe:
    """One relayed connection."""

    def __init__(self, host: RelayHost, destination: OpenDestination) -> None:
        self._host = host
        self._destination = destination
        self._task: asyncio.Task[None] | None = None
        self.near = _Near(self)
        self.far = _End(self)
        self.pid = 0
        """The process that it is for."""

    def fault(self, exc: Exception) -> None:
        """End this connection, and no other."""
        self._host.guard.caught(exc, destination=self._destination.name)
        self.end()

    def begin(self, sock: socket.socket) -> None:
        """Look who is there, and connect to the destination."""
        self.pid, uid = unix.peer(sock)
        near = self.near.transport
        assert near is not None
        if not self._host.is_peer(self.pid, uid) or len(self._host.pipes) >= CONNECTIONS_MAX:
            near.abort()
            return
        self._destination.requests += 1
        self._host.pipes.add(self)
        near.pause_reading()
        self._task = asyncio.get_running_loop().create_task(self._connect())

    @guarded(fault)
    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._host.dialer.open(self._destination.endpoint, lambda: self.far)
        except (OSError, ssl.SSLError, UnicodeError) as exc:
            said = "no answer in time" if isinstance(exc, TimeoutError) else dial.why(exc)
            self._destination.failures += 1
            self._host.report(f"no connection to {self._destination.name}: {said}", kind=self._destination.name)
            self.end()
            return
        if self.near.transport is None or self.far.transport is None:
            self.end()  # one of them went away meanwhile
            return
        self.near.join(self.far)
        self.far.join(self.near)

    def end(self) -> None:
        """Close both sides: what was written goes out before."""
        self._host.pipes.discard(self)
        if self._task is not None:
            self._task.cancel()
        for side in (self.near, self.far):
            side.other = None
            if side.transport is not None:
                side.transport.close()

    def abort(self) -> None:
        """Close both sides at once."""
        for side in (self.near, self.far):
            if side.transport is not None:
                side.transport.abort()
        self.end()


class Relays:
    """The listening sockets, one per destination that is for relays."""

    def __init__(self, folder: Path, host: RelayHost) -> None:
        self._folder = folder
        self._host = host
        self._servers: list[asyncio.Server] = []

    async def start(self, destinations: Iterable[OpenDestination]) -> None:
        """Bind and listen. Raises OSError."""
        for destination in destinations:
            sock = unix.bind(self._folder, socket_name(destination), 0o660)
            loop = asyncio.get_running_loop()
            self._servers.append(await loop.create_unix_server(_maker(self._host, destination), sock=sock))

    def close(self) -> None:
        """Stop listening."""
        for server in self._servers:
            server.close()


def socket_name(destination: OpenDestination) -> str:
    """Return the name of a destination's socket in the courier's folder."""
    return f"{destination.name}.relay"


def _maker(host: RelayHost, destination: OpenDestination) -> Callable[[], asyncio.Protocol]:
    return lambda: Pipe(host, destination).near
