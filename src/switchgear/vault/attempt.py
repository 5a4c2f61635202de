"""One attempt: a request's body as it arrives, its credential, and the response as it leaves. Level 3.

What nobody expected about one attempt ends that one (decision 020).
"""

from typing import Protocol

import msgspec

from switchgear.core.errors import UNREADABLE, RefusedError
from switchgear.core.guard import Guard, guarded
from switchgear.net.held import HeldBytes
from switchgear.net.link import BODY_FRAME_BYTES, WINDOW_BYTES
from switchgear.net.upstream import INTERNAL, Deadlines, Failure, Pool, UpstreamConnection
from switchgear.providers.endpoint import Endpoint
from switchgear.vault import egress
from switchgear.vault.box import OpenCredential
from switchgear.vault.seal import Redactor
from switchgear.vault.token_fetcher import TokenFetcher
from switchgear.wire import frames
from switchgear.wire.frames import END, FrameType
from switchgear.wire.http_responses import ResponseHead

BODY_BYTES_MAX = 67_108_864
BODY_S = 120.0
"""Seconds for a body to come from an edge, which has it whole."""
JOIN_BYTES_MAX = 65_536
SLAB_PIECES = 16
ERROR_BODY_BYTES_MAX = 1_048_576


class AttemptService(Protocol):
    """What an attempt needs of the process: what is shared by all attempts, and the turn that writes the journal."""

    guard: Guard
    pool: Pool
    token_fetcher: TokenFetcher
    held: HeldBytes
    starving: dict["UpstreamAttempt", None]

    def feed_starving(self) -> None:
        """Grant window to those that wait for it."""
        ...

    def prepare(self, raw: msgspec.Raw) -> "tuple[OpenCredential, bytes, PreparedRoute]":
        """Judge a route. Raises RefusedError."""
        ...

    def send_after_journal(
        self, attempt: "UpstreamAttempt", connection: UpstreamConnection, request: list[bytes]
    ) -> None:
        """Journal a dispatch; `attempt.send` is called when the journal has it, else `attempt.not_sent`."""
        ...

    def journal_done(
        self, attempt_id: str, status: int | None, reason: str | None, size_in: int, size_out: int
    ) -> None:
        """Journal what an attempt came to."""
        ...


class AttemptLink(Protocol):
    """What an attempt needs of the link that it came by."""

    name: str
    is_blocked: bool
    attempts: dict[int, "UpstreamAttempt"]

    @property
    def service(self) -> AttemptService:
        """The process."""
        ...

    @property
    def run_id(self) -> str:
        """Which run of which edge this is."""
        ...

    def queue(self, frame: bytes) -> None:
        """Queue a frame for this turn's write."""
        ...

    def queue_soon(self, frame: bytes) -> None:
        """Queue a frame that may wait for others."""
        ...


_DATA = int(FrameType.DATA)


class PreparedRoute:
    """A route that was judged: the credential it uses, the head it gives, its deadlines, what connections may be used."""

    __slots__ = ("connect_s", "counter", "credential", "credential_id", "deadlines", "head", "place", "route")

    def __init__(
        self,
        route: frames.UpstreamRoute,
        credential: OpenCredential | None,
        head: bytes,
        counter: egress.CeilingCounter | None = None,
    ) -> None:
        self.route = route
        self.credential_id = route.credential_id
        self.connect_s = route.connect_s
        self.deadlines = Deadlines(route.connect_s, route.first_byte_s, route.idle_s, route.total_s)
        self.credential = credential
        self.head = head
        self.counter = counter
        """The use of the credential, under whichever version."""
        self.place = None if credential is None else place_of(credential)
        """The pool's key."""


def place_of(credential: OpenCredential) -> tuple[str, int, Endpoint]:
    """Return under what the pool keeps a credential's connections: who is at the other end, and what they were told."""
    context = credential.item.context
    return credential.item.id, context.version, context.endpoint


NO_ROUTE = PreparedRoute(frames.UpstreamRoute("", "", "", [], 0, 0, 0, 0), None, b"")


class UpstreamAttempt:
    """One attempt: its body as it arrives, then its response as it leaves."""

    __slots__ = (
        "_began_s",
        "_body",
        "_body_bytes",
        "_connection",
        "_credential",
        "_credit",
        "_error_body",
        "_head",
        "_held",
        "_kept",
        "_link",
        "_loose",
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

    def __init__(self, link: AttemptLink, stream_id: int, message: frames.Open) -> None:
        self._link = link
        self.id = stream_id
        self.message = message
        self.route = NO_ROUTE
        self._credential: OpenCredential | None = None
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
    def run_id(self) -> str:
        """Which run of which edge it is of."""
        return self._link.run_id

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
            credential, head, route = service.prepare(message.route)
            self.route = route
            head = egress.finish_head(head, message.attempt_id, message.body_length)
        except (*UNREADABLE, RefusedError, UnicodeEncodeError) as exc:
            self.fail(Failure("refused", str(exc), False))
            return
        assert route.counter is not None
        over = route.counter.begin(service.pool.now_s)
        if over is not None:
            self.fail(Failure("overloaded", over, False))
            return
        self._credential = credential
        if credential.auth is None:
            self._connect(credential, head)
        else:
            service.token_fetcher.authorize(credential, lambda reason: self._authorized(credential, head, reason))

    @guarded(on_fault)
    def _authorized(self, credential: OpenCredential, head: bytes, reason: str | None) -> None:
        """The credential can sign now, or it cannot."""
        if self.is_over:
            return
        if reason is not None:
            self.fail(Failure("connect", f"the credential gives no access: {reason}", False))
            return
        service = self._link.service
        head = egress.authorize_head(
            head, self.route.route, credential, b"".join(self._body), service.token_fetcher.now_s()
        )
        self._connect(credential, head)

    def _connect(self, credential: OpenCredential, head: bytes) -> None:
        """Send the request on an open connection, or on a new one."""
        service, route = self._link.service, self.route
        request = [head, *self._body]
        if self._body_bytes <= JOIN_BYTES_MAX:
            request = [b"".join(request)]  # one write; a large body is not copied for it
        self._body.clear()
        connection = self._connection = service.pool.take(route.place)
        if connection is not None:
            connection.connect_ms = None
            self.connected(connection, request)
        else:
            waiting = _Waiting(self, request)
            endpoint = credential.item.context.endpoint
            service.pool.connect(route.place, endpoint, route.connect_s, waiting.connected, self.fail)

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
        if self._credential is None and now_s - self._began_s > BODY_S:
            self.fail(Failure("refused", f"the body did not come within {BODY_S:g} s", False))

    # from the provider

    def on_data(self, head: ResponseHead | None, body: bytes, complete: bool) -> None:
        """Receiver: response bytes."""
        self._received += len(body)
        if head is None and not complete and self._error_body is None and self._credential is not None:
            self._pass_on(self._credential.redactor, body)
            return
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
                if head.status == 401 and self._credential is not None and self._credential.auth is not None:
                    self._credential.auth.forget()
        if self._error_body is not None:
            self._on_error_body(body, complete)
            return
        ended = END if complete else 0
        link, connection = self._link, self._connection
        if self._credential is not None:
            body, self._tail = self._credential.redactor.stream(self._tail, body, complete)
        if head is not None:
            assert self._credential is not None
            assert connection is not None
            payload = frames.encode_payload(
                frames.Head(head.status, egress.filter_head(head, self._credential), connection.connect_ms)
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

    def _pass_on(self, redactor: Redactor, body: bytes) -> None:
        """A piece in the middle of an answer."""
        body, self._tail = redactor.stream(self._tail, body, False)
        link, size = self._link, len(body)
        if size > BODY_FRAME_BYTES:
            self._queue_data(body, 0)
        elif size:
            link.queue_soon(frames.encode(_DATA, self.id, body))
        self._window -= size
        if (self._window <= 0 or link.is_blocked) and self._connection is not None:
            self._connection.pause()

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
        assert self._credential is not None
        assert self._head is not None
        assert self._connection is not None
        text = self._credential.redactor.clean(b"".join(self._error_body))[:ERROR_BODY_BYTES_MAX]
        payload = frames.encode_payload(
            frames.Head(
                self._head.status, egress.filter_head(self._head, self._credential), self._connection.connect_ms
            )
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
        if self._credential is not None and (counter := self.route.counter) is not None:
            counter.end(self._sent_bytes + self._received)
        if self.dispatched:
            service.journal_done(self.message.attempt_id, self._status, reason, self._received, self._sent_bytes)


class _Waiting:
    """A request that waits for its connection."""

    __slots__ = ("_attempt", "_request")

    def __init__(self, attempt: UpstreamAttempt, request: list[bytes]) -> None:
        self._attempt = attempt
        self._request = request

    def connected(self, connection: UpstreamConnection) -> None:
        """Go on with it."""
        self._attempt.take(connection)
        self._attempt.connected(connection, self._request)
