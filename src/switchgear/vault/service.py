"""The vault's process: what its attempts share, and the order of each loop turn. Level 3.

Per loop turn: the journal is written, then requests go out to providers, then frames go back to the edges. So after any
crash the journal proves what was not sent (docs/invariants.md C8, L1).
"""

import asyncio
import math
import socket
from collections.abc import Callable

import msgspec

from switchgear.core.clock import Clock
from switchgear.core.errors import RefusedError
from switchgear.core.guard import Guard, each, guarded
from switchgear.net.held import HeldBytes
from switchgear.net.performer import Performer
from switchgear.net.ticker import Ticker
from switchgear.net.upstream import Pool, UpstreamConnection
from switchgear.spool.syncer import Syncer
from switchgear.spool.writer import SpoolWriter
from switchgear.vault import egress
from switchgear.vault.attempt import PreparedRoute, UpstreamAttempt
from switchgear.vault.box import Box, OpenCredential
from switchgear.vault.link import GATHER_S, VaultSideLink
from switchgear.vault.perform import RUNS, VerbService
from switchgear.vault.token_fetcher import TokenFetcher
from switchgear.vault.verbs import Fence, Status
from switchgear.wire import frames, records
from switchgear.wire.records import Kind

BODIES_BYTES_MAX = 640 * 1024**2
"""Request bodies held at once, until providers have taken them. A link may hold what is left free for all others: one alone
half of it, four an eighth less than all. A piece above that ends its attempt."""
BODIES_BYTES_EASY = 256 * 1024**2
"""Above it only the attempt that waits longest gets more window, so that one body after the other becomes whole and leaves."""
TICK_S = 5.0
DEADLINE_S_MAX = 86_400.0
FENCED_MAX = 10_000
ROUTES_MAX = 4_096
ROUTE_BYTES_MAX = 2_048
"""Longer ones are judged each time: their headers are a client's, and each kept one is here three times."""

_decode_route = msgspec.msgpack.Decoder(frames.UpstreamRoute).decode


class VaultService:
    """Owns the box, the journal and the pool."""

    def __init__(
        self,
        box: Box,
        journal: SpoolWriter,
        pool: Pool,
        clock: Clock,
        run_id: str,
        link_key: bytes,
        peer_uids: dict[str, frozenset[int]],
        report: Callable[[str], None],
        guard: Guard,
        read_token: Callable[[str], bytes] | None = None,
    ) -> None:
        self.box = box
        self.journal = journal
        self.guard = guard
        self._syncer = Syncer(journal, report, guard)
        self.pool = pool
        self.token_fetcher = TokenFetcher(pool, clock, read_token)
        self.clock = clock
        self.run_id = run_id
        self.link_key = link_key
        """What the tokens of links are made with (frames.link_token)."""
        self.peer_uids = peer_uids
        """Who may connect, by role."""
        self.report = report
        self.held = HeldBytes(BODIES_BYTES_MAX)
        """Bytes of request bodies by link, until providers have taken them."""
        self.starving: dict[UpstreamAttempt, None] = {}
        """Attempts that wait for window, the longest-waiting first."""
        self._routes: dict[bytes, PreparedRoute] = {}
        self.links: set[VaultSideLink] = set()
        self.fenced: dict[str, None] = {}
        """Runs of edges that are dead, the newest FENCED_MAX: nothing of them is dispatched any more, whatever still lies in a
        socket."""
        self._counters: dict[str, egress.CeilingCounter] = {}
        self._pending: list[tuple[UpstreamAttempt, UpstreamConnection, list[bytes]]] = []
        self._links: list[VaultSideLink] = []
        self._gathering: list[VaultSideLink] = []
        self.loop_s = asyncio.get_running_loop().time
        """The loop's own clock: cached per turn, so reading it costs nothing."""
        self._scheduled = False
        self._is_stopped = False
        self._ticker = Ticker(TICK_S, self._tick, guard)
        self._server: asyncio.Server | None = None

    async def start(self, sock: socket.socket) -> None:
        """Listen for links."""
        self.pool.start()
        self._syncer.wake()
        self._ticker.start()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: VaultSideLink(self), sock=sock)

    def _counter(self, credential: OpenCredential) -> egress.CeilingCounter:
        """Return the use of a credential, with its ceilings as they are now."""
        counter = self._counters.get(credential.item.id)
        if counter is None:
            counter = self._counters[credential.item.id] = egress.CeilingCounter(credential.item.ceilings)
        counter.ceilings = credential.item.ceilings
        return counter

    def feed_starving(self) -> None:
        """Grant window to those that wait for it: to all while there is room, else to the longest-waiting alone."""
        while self.starving and self.held.total <= BODIES_BYTES_EASY:
            attempt = next(iter(self.starving))
            del self.starving[attempt]
            attempt.credit()
        if self.starving:
            attempt = next(iter(self.starving))
            if attempt.has_uncredited:
                attempt.credit()

    def prepare(self, raw: msgspec.Raw) -> tuple[OpenCredential, bytes, PreparedRoute]:
        """Judge a route, once per content: returns the credential, the head and the deadlines. Raises RefusedError."""
        encoded = bytes(raw)
        known = self._routes.get(encoded)
        if known is None:
            route = _decode_route(encoded)
            for seconds in (route.connect_s, route.first_byte_s, route.idle_s, route.total_s):
                if not (math.isfinite(seconds) and 0 < seconds <= DEADLINE_S_MAX):
                    raise RefusedError(f"a deadline of {seconds} s is none")
            credential = self.box.find(route.credential_id)
            if credential is None:
                raise RefusedError(f"no active credential for {route.credential_id[:128]!r}")
            known = PreparedRoute(route, credential, egress.build_head(route, credential), self._counter(credential))
            if len(self._routes) >= ROUTES_MAX:
                self._routes.clear()
            if len(encoded) <= ROUTE_BYTES_MAX:
                self._routes[encoded] = known
        # A credential that was replaced, disabled or removed is another object, or none.
        if known.credential is None or self.box.find(known.credential_id) is not known.credential:
            self._routes.pop(encoded, None)
            return self.prepare(raw)
        return known.credential, known.head, known

    # one turn

    def send_after_journal(
        self, attempt: UpstreamAttempt, connection: UpstreamConnection, request: list[bytes]
    ) -> None:
        """Journal a dispatch; the bytes leave when the journal has it."""
        attempt.dispatched = True
        record = records.Dispatch(
            attempt.message.attempt_id, attempt.route.credential_id, self.clock.wall_ms(), attempt.run_id
        )
        self.journal.append(Kind.DISPATCH, records.encode_payload(record))
        self._pending.append((attempt, connection, request))
        self._schedule()

    def journal_done(
        self, attempt_id: str, status: int | None, reason: str | None, size_in: int, size_out: int
    ) -> None:
        """Journal what an attempt came to."""
        record = records.AttemptEnd(attempt_id, status, reason, size_in, size_out, self.clock.wall_ms())
        self.journal.append(Kind.ATTEMPT_END, records.encode_payload(record))
        self._schedule()

    def journal_link_end(self, run_id: str) -> None:
        """Journal that a link ended: what of it is not journalled by now was never sent."""
        self.journal.append(Kind.LINK_END, records.encode_payload(records.LinkEnd(run_id, self.clock.wall_ms())))
        self._schedule()

    def flush_later(self, link: VaultSideLink) -> None:
        """Write a link's frames at the end of this turn."""
        self._links.append(link)
        self._schedule()

    def flush_gathered_later(self, link: VaultSideLink) -> None:
        """Write a link's gathered frames within GATHER_S. They are pieces of streams, which no record precedes."""
        if not self._gathering:
            asyncio.get_running_loop().call_later(GATHER_S, self._flush_gathered)
        self._gathering.append(link)

    def _fault(self, exc: Exception) -> None:
        # What waits stays in its lists for the next turn.
        self.guard.caught(exc)
        self._scheduled = False
        self._schedule()

    def _tick(self) -> None:
        now_s = self.pool.now_s
        for link in list(self.links):
            each(link.attempts.values(), lambda attempt: attempt.check(now_s), UpstreamAttempt.on_fault)

    def _gathered_fault(self, exc: Exception) -> None:
        self.guard.caught(exc)
        links, self._gathering = self._gathering, []
        self._links += links
        self._schedule()

    @guarded(_gathered_fault)
    def _flush_gathered(self) -> None:
        gathered, self._gathering = self._gathering, []
        each(gathered, VaultSideLink.flush_gathered, VaultSideLink.fault)

    def stop(self) -> None:
        """Journal what has happened so far, and nothing after that: the journal is about to be closed."""
        self._flush()
        self._flush_gathered()
        self._is_stopped = True
        self._ticker.stop()
        self._syncer.stop()

    def _schedule(self) -> None:
        if not self._scheduled and not self._is_stopped:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _commit_fault(self, exc: Exception) -> None:
        self.guard.caught(exc)

    @guarded(_commit_fault)
    def _commit(self) -> bool:
        """Write the journal; False when it cannot be."""
        try:
            self.journal.commit()
        except OSError as exc:
            self.report(f"the journal cannot be written: {exc}")
            return False
        return True

    @guarded(_fault)
    def _flush(self) -> None:
        self._scheduled = False
        pending, self._pending = self._pending, []
        if not self._commit():
            for attempt, connection, _ in pending:
                attempt.not_sent(connection)
            pending = []
        if self.journal.needs_sync or not self.journal.is_prepared:
            self._syncer.wake()
        for attempt, connection, request in pending:
            attempt.send(connection, request)
        links, self._links = self._links, []
        each(links, VaultSideLink.flush, VaultSideLink.fault)

    # verbs

    def fence(self, fence: Fence) -> None:
        """Refuse a dead run for ever; afterwards the journal on disk is all that it dispatched. Raises RefusedError for a run that
        lives and writes to another spool: one edge must not end another by what its own spool says."""
        found = [link for link in self.links if link.run_id == fence.run_id]
        if any(link.spool_id != fence.spool_id for link in found):
            raise RefusedError(frames.FOREIGN_RUN)
        if len(self.fenced) >= FENCED_MAX:
            del self.fenced[next(iter(self.fenced))]
        self.fenced[fence.run_id] = None
        for link in found:
            each(link.attempts.values(), UpstreamAttempt.cancel, UpstreamAttempt.on_fault)
            link.close()
        self._flush()

    def status(self) -> Status:
        """Return what control may know of this process."""
        attempts = sum(len(link.attempts) for link in self.links)
        return Status(self.guard.faults, self.guard.places, len(self.links), attempts)

    def answer(self, link: VaultSideLink, stream_id: int, question: frames.Question) -> None:
        """Do what control asks, and answer on its link, now or later."""
        Performer[VerbService](self, RUNS, self.guard, question, stream_id, link.queue).perform()
