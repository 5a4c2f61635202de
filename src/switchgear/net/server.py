"""The HTTP server: one asyncio protocol per connection, no task per request. Level 2.

A handler gets an Exchange per request and answers through it, now or later (`net/exchange`); `net/connection` has the order of
requests and their bounds, `net/acceptor` what comes before there is a connection. All deadlines are checked by one timer per
server, so that ten thousand idle connections cost ten thousand comparisons a second and no timers.
"""

import email.utils
import socket
import ssl

from switchgear.core.clock import Clock
from switchgear.core.guard import Guard
from switchgear.net.acceptor import Acceptor
from switchgear.net.exchange import Handler, ServerLimits, ServerState
from switchgear.net.memory import Memory
from switchgear.net.ticker import Ticker
from switchgear.policies.forwarded import Proxies

TICK_S = 1.0


class HttpServer(ServerState):
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
        super().__init__(handler, clock, guard, limits or ServerLimits(), proxies)
        self._clock = clock
        self.acceptor = Acceptor(self)
        self.ticker = Ticker(TICK_S, self._tick, guard)
        self._memory = Memory()

    async def start(self, *sockets: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Listen on bound sockets."""
        self.acceptor.tls = tls
        for sock in sockets:
            self.acceptor.listen(sock)
        self.ticker.start()

    def drain(self) -> None:
        """From now on each answer is its connection's last."""
        self.is_draining = True

    def stop_accepting(self) -> None:
        """Close the listeners and the idle connections."""
        self.is_draining = self.is_closing = True
        self.acceptor.close()
        for connection in list(self.connections):
            connection.tick()

    def close(self) -> None:
        """Close everything."""
        self.stop_accepting()
        self.ticker.stop()
        for connection in list(self.connections):
            connection.break_off(reset=False)

    def _tick(self) -> None:
        self.now_s = self._clock.monotonic_s()
        self.date = b"date: " + email.utils.formatdate(self._clock.wall_ms() / 1000, usegmt=True).encode() + b"\r\n"
        for connection in list(self.connections):
            connection.tick()
        self._memory.tick(self.now_s)
