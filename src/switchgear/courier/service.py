"""The courier's process: its links, its destinations, what is relayed. Level 4."""

import asyncio
import socket
from collections.abc import Iterable
from pathlib import Path

from switchgear.core.guard import Guard
from switchgear.core.log_line import Report
from switchgear.courier.destinations import Destinations
from switchgear.courier.link import CourierLink
from switchgear.courier.relay import Pipe, Relays
from switchgear.courier.verbs import CourierStatus
from switchgear.net.dial import Dialer
from switchgear.net.upstream import Pool


class CourierService:
    """Owns the destinations and the connections to them."""

    def __init__(
        self,
        destinations: Destinations,
        pool: Pool,
        dialer: Dialer,
        run_id: str,
        link_key: bytes,
        peer_uids: Iterable[int],
        report: Report,
        guard: Guard,
        folder: Path,
    ) -> None:
        """`folder` is where relays are bound; `link_key` makes the tokens of links (frames.link_token)."""
        self.destinations = destinations
        self.pool = pool
        self.dialer = dialer
        self.run_id = run_id
        self.link_key = link_key
        self.peer_uids = frozenset(peer_uids)
        self.report = report
        self.guard = guard
        self.in_progress = 0
        self.links: set[CourierLink] = set()
        self.pipes: set[Pipe] = set()
        self._relays = Relays(folder, self)
        self._server: asyncio.Server | None = None

    async def start(self, sock: socket.socket) -> None:
        """Listen for links and relays."""
        self.pool.start()
        await self._relays.start(self.destinations.of("relay"))
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: CourierLink(self), sock=sock)

    def stop(self) -> None:
        """Listen no more, and end what is relayed."""
        self._relays.close()
        if self._server is not None:
            self._server.close()
        for pipe in list(self.pipes):
            pipe.abort()

    def status(self) -> CourierStatus:
        """Return what control may know of this process."""
        return CourierStatus(
            faults=self.guard.faults,
            places=self.guard.places,
            relayed=len(self.pipes),
            destinations=self.destinations.states(),
        )

    def is_peer(self, pid: int, uid: int) -> bool:
        """Tell whether a process may use relays: it holds a link."""
        return any((link.pid, link.uid) == (pid, uid) for link in self.links)

    def forget(self, link: CourierLink) -> None:
        """A link ended: so does what is relayed for its process, unless it has another."""
        self.links.discard(link)
        if not self.is_peer(link.pid, link.uid):
            for pipe in [pipe for pipe in self.pipes if pipe.pid == link.pid]:
                pipe.abort()
