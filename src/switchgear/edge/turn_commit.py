"""The end of a loop turn: the spool first, then the link, then the clients. Level 4 (docs/invariants.md L2).

Nothing leaves this process before the record that explains it is in the kernel's hands.
"""

import os
from collections.abc import Callable

from switchgear.core.clock import Loop
from switchgear.core.guard import Guard, call_each, guarded
from switchgear.net.exchange import Exchange
from switchgear.net.link import LinkClient
from switchgear.spool.syncer import Syncer
from switchgear.spool.writer import SpoolWriter

RETRY_S = 0.05


class TurnCommit:
    """One per edge: collects a turn's output."""

    def __init__(
        self, spool: SpoolWriter, report: Callable[[str], None], guard: Guard, loop: Loop, durable: bool = False
    ) -> None:
        """`durable` waits for the disk before anything leaves (`durability: power`)."""
        self.spool = spool
        self.syncer = Syncer(spool, report, guard)
        self._guard = guard
        self._loop = loop
        self.link: LinkClient | None = None
        self._report = report
        self._durable = durable
        self._calls: list[tuple[Exchange, Callable[..., None], tuple[object, ...]]] = []
        self._scheduled = False
        self._has_failed = False
        self.is_recording = True
        """False while the spool cannot be written; new requests are refused then."""

    @property
    def is_empty(self) -> bool:
        """True when nothing waits to be sent to a client."""
        return not self._calls

    def call(self, exchange: Exchange, function: Callable[..., None], *arguments: object) -> None:
        """Do something towards an exchange's client after this turn's records are written. If it fails, that exchange ends
        and no other."""
        self._calls.append((exchange, function, arguments))
        self.schedule()

    def write(self, exchange: Exchange, data: bytes) -> None:
        """Send a piece of an answer: at once where nothing waits, because whatever explains it was written with an earlier turn;
        else in its place behind this turn's records. Whoever appends a record calls `schedule`."""
        if self._scheduled:
            self._calls.append((exchange, exchange.write, (data,)))
        else:
            exchange.write(data)

    def schedule(self) -> None:
        """Flush at the end of this turn."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.flush)

    def _fault(self, exc: Exception) -> None:
        # Everything waits and is tried again; if that fails as well, new requests are refused, as they are for a full disk.
        self._guard.caught(exc)
        self.is_recording = not self._has_failed
        self._has_failed = True
        self._try_again()

    def _try_again(self) -> None:
        self._scheduled = True
        self._loop.call_later(RETRY_S, self.flush)

    @guarded(_fault)
    def flush(self) -> None:
        """Write everything, in order. While the disk refuses, everything waits and nothing is lost."""
        self._scheduled = False
        try:
            self.spool.commit()
            if self._durable and self.spool.needs_sync:
                self.spool.sync()
        except OSError as exc:
            if self.is_recording:
                self._report(f"the spool cannot be written: {os.strerror(exc.errno or 0)}")
            self.is_recording = False
            self._try_again()
            return
        self.is_recording = True
        self._has_failed = False
        if self.spool.needs_sync or not self.spool.is_prepared:
            self.syncer.wake()
        if self.link is not None:
            self.link.flush()
        if self._calls:
            calls, self._calls = self._calls, []
            call_each(calls, Exchange.fault)
