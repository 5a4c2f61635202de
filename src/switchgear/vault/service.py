"""The vault at work: links of edges and control, attempts in progress, verbs. Level 3.

Per loop turn: the journal is written, then requests go out to providers, then frames go back to the edges. So after any
crash the journal proves what was not sent (docs/invariants.md C8, L1). What nobody expected about one attempt, verb
or link ends that one (decision 020).
"""

import asyncio
import hmac
import math
import socket
from collections.abc import Callable
from typing import cast

import msgspec

from switchgear.core.clock import Clock
from switchgear.core.errors import UNREADABLE, FrameError, RefusedError, SealError
from switchgear.core.guard import Guard, each, guarded
from switchgear.net import unix
from switchgear.net.held import Held
from switchgear.net.link import BODY_FRAME_BYTES, WINDOW_BYTES
from switchgear.net.upstream import INTERNAL, Deadlines, Failure, Pool, UpstreamConnection
from switchgear.spool.syncer import Syncer
from switchgear.spool.writer import SpoolWriter
from switchgear.vault import egress
from switchgear.vault.box import Box, Opened, Put
from switchgear.vault.minter import Minter
from switchgear.wire import frames, records
from switchgear.wire.frames import END, FrameType
from switchgear.wire.http1 import ResponseHead
from switchgear.wire.records import Kind

BODY_BYTES_MAX = 67_108_864
BODIES_BYTES_MAX = 640 * 1024**2
"""Request bodies held at once, until providers have taken them. A link may hold what is left free for all others: one alone
half of it, four an eighth less than all. A piece above that ends its attempt."""
BODIES_BYTES_EASY = 256 * 1024**2
"""Above it only the attempt that waits longest gets more window, so that one body after the other becomes whole and leaves."""
BODY_S = 120.0
"""Seconds for a body to come from an edge, which has it whole."""
TICK_S = 5.0
DEADLINE_S_MAX = 86_400.0
JOIN_BYTES_MAX = 65_536
SLAB_PIECES = 16
ERROR_BODY_BYTES_MAX = 1_048_576
STREAMS_PER_LINK_MAX = 20_000
FENCED_MAX = 10_000
LINK_BUFFER_BYTES = 8 * 1024 * 1024
ROUTES_MAX = 4_096
ROUTE_BYTES_MAX = 2_048
"""Longer ones are judged each time: their headers are a client's, and each kept one is here three times."""
OPEN_BYTES_EASY = 2_048
"""What an attempt may be opened with uncounted: 40 MB for all streams of a link."""
OF_EDGES = frozenset({FrameType.OPEN, FrameType.BODY, FrameType.CANCEL, FrameType.WINDOW})
GATHER_S = 0.004
"""A piece of a stream waits so long for others when its link was written to just now: under load one write carries several
streams' events, and an event that comes alone never waits."""

_decode_route = msgspec.msgpack.Decoder(frames.Route).decode

_decode_open = msgspec.msgpack.Decoder(frames.Open).decode
_decode_hello = msgspec.msgpack.Decoder(frames.Hello).decode
_NOTHING = msgspec.Raw(b"\xc0")
_decode_verb = msgspec.msgpack.Decoder(frames.Verb).decode


class StateChange(msgspec.Struct, frozen=True):
    """Body of the verbs disable, enable and remove."""

    id: str


class Fence(msgspec.Struct, frozen=True):
    """Body of the verb fence: which run is dead, by which spool."""

    run_id: str
    spool_id: str


class Status(msgspec.Struct, frozen=True):
    """What the verb `status` says of this process."""

    faults: int
    """Exceptions that nobody expected, since the process began."""
    places: dict[str, int]
    """Where they were raised."""
    links: int
    attempts: int
    """In progress."""


class Tester:
    """The verb `test`: one cheap authenticated call (GET /models) with a credential."""

    def __init__(self, answer: Callable[[str, bool], None], pool: Pool) -> None:
        self._answer = answer
        self._pool = pool
        self._status: int | None = None

    def on_fault(self, exc: Exception) -> None:
        """Receiver: tell it, and that there is no answer."""
        self._pool.guard.caught(exc, verb="test")
        self._answer(INTERNAL, False)

    def begin(self, opened: Opened) -> None:
        """Connect and ask."""
        version = [(b"anthropic-version", b"2023-06-01")]  # Anthropic demands it, nobody else minds
        route = frames.Route(opened.item.id, "GET", "/models", version, 20.0, 20.0, 20.0, 10.0)
        request = egress.build_head(route, opened) + b"\r\n"
        endpoint = opened.item.context.endpoint

        def connected(connection: UpstreamConnection) -> None:
            connection.send([request], self, Deadlines(10.0, 20.0, 20.0, 20.0))

        self._pool.connect((opened.item.id, "test"), endpoint, 10.0, connected, self.on_failure)

    def on_data(self, head: ResponseHead | None, body: bytes, complete: bool) -> None:
        """Receiver: only the status counts; the body is not shown to anybody."""
        if head is not None:
            self._status = head.status
        if complete:
            status = self._status or 0
            good = 200 <= status < 300
            self._answer(
                f"the provider answered {status}"
                + ("" if good else ": it does not accept this credential" if status in {401, 403} else ""),
                good,
            )

    def on_failure(self, failure: Failure) -> None:
        """Receiver: no answer."""
        self._answer(failure.message, False)


class TestResult(msgspec.Struct, frozen=True):
    """What the verb `test` found."""

    ok: bool
    message: str


class KnownRoute:
    """A route that was judged: the credential it uses, the head it gives, its deadlines."""

    __slots__ = ("connect_s", "deadlines", "deployment", "head", "opened", "route")

    def __init__(self, route: frames.Route, opened: Opened | None, head: bytes) -> None:
        self.route = route
        self.deployment = route.deployment
        self.connect_s = route.connect_s
        self.deadlines = Deadlines(route.connect_s, route.first_byte_s, route.idle_s, route.total_s)
        self.opened = opened
        self.head = head


NO_ROUTE = KnownRoute(frames.Route("", "", "", [], 0, 0, 0, 0), None, b"")


class Attempt:
    """One attempt: its body as it arrives, then its response as it leaves."""

    __slots__ = (
        "_began_s",
        "_body",
        "_body_bytes",
        "_connection",
        "_credit",
        "_error_body",
        "_head",
        "_held",
        "_kept",
        "_link",
        "_loose",
        "_opened",
        "_received",
        "_sent_bytes",
        "_status",
        "_tail",
        "_uncredited",
        "_window",
        "dispatched",
        "id",
        "is_over",
        "message",
        "route",
    )

    def __init__(self, link: "VaultSideLink", stream_id: int, message: frames.Open) -> None:
        self._link = link
        self.id = stream_id
        self.message = message
        self.route = NO_ROUTE
        self._opened: Opened | None = None
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._credit = WINDOW_BYTES
        self._held = 0
        """Bytes of the body that this process has: until the connection's transport has let go of them."""
        self._kept = 0
        """Further bytes that this process has until the attempt ends: a long route, the body of an error."""
        self._began_s = link.service.pool.now_s
        self._loose = 0
        self._connection: UpstreamConnection | None = None
        self._head: ResponseHead | None = None
        self._status: int | None = None
        self._error_body: list[bytes] | None = None
        self._tail = b""
        self._window = WINDOW_BYTES
        self._uncredited = 0
        self._received = 0
        self._sent_bytes = 0
        self.dispatched = False
        self.is_over = False

    # doors

    def _give_up(self, exc: Exception) -> None:
        # Even ending it failed: nothing of it stays.
        self._link.service.guard.caught(exc, self.message.attempt_id)
        self.is_over = True
        self._link.attempts.pop(self.id, None)

    @guarded(_give_up)
    def on_fault(self, exc: Exception) -> None:
        """Receiver: end this attempt, and nothing else, for what was raised about it."""
        self._link.service.guard.caught(exc, self.message.attempt_id)
        if self._connection is not None:
            self._connection.abort()
        self.fail(Failure("internal", INTERNAL, self.dispatched))

    @guarded(on_fault)
    def receive(self, kind: int, payload: bytes, ended: bool) -> None:
        """A frame of this attempt came. Raises nothing but FrameError, through `broken`."""
        if kind == FrameType.BODY:
            self.add_body(payload, ended)
        elif kind == FrameType.CANCEL:
            self.cancel()
        else:
            self.grant(int.from_bytes(payload, "little"))

    def keep(self, size: int) -> bool:
        """Count bytes that stay until the end; False when the link holds too many."""
        if not self._link.service.held.take(self._link.name, size):
            return False
        self._kept += size
        return True

    # towards the provider

    @guarded(on_fault)
    def open(self, size: int) -> None:
        """It was opened with many bytes."""
        if not self.keep(size):
            self.fail(Failure("overloaded", "too many requests with long heads at once", False))

    def takes(self, size: int) -> bool:
        """Count a piece of the body against the window that was granted; False when it is over it."""
        self._credit -= size
        return self._credit >= 0

    @guarded(on_fault)
    def add_body(self, data: bytes, ended: bool) -> None:
        """A piece of the request body; when it is whole, the attempt is dispatched."""
        if self.is_over:
            return
        service = self._link.service
        self._body.append(data)
        self._loose += 1
        if self._loose == SLAB_PIECES:
            # Pieces of a frame's size would stay with the process when they are let go; a slab has pages of its own.
            self._body[-SLAB_PIECES:] = [b"".join(self._body[-SLAB_PIECES:])]
            self._loose = 0
        self._body_bytes += len(data)
        if not service.held.take(self._link.name, len(data)):
            self.fail(Failure("overloaded", "too many request bodies at once", False))
            return
        self._held += len(data)
        if self._body_bytes > min(self.message.body_length, BODY_BYTES_MAX):
            self.fail(Failure("refused", "the body is longer than announced", False))
        elif ended:
            service.starving.pop(self, None)
            if self._body_bytes != self.message.body_length:
                self.fail(Failure("refused", "the body is shorter than announced", False))
            else:
                self._dispatch()
        else:
            self._uncredited += len(data)
            service.starving[self] = None
            service.feed_starving()

    @property
    def has_uncredited(self) -> bool:
        """True when a piece was taken since window was granted last."""
        return self._uncredited > 0

    def credit(self) -> None:
        """Grant what was taken so far."""
        size, self._uncredited = self._uncredited, 0
        self._credit += size
        self._link.queue(frames.encode_window(self.id, size))

    @guarded(on_fault)
    def _dispatch(self) -> None:
        service, message = self._link.service, self.message
        try:
            opened, head, route = service.prepare(message.route)
            self.route = route
            head = egress.finish_head(head, message.attempt_id, message.body_length)
        except (*UNREADABLE, RefusedError, UnicodeEncodeError) as exc:
            self.fail(Failure("refused", str(exc), False))
            return
        over = service.meter(opened).begin(service.pool.now_s)
        if over is not None:
            self.fail(Failure("overloaded", over, False))
            return
        self._opened = opened
        if opened.auth is None:
            self._connect(opened, head)
        else:
            service.minter.authorize(opened, lambda reason: self._authorized(opened, head, reason))

    @guarded(on_fault)
    def _authorized(self, opened: Opened, head: bytes, reason: str | None) -> None:
        """The credential can sign now, or it cannot."""
        if self.is_over:
            return
        if reason is not None:
            self.fail(Failure("connect", f"the credential gives no access: {reason}", False))
            return
        service = self._link.service
        head = egress.authorize_head(head, self.route.route, opened, b"".join(self._body), service.minter.now_s())
        self._connect(opened, head)

    def _connect(self, opened: Opened, head: bytes) -> None:
        """Send the request on an open connection, or on a new one."""
        service, route = self._link.service, self.route
        request = [head, *self._body]
        if self._body_bytes <= JOIN_BYTES_MAX:
            request = [b"".join(request)]  # one write; a large body is not copied for it
        self._body.clear()
        endpoint = opened.item.context.endpoint
        key = (opened.item.id, opened.item.context.version, endpoint)
        connection = self._connection = service.pool.take(key)
        if connection is not None:
            connection.connect_ms = None
            self.connected(connection, request)
        else:
            waiting = _Waiting(self, request)
            service.pool.connect(key, endpoint, route.connect_s, waiting.connected, self.fail)

    def take(self, connection: UpstreamConnection) -> None:
        """Know the connection, so that it ends with a fault of this attempt."""
        if not self.is_over:
            self._connection = connection

    @guarded(on_fault)
    def connected(self, connection: UpstreamConnection, request: list[bytes]) -> None:
        """There is a connection: journal, then send."""
        if self.is_over:
            self._link.service.pool.release(connection, True)
            return
        self._connection = connection
        self._link.service.send_after_journal(self, connection, request)

    @guarded(on_fault)
    def send(self, connection: UpstreamConnection, request: list[bytes]) -> None:
        """The journal has it: let the bytes out."""
        if self.is_over:
            self._link.service.pool.release(connection, True)
            return
        if not connection.is_open:
            self.dispatched = False
            self.fail(Failure("connect", "the pooled connection had closed", False))
            return
        self._sent_bytes = sum(map(len, request))
        connection.send(request, self, self.route.deadlines, self._let_go)

    @guarded(on_fault)
    def not_sent(self, connection: UpstreamConnection) -> None:
        """The journal could not be written: nothing left."""
        self.dispatched = False
        self._link.service.pool.release(connection, True)
        self.fail(Failure("overloaded", "the vault's journal cannot be written", False))

    def _let_go(self) -> None:
        """The request's bytes have left this process, or never will."""
        service, size = self._link.service, self._held
        if size:
            self._held = 0
            service.held.give(self._link.name, size)
            if service.starving:
                service.feed_starving()

    def check(self, now_s: float) -> None:
        """Enforce the deadline of a body that does not become whole."""
        if self._opened is None and now_s - self._began_s > BODY_S:
            self.fail(Failure("refused", f"the body did not come within {BODY_S:g} s", False))

    # from the provider

    def on_data(self, head: ResponseHead | None, body: bytes, complete: bool) -> None:
        """Receiver: response bytes."""
        self._received += len(body)
        if head is not None:
            self._status = head.status
            self._head = head
            strange = egress.strange_answer(head)
            if strange is not None:
                if self._connection is not None:
                    self._connection.abort()
                self.fail(Failure("broken", strange, True))
                return
            if head.status >= 400:
                self._error_body = []
                if head.status == 401 and self._opened is not None and self._opened.auth is not None:
                    self._opened.auth.forget()
        if self._error_body is not None:
            self._on_error_body(body, complete)
            return
        ended = END if complete else 0
        link, connection = self._link, self._connection
        if self._opened is not None:
            body, self._tail = self._opened.redactor.stream(self._tail, body, complete)
        if head is not None:
            assert self._opened is not None
            assert connection is not None
            payload = frames.encode_payload(
                frames.Head(head.status, egress.filter_head(head, self._opened), connection.connect_ms)
            )
            if len(body) <= BODY_FRAME_BYTES - 4_096:
                link.queue(frames.encode_with_head(FrameType.HEAD, self.id, payload, body, ended))
            else:
                link.queue(frames.encode_with_head(FrameType.HEAD, self.id, payload, b"", 0))
                self._queue_data(body, ended)
        elif body or ended:
            self._queue_data(body, ended)
        if complete:
            self._finish(None)
            return
        self._window -= len(body)
        if (self._window <= 0 or link.is_blocked) and connection is not None:
            connection.pause()

    def _queue_data(self, body: bytes, ended: int) -> None:
        link = self._link
        if len(body) <= BODY_FRAME_BYTES:
            frame = frames.encode(FrameType.DATA, self.id, body, ended)
            if ended:
                link.queue(frame)
            else:
                link.queue_soon(frame)
            return
        last = (len(body) - 1) // BODY_FRAME_BYTES * BODY_FRAME_BYTES
        for at in range(0, len(body), BODY_FRAME_BYTES):
            piece = body[at : at + BODY_FRAME_BYTES]
            link.queue(frames.encode(FrameType.DATA, self.id, piece, ended if at == last else 0))

    def _on_error_body(self, body: bytes, complete: bool) -> None:
        # Held back whole, so that the credential's bytes can be removed wherever they were cut.
        assert self._error_body is not None
        self._error_body.append(body)
        if not complete and self.keep(len(body)) and self._received <= ERROR_BODY_BYTES_MAX:
            return
        assert self._opened is not None
        assert self._head is not None
        assert self._connection is not None
        text = self._opened.redactor.clean(b"".join(self._error_body))[:ERROR_BODY_BYTES_MAX]
        payload = frames.encode_payload(
            frames.Head(self._head.status, egress.filter_head(self._head, self._opened), self._connection.connect_ms)
        )
        self._link.queue(frames.encode_with_head(FrameType.HEAD, self.id, payload, b"", 0))
        self._queue_data(text, END)
        if not complete:
            self._connection.abort()
        self._finish(None)

    def on_failure(self, failure: Failure) -> None:
        """Receiver: no complete response."""
        self.fail(failure)

    def grant(self, credit: int) -> None:
        """The edge takes more of the response."""
        self._window += credit
        if self._window > 0 and self._connection is not None and not self._link.is_blocked:
            self._connection.resume()

    def resume(self) -> None:
        """The edge reads again."""
        self.grant(0)

    def hold_back(self) -> None:
        """Read nothing from the provider for now."""
        if self._connection is not None and self._sent_bytes:
            self._connection.pause()

    def fail(self, failure: Failure) -> None:
        """End without a complete response."""
        if self.is_over:
            return
        fail = frames.Fail(failure.reason, failure.message[:512], failure.dispatched and self.dispatched)
        self._link.queue(frames.encode(FrameType.FAIL, self.id, frames.encode_payload(fail)))
        self._finish(failure.reason)

    def cancel(self) -> None:
        """The edge does not want the rest."""
        if self.is_over:
            return
        if self._connection is not None and self._sent_bytes:
            self._connection.abort()
        self._finish("cancelled")

    def _finish(self, reason: str | None) -> None:
        self.is_over = True
        self._body.clear()
        service = self._link.service
        service.starving.pop(self, None)
        if not self._sent_bytes:
            self._let_go()
        if self._kept:
            service.held.give(self._link.name, self._kept)
            self._kept = 0
        self._link.attempts.pop(self.id, None)
        if self._opened is not None:
            service.meter(self._opened).end(self._sent_bytes + self._received)
        if self.dispatched:
            service.journal_done(self.message.attempt_id, self._status, reason, self._received, self._sent_bytes)


class _Waiting:
    """A request that waits for its connection."""

    __slots__ = ("_attempt", "_request")

    def __init__(self, attempt: Attempt, request: list[bytes]) -> None:
        self._attempt = attempt
        self._request = request

    def connected(self, connection: UpstreamConnection) -> None:
        """Go on with it."""
        self._attempt.take(connection)
        self._attempt.connected(connection, self._request)


class VaultSideLink(asyncio.Protocol):
    """One link, as the vault sees it."""

    def __init__(self, service: "VaultService") -> None:
        self.service = service
        self.attempts: dict[int, Attempt] = {}
        self._transport: asyncio.Transport | None = None
        self._decoder = frames.Decoder()
        self._out: list[bytes] = []
        self._is_gathering = False
        self._flushed_s = 0.0
        self.name = str(id(self))
        self._peer: frames.Hello | None = None
        self._uid = -1
        self.is_blocked = False

    @property
    def run_id(self) -> str:
        """Which run of which edge this is."""
        return self._peer.run_id if self._peer is not None else ""

    @property
    def spool_id(self) -> str:
        """Which spool that run writes."""
        return self._peer.spool_id if self._peer is not None else ""

    def fault(self, exc: Exception) -> None:
        """End this link, and no other."""
        # The link itself is lost: its attempts are cancelled in `connection_lost`, and its peer connects anew.
        self.service.guard.caught(exc)
        if self._transport is not None:
            self._transport.abort()

    def _lost_fault(self, exc: Exception) -> None:
        self.service.guard.caught(exc)
        self._end()

    @guarded(fault)
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: somebody connected; it must say hello first."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=LINK_BUFFER_BYTES)
        sock = transport.get_extra_info("socket")
        self._uid = unix.peer_uid(cast(socket.socket, sock))
        if not any(self._uid in uids for uids in self.service.peer_uids.values()):
            self._transport.abort()

    @guarded(_lost_fault)
    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio: the peer is gone: cancel its attempts, and journal that nothing more of it will be sent."""
        self._end()

    def _end(self) -> None:
        peer, self._peer = self._peer, None
        self._transport = None
        self.service.links.discard(self)
        self._out.clear()
        each(list(self.attempts.values()), Attempt.cancel, Attempt.on_fault)
        self._out.clear()
        if peer is not None and peer.role == "edge":
            self.service.journal_link_end(peer.run_id)

    @guarded(fault)
    def pause_writing(self) -> None:
        """Asyncio: the edge does not read: let its providers wait, so that this process never grows."""
        self.is_blocked = True
        each(self.attempts.values(), Attempt.hold_back, Attempt.on_fault)

    @guarded(fault)
    def resume_writing(self) -> None:
        """Asyncio: the edge reads again."""
        self.is_blocked = False
        each(self.attempts.values(), Attempt.resume, Attempt.on_fault)

    @guarded(fault)
    def data_received(self, data: bytes) -> None:
        """Asyncio: frames came."""
        try:
            for kind, stream_id, flags, payload in self._decoder.feed(data):
                self._receive(kind, stream_id, flags, payload)
        except (*UNREADABLE, FrameError) as exc:
            self.service.report(f"link closed: {exc}")
            if self._transport is not None:
                self._transport.abort()

    def _receive(self, kind: int, stream_id: int, flags: int, payload: bytes) -> None:
        peer = self._peer
        if peer is None:
            if kind != FrameType.HELLO or stream_id != 0:
                raise FrameError("the first frame must be a hello")
            self._greet(_decode_hello(payload))
            return
        if peer.role == "control":
            if kind != FrameType.VERB:
                raise FrameError("control may only send verbs")
            self._answer(stream_id, _decode_verb(payload))
            return
        if kind not in OF_EDGES:
            raise FrameError(f"unexpected frame type {kind}")
        attempt = self.attempts.get(stream_id)
        if kind == FrameType.OPEN:
            if attempt is not None or stream_id == 0 or len(self.attempts) >= STREAMS_PER_LINK_MAX:
                raise FrameError("a stream is opened twice, or too many are open")
            head, body = frames.split_head(payload)
            attempt = Attempt(self, stream_id, _decode_open(head))
            self.attempts[stream_id] = attempt
            if len(head) > OPEN_BYTES_EASY:
                attempt.open(len(head))
            if flags & END or body:
                attempt.takes(len(body))
                attempt.add_body(body, bool(flags & END))
        elif attempt is None:
            return  # a frame that crossed the stream's end
        elif kind == FrameType.BODY and not attempt.takes(len(payload)):
            raise FrameError("more of a body than was granted")
        elif kind == FrameType.WINDOW and len(payload) != 4:
            raise FrameError("a window of another size")
        else:
            attempt.receive(kind, payload, bool(flags & END))

    def _greet(self, hello: frames.Hello) -> None:
        expected = frames.link_token(self.service.link_key, hello.role, hello.run_id)
        is_expected = self._uid in self.service.peer_uids.get(hello.role, ())
        if not is_expected or not hmac.compare_digest(expected.encode(), hello.token.encode()):
            raise FrameError("the peer is not who it says")
        if hello.version != frames.PROTOCOL_VERSION:
            raise FrameError(f"protocol version {hello.version} is not spoken here")
        if hello.run_id in self.service.fenced:
            raise FrameError("that run was declared dead")
        self._peer = hello
        self.service.links.add(self)
        mine = frames.Hello(frames.PROTOCOL_VERSION, "vault", "", self.service.journal.spool_id, self.service.run_id)
        self.queue(frames.encode(FrameType.HELLO, 0, frames.encode_payload(mine)))

    def _answer(self, stream_id: int, verb: frames.Verb) -> None:
        _Asked(self, stream_id, verb).perform()

    def close(self) -> None:
        """End the link."""
        if self._transport is not None:
            self._transport.abort()

    def queue(self, frame: bytes) -> None:
        """Queue a frame for this turn's write."""
        if not self._out or self._is_gathering:
            self._is_gathering = False
            self.service.flush_later(self)
        self._out.append(frame)

    def queue_soon(self, frame: bytes) -> None:
        """Queue a frame for this turn's write, or for one within GATHER_S when the last write was just now."""
        if not self._out:
            if self.service.loop_s() - self._flushed_s > GATHER_S:
                self.service.flush_later(self)
            else:
                self._is_gathering = True
                self.service.flush_gathered_later(self)
        self._out.append(frame)

    def flush_gathered(self) -> None:
        """Write what was gathered, unless a frame that could not wait took it along."""
        if self._is_gathering:
            self.flush()

    def flush(self) -> None:
        """Write what is queued."""
        if self._out and self._transport is not None:
            self._transport.write(self._out[0] if len(self._out) == 1 else b"".join(self._out))
            self._flushed_s = self.service.loop_s()
        self._out.clear()
        self._is_gathering = False


class _Asked:
    """One verb of control's, and its answer."""

    def __init__(self, link: VaultSideLink, stream_id: int, verb: frames.Verb) -> None:
        self._link = link
        self._id = stream_id
        self._verb = verb
        self._is_answered = False

    def _give_up(self, exc: Exception) -> None:
        self._link.service.guard.caught(exc, verb=self._verb.name)

    @guarded(_give_up)
    def _fault(self, exc: Exception) -> None:
        self._link.service.guard.caught(exc, verb=self._verb.name)
        self._answer(frames.Answer(False, INTERNAL, _NOTHING))

    @guarded(_fault)
    def perform(self) -> None:
        """Do it, and answer now or later."""
        try:
            if self._verb.name == "test":
                self._test()
                return
            body = msgspec.Raw(frames.encode_payload(self._link.service.perform(self._verb)))
        except (*UNREADABLE, RefusedError, SealError) as exc:
            self._answer(frames.Answer(False, str(exc), _NOTHING))
        else:
            self._answer(frames.Answer(True, "", body))

    def _answer(self, answer: frames.Answer) -> None:
        if not self._is_answered:
            self._is_answered = True
            self._link.queue(frames.encode(FrameType.ANSWER, self._id, frames.encode_payload(answer)))

    @guarded(_fault)
    def _tested(self, message: str, good: bool) -> None:
        self._answer(frames.Answer(True, "", msgspec.Raw(frames.encode_payload(TestResult(good, message)))))

    def _test(self) -> None:
        service = self._link.service
        opened = service.box.find(msgspec.msgpack.decode(self._verb.body, type=StateChange).id)
        if opened is None:
            self._tested("the credential is not active, or the KEK does not open it", False)
        elif opened.auth is not None:
            given = "a token was given" if opened.auth.can_mint else "the keys are well-formed; call a model to be sure"
            service.minter.authorize(opened, lambda reason: self._tested(reason or given, reason is None))
        else:
            Tester(self._tested, service.pool).begin(opened)


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
        self.minter = Minter(pool, clock, read_token)
        self._clock = clock
        self.run_id = run_id
        self.link_key = link_key
        """What the tokens of links are made with (frames.link_token)."""
        self.peer_uids = peer_uids
        """Who may connect, by role."""
        self.report = report
        self.held = Held(BODIES_BYTES_MAX)
        """Bytes of request bodies by link, until providers have taken them."""
        self.starving: dict[Attempt, None] = {}
        """Attempts that wait for window, the longest-waiting first."""
        self._routes: dict[bytes, KnownRoute] = {}
        self.links: set[VaultSideLink] = set()
        self.fenced: dict[str, None] = {}
        """Runs that are refused, the newest FENCED_MAX."""
        """Runs of edges that are dead: nothing of them is dispatched any more, whatever still lies in a socket."""
        self._meters: dict[str, egress.Meter] = {}
        self._pending: list[tuple[Attempt, UpstreamConnection, list[bytes]]] = []
        self._links: list[VaultSideLink] = []
        self._gathering: list[VaultSideLink] = []
        self.loop_s = asyncio.get_running_loop().time
        """The loop's own clock: cached per turn, so reading it costs nothing."""
        self._scheduled = False
        self._is_stopped = False
        self._timer: asyncio.TimerHandle | None = None
        self._server: asyncio.Server | None = None

    async def start(self, sock: socket.socket) -> None:
        """Listen for links."""
        self.pool.start()
        self._syncer.wake()
        self._tick()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: VaultSideLink(self), sock=sock)

    def meter(self, opened: Opened) -> egress.Meter:
        """Return the use of a credential."""
        meter = self._meters.get(opened.item.id)
        if meter is None:
            meter = self._meters[opened.item.id] = egress.Meter(opened.item.ceilings)
        meter.ceilings = opened.item.ceilings
        return meter

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

    def prepare(self, raw: msgspec.Raw) -> tuple[Opened, bytes, KnownRoute]:
        """Judge a route, once per content: returns the credential, the head and the deadlines. Raises RefusedError."""
        encoded = bytes(raw)
        known = self._routes.get(encoded)
        if known is None:
            route = _decode_route(encoded)
            for seconds in (route.connect_s, route.first_byte_s, route.idle_s, route.total_s):
                if not (math.isfinite(seconds) and 0 < seconds <= DEADLINE_S_MAX):
                    raise RefusedError(f"a deadline of {seconds} s is none")
            opened = self.box.find(route.deployment)
            if opened is None:
                raise RefusedError(f"no active credential for {route.deployment[:128]!r}")
            known = KnownRoute(route, opened, egress.build_head(route, opened))
            if len(self._routes) >= ROUTES_MAX:
                self._routes.clear()
            if len(encoded) <= ROUTE_BYTES_MAX:
                self._routes[encoded] = known
        # A credential that was replaced, disabled or removed is another object, or none.
        if known.opened is None or self.box.find(known.deployment) is not known.opened:
            self._routes.pop(encoded, None)
            return self.prepare(raw)
        return known.opened, known.head, known

    # one turn

    def send_after_journal(self, attempt: Attempt, connection: UpstreamConnection, request: list[bytes]) -> None:
        """Journal a dispatch; the bytes leave when the journal has it."""
        attempt.dispatched = True
        record = records.Dispatch(
            attempt.message.attempt_id, attempt.route.deployment, self._clock.wall_ms(), attempt._link.run_id
        )
        self.journal.append(Kind.DISPATCH, records.encode_payload(record))
        self._pending.append((attempt, connection, request))
        self._schedule()

    def journal_done(
        self, attempt_id: str, status: int | None, reason: str | None, size_in: int, size_out: int
    ) -> None:
        """Journal what an attempt came to."""
        record = records.Done(attempt_id, status, reason, size_in, size_out, self._clock.wall_ms())
        self.journal.append(Kind.DONE, records.encode_payload(record))
        self._schedule()

    def journal_link_end(self, run_id: str) -> None:
        """Journal that a link ended: what of it is not journalled by now was never sent."""
        self.journal.append(Kind.LINK_END, records.encode_payload(records.LinkEnd(run_id, self._clock.wall_ms())))
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

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self._is_stopped:
            self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _tick_fault(self, exc: Exception) -> None:
        self.guard.caught(exc)
        self._arm()

    @guarded(_tick_fault)
    def _tick(self) -> None:
        self._arm()
        now_s = self.pool.now_s
        for link in list(self.links):
            each(link.attempts.values(), lambda attempt: attempt.check(now_s), Attempt.on_fault)

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
        if self._timer is not None:
            self._timer.cancel()
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

    def _fence(self, fence: Fence) -> None:
        """Refuse a dead run for ever; afterwards the journal on disk is all that it dispatched. Raises RefusedError for a run that
        lives and writes to another spool: one edge must not end another by what its own spool says."""
        found = [link for link in self.links if link.run_id == fence.run_id]
        if any(link.spool_id != fence.spool_id for link in found):
            raise RefusedError(frames.FOREIGN_RUN)
        if len(self.fenced) >= FENCED_MAX:
            del self.fenced[next(iter(self.fenced))]
        self.fenced[fence.run_id] = None
        for link in found:
            each(link.attempts.values(), Attempt.cancel, Attempt.on_fault)
            link.close()
        self._flush()

    def perform(self, verb: frames.Verb) -> object:
        """Do what control asks. There is no verb that reads a secret, and none that takes a path (C4)."""
        now = self._clock.wall_ms()
        if verb.name == "put":
            put = msgspec.msgpack.decode(verb.body, type=Put)
            return self.box.put(put, now)
        if verb.name in {"disable", "enable", "remove"}:
            change = msgspec.msgpack.decode(verb.body, type=StateChange)
            state = {"disable": "disabled", "enable": "active", "remove": "removed"}[verb.name]
            return self.box.set_state(change.id, state, now)  # type: ignore[arg-type]
        if verb.name == "list":
            return self.box.list()
        if verb.name == "recognise":
            return self.box.recognise(msgspec.msgpack.decode(verb.body, type=list[bytes]))
        if verb.name == "status":
            return Status(
                self.guard.faults, self.guard.places, len(self.links), sum(len(link.attempts) for link in self.links)
            )
        if verb.name == "versions":
            return self.box.versions()
        if verb.name == "fence":
            self._fence(msgspec.msgpack.decode(verb.body, type=Fence))
            return None
        if verb.name == "bind_store":
            self.box.bind_store(msgspec.msgpack.decode(verb.body, type=str))
            return None
        raise RefusedError(f"unknown verb {verb.name[:32]!r}")
