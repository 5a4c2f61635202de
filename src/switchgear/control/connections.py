"""Connections of administrators, bounded: how many, and how long one may take to say what it wants. Level 5.

Any local user reaches the console's port. What is idle or says nothing is let go first, the oldest of it at once when the port
is full: descriptors stay for the Unix socket of the CLI, which has bounds of its own.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from switchgear.core.guard import guarded
from switchgear.net import unix

CONSOLE_MAX = 256
LOCAL_MAX = 512
HEAD_S = 10.0
"""From the connection, or from the last answer, to the end of a request's head; uvicorn ends silent ones after five."""
BODY_S = 30.0
"""For a body of at most 4 MiB."""


class Bounds:
    """The connections of one listener."""

    def __init__(self, connections_max: int, uids: frozenset[int] | None = None) -> None:
        """`uids`: on a Unix socket, the users who are heard (docs/invariants.md P3); None on TCP."""
        self.connections_max = connections_max
        self.uids = uids
        self.open: dict[Bounded, None] = {}

    def admit(self, one: "Bounded") -> bool:
        """Make room for a connection; False when every other one is at work."""
        if len(self.open) >= self.connections_max:
            idle = next((other for other in self.open if not other.is_busy), None)
            if idle is None:
                return False
            idle.drop()
        self.open[one] = None
        return True


class Bounded(H11Protocol):
    """uvicorn's protocol with an end to everything."""

    bounds: Bounds

    def _fault(self, exc: Exception) -> None:
        self.drop()

    @guarded(_fault)
    def connection_made(self, transport: Any) -> None:
        """Asyncio: look who it is, and whether there is room, before the first byte."""
        self._since_s = asyncio.get_running_loop().time()
        self._timer: asyncio.TimerHandle | None = None
        uids = self.bounds.uids
        stranger = uids is not None and unix.peer_uid(transport.get_extra_info("socket")) not in uids
        if stranger or not self.bounds.admit(self):
            transport.abort()
            return
        super().connection_made(transport)
        self._timer = self.loop.call_later(HEAD_S, self._look)

    @guarded(_fault)
    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio: it is over."""
        self.bounds.open.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            super().connection_lost(exc)

    @guarded(_fault)
    def on_response_complete(self) -> None:
        """The answer is out: the next head may take HEAD_S."""
        self._since_s = asyncio.get_running_loop().time()
        super().on_response_complete()

    @property
    def is_busy(self) -> bool:
        """True while a request is answered."""
        return self.cycle is not None and not self.cycle.response_complete

    @guarded(_fault)
    def _look(self) -> None:
        now = self.loop.time()
        limit = BODY_S if self.is_busy else HEAD_S
        waits_for_client = not self.is_busy or bool(self.cycle is not None and self.cycle.more_body)
        if waits_for_client and now - self._since_s >= limit:
            self.drop()
            return
        self._timer = self.loop.call_later(HEAD_S / 2, self._look)

    def drop(self) -> None:
        """End it without a word."""
        self.bounds.open.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
        if self.transport is not None:
            self.transport.abort()


def bounded(bounds: Bounds) -> type[H11Protocol]:
    """Return the protocol class for a listener."""
    return type("BoundedBy", (Bounded,), {"bounds": bounds})
