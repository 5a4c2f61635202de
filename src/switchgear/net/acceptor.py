"""Accepts connections: in turns with other processes, with a bound for handshakes, and what is done without descriptors. Level 2.

Several edges share a socket, and a loop that took all that waits would leave the others idle: one that has connections
already lets a millisecond pass for the others before it takes a few more.
"""

import asyncio
import contextlib
import socket
import ssl
from typing import Any

from switchgear.core.guard import guarded
from switchgear.net.connection import Connection
from switchgear.net.exchange import ServerState

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


class Acceptor:
    """The listeners of a server, and what is not a connection yet."""

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self.listeners: list[socket.socket] = []
        self.tls: ssl.SSLContext | None = None
        self.accepting: dict[asyncio.Task[Any], tuple[Connection, socket.socket]] = {}
        """Connections that are being set up, the oldest first: with TLS, until their handshakes are done."""
        self.ending: dict[asyncio.Task[Any], tuple[Connection, socket.socket]] = {}
        """Handshakes that made room for others and are about to end."""
        self.starved = 0
        """How often a connection could not be accepted for want of descriptors."""
        self._told_s = 0.0

    def listen(self, sock: socket.socket) -> None:
        """Accept what comes to a bound socket."""
        self.listeners.append(sock)
        self.watch(sock)

    def close(self) -> None:
        """Close the listeners."""
        loop = asyncio.get_running_loop()
        for listener in self.listeners:
            loop.remove_reader(listener.fileno())
            listener.close()
        self.listeners.clear()

    def _accept_fault(self, exc: Exception) -> None:
        self._server.guard.caught(exc)
        for listener in self.listeners:
            self._pause(listener)

    @guarded(_accept_fault)
    def watch(self, listener: socket.socket) -> None:
        """Wait for clients at one of the listeners."""
        if listener in self.listeners:
            asyncio.get_running_loop().add_reader(listener.fileno(), self._on_waiting, listener)

    @guarded(_accept_fault)
    def _on_waiting(self, listener: socket.socket) -> None:
        if not self._server.connections:
            self._accept(listener)
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener.fileno())
        loop.call_later(ACCEPT_PAUSE_S, self._accept_some, listener)

    @guarded(_accept_fault)
    def _accept_some(self, listener: socket.socket) -> None:
        if listener in self.listeners:
            before = self.starved
            for _ in range(ACCEPT_BATCH):
                if not self._accept(listener):
                    break
            if self.starved == before:
                self.watch(listener)

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
        connection = Connection(self._server, peer[0] if isinstance(peer, tuple) else None)
        connection.is_admitted = self._server.admit(connection)
        if self.tls is None:
            setting_up = loop.connect_accepted_socket(lambda: connection, sock)
        elif not connection.is_admitted:
            self._server.forget(connection)
            sock.close()  # saying why would take the handshake that is not to be had
            return True
        else:
            if len(self.accepting) >= HANDSHAKES_MAX:
                self._end_oldest_handshake()
            setting_up = loop.connect_accepted_socket(
                lambda: connection,
                sock,
                ssl=self.tls,
                ssl_handshake_timeout=HANDSHAKE_S,
                ssl_shutdown_timeout=SHUTDOWN_S,
            )
        task = loop.create_task(setting_up)
        self.accepting[task] = (connection, sock)
        task.add_done_callback(self._accepted)
        return True

    def _end_oldest_handshake(self) -> None:
        task = next(iter(self.accepting))
        connection, sock = self.ending[task] = self.accepting.pop(task)
        self._server.forget(connection)
        with contextlib.suppress(OSError):  # it has ended by itself
            sock.shutdown(socket.SHUT_RDWR)

    def _starve(self, listener: socket.socket) -> None:
        """Wait for descriptors, and let idle clients go to get some: the loop must not spin over what it cannot accept."""
        self.starved += 1
        if self._server.now_s - self._told_s >= STARVED_TOLD_S or self.starved == 1:
            self._told_s = self._server.now_s
            text = (
                "connections are not accepted for want of file descriptors: raise the limit (ulimit -Hn, LimitNOFILE=)"
            )
            asyncio.get_running_loop().call_exception_handler({"message": text})
        for connection in list(self._server.connections):
            connection.close_if_idle()
        self._pause(listener)

    def _pause(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener.fileno())
        loop.call_later(STARVED_S, self.watch, listener)

    def _fault(self, exc: Exception) -> None:
        # Nothing but this one turn ends.
        self._server.guard.caught(exc)

    @guarded(_fault)
    def _accepted(self, task: "asyncio.Task[Any]") -> None:
        connection, _ = self.accepting.pop(task) if task in self.accepting else self.ending.pop(task)
        if task.cancelled():
            self._server.forget(connection)
        elif task.exception() is None:
            transport = task.result()[0]
            if connection not in self._server.connections and not transport.is_closing():
                self._server.forget(connection)
                transport.abort()  # it never came to life: a fault of `connection_made`
        elif (exc := task.exception()) is not None:
            self._server.forget(connection)
            if not isinstance(exc, OSError):  # a failed TLS handshake is the client's affair (SSLError is an OSError)
                self._server.guard.caught(exc)
