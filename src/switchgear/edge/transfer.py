"""Stage: the attempts of one request and the answer's way to the client. Level 4.

One state machine per request: WAITING for a response head → PLAIN (collecting), or HELD until a stream's first event and then
STREAMING → SETTLED. What fails before a byte reached the client is a setback: PAUSED and WAITING again, here or elsewhere
(routing.retry decides). Every end goes through `_settle`, once.
"""

from collections.abc import Callable
from enum import Enum
from typing import TypeVar

import msgspec
from msgspec import structs

from switchgear.core import problems
from switchgear.core.errors import ProtocolError, SpoolFullError
from switchgear.core.guard import guarded
from switchgear.core.ids import attempt_id
from switchgear.core.problems import Problem
from switchgear.core.steps import Steps
from switchgear.core.text import clean
from switchgear.dialects import errors, passage, references, usage_cost
from switchgear.dialects.passage import Meter
from switchgear.dialects.reading import Reading, Unfit
from switchgear.dialects.request import LARGE_BYTES, Request
from switchgear.edge import belongings, bill, heads, setback, settle, standing, telling, translate
from switchgear.edge.context import RequestContext
from switchgear.edge.course import FALLBACK, GIVE_UP
from switchgear.edge.services import EdgeServices
from switchgear.edge.setback import Setback
from switchgear.edge.slices import Job
from switchgear.net.link import LinkStream
from switchgear.pricing.price import Meterer
from switchgear.routing import retry
from switchgear.wire import records
from switchgear.wire.frames import Fail, Head, Open
from switchgear.wire.records import AttemptOutcome

T = TypeVar("T")

FAULT = "a fault of the gateway ended it"
INTERNAL_TEXT = "internal error; an administrator finds it in the log by the request id"
LET_GO_BYTES = 16_384
"""A body above it is forgotten when its stream begins; copying the rest of a smaller one would cost more than it frees."""
ANSWER_BYTES_MAX = 16 * 1024 * 1024
"""Above it a plain answer is passed on as it comes, without a cost header."""
HELD_BYTES_MAX = 65_536
"""Keep-alives before a stream's first event; after as many its client's place is here."""
PING_S = 15.0
CHECKPOINT_S = 5.0
CHECKPOINT_TOKENS = 4_096
VAULT_SLACK_S = 5.0
VECTOR_OPERATIONS = frozenset({"embeddings", "embeddings_batch", "rerank"})
"""Operations whose answers are no text."""
SEEN_BYTES_PER_TOKEN = 8
"""Of JSON that tells an answer: about half of it is its envelope."""
GONE_STREAM_S = 5.0
GONE_STREAM_BYTES = 262_144
GONE_PLAIN_S = 30.0
STREAM_TYPES = (b"text/event-stream", b"application/vnd.amazon.eventstream", b"text/plain")
"""Under the last one, or under none, servers were seen to send events."""
FREE_OPERATIONS = frozenset({"count_tokens", "stored"})
"""What no provider charges for, or charged for before."""


_FALSE = b"false"


class State(Enum):
    """Where a transfer is."""

    WAITING = 1
    """For the head of an answer."""
    PLAIN = 2
    """Collecting a plain answer."""
    HELD = 3
    """A stream's head came, and no event yet: its client has seen nothing."""
    STREAMING = 4
    PAUSED = 5
    """Between two attempts."""
    SETTLED = 6


class Transfer:
    """Owns a request from its reservation to its settlement."""

    __slots__ = (
        "_attempt_ms",
        "_body",
        "_body_bytes",
        "_checkpoint_s",
        "_checkpoint_tokens",
        "_course",
        "_first_ms",
        "_gone_bytes",
        "_gone_s",
        "_has_usage",
        "_head",
        "_is_whole",
        "_last_write_s",
        "_meter",
        "_rider",
        "_services",
        "_stalled_bytes",
        "_state",
        "_stream",
        "context",
    )

    def __init__(self, services: EdgeServices, context: RequestContext) -> None:
        """`context` has a course and the translation for its first deployment."""
        self._services = services
        self.context = context
        assert context.course is not None
        self._course = context.course
        self._state = State.WAITING
        self._stream: LinkStream | None = None
        self._meter: Meter | None = None
        self._rider: usage_cost.Rider | None = None
        self._head: Head | None = None
        self._has_usage = False
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._attempt_ms = 0
        self._first_ms: int | None = None
        self._last_write_s = 0.0
        self._checkpoint_s = 0.0
        self._checkpoint_tokens = 0
        self._gone_s = 0.0
        self._gone_bytes = 0
        self._is_whole = False
        self._stalled_bytes = 0

    # what nobody expected

    def _give_up(self, exc: Exception) -> None:
        # Even its plain end failed, so something odd stands in what was to be recorded: the barest settlement there is.
        context = self.context
        self._services.guard.caught(exc, context.id)
        if self._state is not State.SETTLED:
            context.attempts, context.dropped, context.units = [], None, None
            settle.estimate(context, 0, FAULT)
            self._settle_barely()
        self._services.running.settled(self.context)
        self._end_client(Problem(problems.INTERNAL, INTERNAL_TEXT))

    def _lose_record(self, exc: Exception) -> None:
        self._services.guard.caught(exc, self.context.id)

    @guarded(_lose_record)
    def _settle_barely(self) -> None:
        self._settle(None)

    @guarded(_lose_record)
    def _end_client(self, problem: Problem) -> None:
        context = self.context
        exchange = context.exchange
        if exchange.is_ended:
            return
        if exchange.is_started:
            self._services.commit.call(exchange, exchange.abort)
        else:
            self._services.commit.call(exchange, self._services.refusals.refuse, context, problem)

    @guarded(_give_up)
    def on_fault(self, exc: Exception) -> None:
        """StreamOwner: end this request, and nothing else, for what was raised about it."""
        context = self.context
        self._services.guard.caught(exc, context.id)
        if self._state is State.SETTLED:
            self._services.running.settled(self.context)
            self._end_client(Problem(problems.INTERNAL, INTERNAL_TEXT))
            return
        if self._stream is not None:
            self._stream.cancel()
        self._note_attempt(context.status or None, "internal")
        if self._state is State.STREAMING:
            self._break_stream("internal", INTERNAL_TEXT)
            return
        is_asked = self._stream is not None and not self._is_free
        if is_asked:
            settle.estimate(context, 0, FAULT)
        self._refuse(Problem(problems.INTERNAL, INTERNAL_TEXT), "interrupted", is_asked)

    # attempts

    def begin(self) -> None:
        """Make the next attempt at the current target. Its record is written before a byte leaves."""
        if self.context.translation is None:
            assert self.context.request is not None
            if self.context.request.is_large:
                self._later(translate.prepare_steps(self.context, self._course), self._prepared)
                return
            translate.prepare(self.context, self._course)
        self._send()

    def _later(self, steps: Steps[T], done: Callable[[T], None]) -> None:
        """Work in slices, as long as the request is not settled otherwise."""
        self._services.slices.add(Job(steps, done, self.on_fault, lambda: self._state is not State.SETTLED))

    def _prepared(self, problem: Problem | None) -> None:
        if problem is not None:
            self._refuse(problem, "client_error", False)
        elif self.context.client_gone:
            self._cancel("client_gone", "the client went away between two attempts")
        else:
            try:
                self._send()
            except SpoolFullError:
                self._refuse(Problem(problems.LEDGER_UNAVAILABLE, "the ledger cannot record"), "upstream_error", False)

    def _send(self) -> None:
        context, target, services, way = self.context, self._course.target, self._services, self.context.translation
        assert way is not None
        self._course.number += 1
        if self._course.number > 1:
            settle.attempt(context, self._course.number, target, services.spool)
        self._state = State.WAITING
        context.candidate, context.meterer = target.candidate, target.meterer
        context.dropped = way.dropped
        self._attempt_ms = self._elapsed_ms()
        self._first_ms = None
        body, way.body = way.body, b""
        size = len(body) if isinstance(body, bytes) else sum(map(len, body))
        message = Open(attempt_id(context.id, self._course.number), size, heads.route(context, target, way))
        self._stream = services.link.open(message, body, self)

    def on_response(self, head: Head, body: bytes, ended: bool) -> None:
        """StreamOwner: the upstream's head."""
        self._head = head
        self._first_ms = self._elapsed_ms()
        way = self.context.translation
        assert way is not None
        if head.status >= 400 or not self._is_event_stream(head):
            self._state = State.PLAIN
            self._on_plain(body, ended)
            return
        self._meter = way.meter()
        self._last_write_s = self._services.running.now_s
        if self.context.client.wants_cost:
            self._rider = usage_cost.rider(self.context.endpoint.dialect, way.as_array)
        self._state = State.HELD
        if way.is_raw:
            self._start_stream()
        self.on_body(body, ended)

    def on_body(self, data: bytes, ended: bool) -> None:
        """StreamOwner: more of the body."""
        meter = self._meter
        if self._state is not State.STREAMING or meter is None:
            self._take(data, ended)
            return
        try:
            out = meter.feed(data)
            if ended:
                out += meter.finish()
        except ProtocolError as exc:
            self._stream_failed(exc, ended)
            return
        self._pass_on(out, len(data), ended)

    def _take(self, data: bytes, ended: bool) -> None:
        if self._state is State.HELD:
            self._on_held(data, ended)
        elif self._state is State.PLAIN:
            self._on_plain(data, ended)

    def on_fail(self, fail: Fail) -> None:
        """StreamOwner: no complete response."""
        if self._state is State.SETTLED:
            return
        if self._state is State.STREAMING:
            self._note_attempt(self.context.status, fail.reason, fail.message)
            self._break_stream(fail.reason, setback.text_of(fail.reason, fail.message), fail.message)
            return
        seen = self._seen() if self._meter is not None else self._body_bytes // SEEN_BYTES_PER_TOKEN
        if self._is_free or self._state is State.PAUSED:
            fail = Fail(fail.reason, fail.message, False)
        self._set_back(setback.of_fail(fail, self.context.input_estimate, seen))

    # setbacks: nothing was sent to the client

    def _set_back(self, failure: Setback) -> None:
        """Try again, or elsewhere, or end with what the client is told."""
        context, course = self.context, self._course
        move = course.after(failure, self._has_time() and not context.client_gone)
        here = course.target, context.translation
        if move is FALLBACK:
            course.go_on()
            assert context.request is not None
            if context.request.is_large:
                context.translation = None  # prepared when the attempt begins, in slices
            elif translate.prepare(context, course) is not None:
                course.target, context.translation = here
                move = GIVE_UP
        elif move is not GIVE_UP:
            context.translation = None  # its body was let go when it was sent
        if move is GIVE_UP:
            self._end_unanswered(failure)
            return
        there, course.target = course.target, here[0]
        self._note_attempt(self._status(), failure.reason, failure.noted, failure)
        course.target = there
        self._state = State.PAUSED
        self._stream = self._head = self._meter = self._rider = None
        self._body, self._body_bytes = [], 0
        if move.pause_s:
            self._services.loop.call_later(move.pause_s, self._begin_again)
        else:
            self._begin_again()

    @guarded(on_fault)
    def _begin_again(self) -> None:
        if self._state is State.SETTLED:
            return
        if self.context.client_gone:
            self._cancel("client_gone", "the client went away between two attempts")
            return
        while (problem := standing.may_try(self._services, self.context)) is not None:
            if problem.case is not problems.FROZEN or not self._course.go_on():
                self._refuse(problem, "interrupted", False)
                return
            if translate.prepare(self.context, self._course) is not None:
                self._refuse(problem, "interrupted", False)
                return
        try:
            self.begin()
        except SpoolFullError:
            self._refuse(Problem(problems.LEDGER_UNAVAILABLE, "the ledger cannot record"), "upstream_error", False)

    def _end_unanswered(self, failure: Setback) -> None:
        """End: the provider's own error where it said one, else the gateway's."""
        context = self.context
        self._note_attempt(self._status(), failure.reason, failure.noted)
        context.usage = failure.usage
        if failure.is_estimated:
            context.estimate_reason = f"the provider did not answer completely ({failure.reason})"
        if failure.said is None:
            billed = failure.usage is not None
            self._refuse(failure.problem, failure.outcome, billed, failure.service_tier, failure.noted)
            return
        status, body = failure.said
        if status == problems.OVERLOADED_STATUS and failure.status is None:
            status = context.endpoint.dialect.errors.overloaded_status
        context.status = status
        context.outcome = "client_gone" if context.client_gone else failure.outcome
        context.error = ("upstream_error", failure.noted)
        way, head = self.context.translation, self._head
        assert way is not None
        assert head is not None
        # What came under another status is put into the client's words, also where both speak one dialect.
        told, more, shown = (way.error if failure.status is not None else way.error_in_words)(status, body, context.id)
        context.bytes_out = len(shown)
        self._settle(None, billed=failure.usage is not None)
        if not context.client_gone:
            kind = passage.JSON_TYPE if shown is not body or failure.status is None else None
            headers = (
                self._headers(head, passage.JSON_TYPE, kind)
                + more
                + (b"x-switchgear-error: upstream_error\r\nx-switchgear-error-source: upstream\r\n")
            )
            self._services.commit.call(context.exchange, context.exchange.send, told, headers, shown)

    def _seen(self) -> int:
        """Tokens of the stream so far, estimated: never more than the client allowed."""
        assert self._meter is not None
        assert self.context.request is not None
        seen, limit = self._meter.output_estimate, self.context.request.output_tokens_max
        limit = self._course.target.candidate.max_tokens if limit is None else limit
        return seen if limit is None else min(seen, limit)

    def _status(self) -> int | None:
        return None if self._head is None else self._head.status

    @property
    def _is_free(self) -> bool:
        assert self.context.request is not None
        return self.context.request.operation in FREE_OPERATIONS

    # plain answers

    def _on_plain(self, data: bytes, ended: bool) -> None:
        if data:
            self._body.append(data)
            self._body_bytes += len(data)
        if self._body_bytes > ANSWER_BYTES_MAX:
            self._drop_answer(Problem(problems.UPSTREAM_BROKEN, f"the answer is over {ANSWER_BYTES_MAX} bytes"))
            return
        if not ended:
            if not self.context.exchange.hold(len(data)):
                self._drop_answer(Problem(problems.OVERLOADED, "too many large answers at once; try again soon"))
            elif self._stream is not None:
                self._stream.consume(len(data))
            return
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        head = self._head
        assert head is not None
        if head.status >= 400:
            after = next((value for name, value in head.headers if name == b"retry-after"), None)
            is_refused = head.status in retry.OUR_FAULT
            self._set_back(setback.of_status(head.status, body, retry.parse_retry_after(after), is_refused))
        else:
            self._deliver(head, body)

    def _drop_answer(self, problem: Problem) -> None:
        """The answer is too large to be read; its provider charges for it."""
        if self._stream is not None:
            self._stream.cancel()
        self._note_attempt(None if self._head is None else self._head.status, "too_large")
        settle.estimate(self.context, self._body_bytes // settle.BYTES_PER_TOKEN, "the answer was too large to read")
        self._refuse(problem, "upstream_error", True)

    def _deliver(self, head: Head, body: bytes) -> None:
        way = self.context.translation
        assert way is not None
        if len(body) >= LARGE_BYTES:
            self._later(self._read_large(head, body), lambda found: self._hand_over(head, *found))
            return
        reading = way.read(body, head.headers)
        self._hand_over(head, reading, body if way.is_verbatim else self._translate(body))

    def _translate(self, body: bytes) -> bytes | ProtocolError:
        way, request = self.context.translation, self.context.request
        assert way is not None
        assert request is not None
        try:
            # A provider that was asked to stream and did not: the client still gets the stream that it reads.
            return way.as_stream(body) if request.stream else way.answer(body)
        except ProtocolError as exc:
            return exc

    def _read_large(self, head: Head, body: bytes) -> Steps[tuple[Reading, bytes | ProtocolError]]:
        """Do the same in steps."""
        way, request = self.context.translation, self.context.request
        assert way is not None
        assert request is not None
        reading = yield from way.read_steps(body, head.headers)
        if way.is_verbatim:
            return reading, body
        try:
            out = yield from way.as_stream_steps(body) if request.stream else way.answer_steps(body)
        except ProtocolError as exc:
            return reading, exc
        return reading, out

    def _hand_over(self, head: Head, reading: Reading, out: bytes | ProtocolError) -> None:
        context, way = self.context, self.context.translation
        assert way is not None
        request = context.request
        assert request is not None
        if reading.unfit is not None or isinstance(out, ProtocolError):
            unfit = reading.unfit or Unfit(str(out))
            failure = setback.of_answer(unfit, reading, b"".join(self._body), context.input_estimate)
            self._set_back(structs.replace(failure, usage=None, is_estimated=False) if self._is_free else failure)
            return
        self._note_attempt(head.status, None)
        context.status, context.outcome = head.status, "client_gone" if context.client_gone else "ok"
        counts = self._is_free
        is_media = request.operation in passage.MEDIA_OPERATIONS
        context.usage = None if counts else reading.usage if is_media else settle.reported(reading.usage)
        context.units = _units(request, reading)
        context.dropped = way.dropped
        if context.usage is None and not counts and not is_media:
            written = 0 if request.operation in VECTOR_OPERATIONS else self._body_bytes // SEEN_BYTES_PER_TOKEN
            settle.estimate(context, written, "the provider reported no usage")
        context.bytes_out = len(out)
        cost = self._settle(reading, billed=not counts)
        if not context.client_gone:
            if context.client.wants_cost and cost is not None and not request.stream:
                out = usage_cost.add(out, context.endpoint.dialect.usage_at, cost)
            forced = None if way.is_verbatim else way.stream_type if request.stream else passage.JSON_TYPE
            headers = self._headers(head, passage.JSON_TYPE, forced, cost)
            self._services.commit.call(context.exchange, context.exchange.send, head.status, headers, out)

    # streams

    def _on_held(self, data: bytes, ended: bool) -> None:
        """A stream before its first event: it may still fail without its client knowing."""
        meter, way, stream = self._meter, self.context.translation, self._stream
        assert meter is not None
        assert way is not None
        problem, event = "the provider's stream ended without an answer", None
        try:
            out = meter.feed(data)
            if ended:
                out += meter.finish()
            if out:  # whole events: each is looked at once
                self._body.append(out)
                self._body_bytes += len(out)
            event = way.first_event(out)
            failed = meter.error or (event is None and ended) or (ended and not meter.is_clean and way.must_end_well)
        except ProtocolError as exc:
            problem, failed = str(exc), True
        if not failed:
            if event is None and self._body_bytes <= HELD_BYTES_MAX:
                if stream is not None:
                    stream.consume(len(data))
                return
            self._start_stream()
            held, self._body = b"".join(self._body), []
            self._pass_on(held, len(data), ended)
            return
        if stream is not None and not ended:
            stream.cancel()
        said = way.said(meter, b"".join(self._body))
        self._set_back(setback.of_stream(meter, problem, said, self.context.input_estimate))

    def _start_stream(self) -> None:
        """Send the head: from here on the request is this provider's."""
        context, head, way = self.context, self._head, self.context.translation
        assert head is not None
        assert way is not None
        self._state = State.STREAMING
        context.status = head.status
        context.ttft_ms = self._elapsed_ms()
        self._last_write_s = self._checkpoint_s = self._services.running.now_s
        if context.bytes_in > LET_GO_BYTES and context.request is not None:
            context.request.let_go()
        context.exchange.release()
        if not context.client_gone:
            kind = None if way.is_verbatim and not way.as_array else way.stream_type
            context.exchange.start(head.status, self._headers(head, way.stream_type, kind))

    def _stream_failed(self, exc: ProtocolError, ended: bool) -> None:
        if self._stream is not None and not ended:
            self._stream.cancel()
        self._note_attempt(self.context.status, "broken")
        self._break_stream("broken", str(exc), setback.text_of("broken"))

    def _pass_on(self, out: bytes, size: int, ended: bool) -> None:
        """Send what came of `size` bytes of the provider's."""
        context, meter, stream = self.context, self._meter, self._stream
        assert meter is not None
        if self._rider is not None:
            try:
                out = self._rider.feed(out)
            except ProtocolError as exc:
                self._stream_failed(exc, ended)
                return
        if ended:
            self._end_stream(out)
            return
        if not self._has_usage and meter.reading.usage is not None:
            self._has_usage = True
            self._checkpoint()  # the client is about to see a figure: it must be recoverable first
        if context.client_gone:
            self._gone_bytes += size
            if stream is not None:
                stream.consume(size)
            return
        if out:
            context.bytes_out += len(out)
            self._last_write_s = self._services.running.now_s
            self._services.commit.call(context.exchange, context.exchange.write, out)
        if stream is not None:
            if context.exchange.is_blocked:
                self._stalled_bytes += size
            else:
                stream.consume(size)

    def on_writable(self) -> None:
        """The client reads again: let the vault send on."""
        if self._stream is not None and self._stalled_bytes and self._state is not State.SETTLED:
            self._stream.consume(self._stalled_bytes)
            self._stalled_bytes = 0
            self._services.commit.schedule()

    def _end_stream(self, out: bytes) -> None:
        context, meter = self.context, self._meter
        assert meter is not None
        self._note_attempt(context.status, None if meter.is_clean else "unfinished")
        reading = meter.reading
        usage = settle.reported(reading.usage)
        context.bytes_out += len(out)
        clean_end = meter.is_clean
        if clean_end:
            context.outcome = "client_gone" if context.client_gone and not self._is_whole else "ok"
        else:
            context.outcome = "upstream_error"
            context.error = ("upstream_broken", "the stream ended without a proper end")
        why = "the provider reported no usage in the stream" if clean_end else "the stream broke off"
        settle.complete(context, usage, self._seen(), clean_end, why)
        cost = self._settle(reading)
        if self._rider is not None:
            rest = self._rider.finish(cost if clean_end else None)
            context.bytes_out += len(rest)
            out += rest
        if context.client_gone:
            return
        exchange, outbox = context.exchange, self._services.commit
        if out:
            outbox.call(exchange, exchange.write, out)
        if clean_end:
            outbox.call(exchange, exchange.end)
        elif meter.error:
            outbox.call(exchange, exchange.abort)  # the provider's own error event was passed on
        else:
            self._say_broken(Problem(problems.UPSTREAM_BROKEN, "the provider's stream broke off"))

    def _break_stream(self, reason: str, message: str, note: str = "") -> None:
        """End a stream that its client has begun to see. `note` is what the record says, where that differs."""
        context, meter = self.context, self._meter
        assert meter is not None
        reading = meter.reading
        final = reading.finish_reason is not None
        settle.complete(context, reading.usage, self._seen(), final, f"the stream broke off ({reason})")
        case, outcome = setback.FAILURES.get(reason, (problems.UPSTREAM_BROKEN, "upstream_error"))
        if context.client_gone:
            outcome = "ok" if self._is_whole else "client_gone"
        context.outcome = outcome
        context.error = (case.code, note or message)
        self._settle(meter.reading)
        if not context.client_gone:
            if self._rider is not None and (rest := self._rider.finish(None)):
                self._services.commit.call(context.exchange, context.exchange.write, rest)
            self._say_broken(Problem(case, message or "the stream broke off"))

    def _say_broken(self, problem: Problem) -> None:
        context = self.context
        assert self.context.translation is not None
        event = self.context.translation.broken(errors.of_problem(problem, context.id), self._meter)
        if event:
            self._services.commit.call(context.exchange, context.exchange.write, event)
        self._services.commit.call(context.exchange, context.exchange.abort)

    # the client, the timer, the end

    def on_gone(self) -> None:
        """The client went away: wait a little for the cost to become known, then cancel (see `check`). One that was sent the
        end of its answer missed nothing."""
        context, meter = self.context, self._meter
        context.client_gone = True
        self._is_whole = (
            self._state is State.STREAMING
            and meter is not None
            and meter.is_clean
            and not context.exchange.is_blocked
            and self._services.commit.is_empty
        )
        self._gone_s = self._services.running.now_s
        if self._stream is not None and self._stalled_bytes:
            self._stream.consume(self._stalled_bytes)
            self._stalled_bytes = 0
        self._services.commit.schedule()

    def check(self, now_s: float) -> None:
        """Enforce what has no event: clients gone, pings, checkpoints, a vault that hangs."""
        context = self.context
        if context.client_gone:
            bound = GONE_STREAM_S if self._state is State.STREAMING else GONE_PLAIN_S
            if now_s - self._gone_s > bound or self._gone_bytes > GONE_STREAM_BYTES:
                self._cancel("client_gone", "the client went away")
                return
        total_s = self._course.total_s
        # The vault keeps the first attempt's limit itself, and is given a moment to say so; others are kept here.
        slack_s = VAULT_SLACK_S if self._course.number == 1 and context.client.timeout_s is None else 0.0
        if now_s - context.started_s > total_s + slack_s:
            if self._stream is not None:
                self._stream.cancel()
            self.on_fail(Fail("timeout", f"no complete answer within {total_s:g} s", True))
            return
        if self._state not in {State.STREAMING, State.HELD} or self._meter is None:
            return
        if not context.client_gone and now_s - self._last_write_s >= PING_S:
            self._last_write_s = now_s
            assert self.context.translation is not None
            ping = self.context.translation.ping(self._meter)
            if ping and self._state is State.HELD:
                self._start_stream()  # a client that hears nothing for longer may give up: its place is here now
                self._pass_on(b"".join(self._body), 0, False)
                self._body = []
            if ping:
                self._services.commit.call(context.exchange, context.exchange.write, ping)
        if self._state is State.HELD:
            return
        seen = self._seen()
        if now_s - self._checkpoint_s >= CHECKPOINT_S or seen - self._checkpoint_tokens >= CHECKPOINT_TOKENS:
            self._checkpoint()

    def interrupt(self, message: str) -> None:
        """The gateway stops: end this request, and say so to the client and in the ledger."""
        if self._stream is not None:
            self._stream.cancel()
        self._note_attempt(self._status(), "interrupted")
        if self._state is State.STREAMING:
            self._break_stream("interrupted", message)
            return
        is_asked = self._state is not State.PAUSED and not self._is_free
        if is_asked:
            settle.estimate(self.context, 0, "the gateway stopped before the answer")
        self._refuse(Problem(problems.INTERRUPTED, message), "interrupted", is_asked)

    def cut(self, problem: Problem) -> None:
        """Something that this request needs was frozen: end it, and say so to the client and in the ledger. What was seen is
        charged; a provider that was asked and has not answered may charge its input."""
        is_asked = self._stream is not None
        if self._stream is not None:
            self._stream.cancel()
            self._note_attempt(self._status(), "frozen")
        if self._state is State.STREAMING:
            self._break_stream("frozen", problem.message)
            return
        if is_asked:
            settle.estimate(self.context, 0, "cut by a freeze before the answer")
        self._refuse(problem, "interrupted", is_asked)

    def _cancel(self, outcome: str, why: str) -> None:
        context = self.context
        if self._stream is not None:
            self._stream.cancel()
        self._note_attempt(self._status(), None if self._is_whole else outcome)
        meter = self._meter
        is_asked = self._state is not State.PAUSED and not self._is_free
        context.outcome = "ok" if self._is_whole else outcome
        context.status = context.status or 499
        if meter is not None:
            reading = meter.reading
            settle.complete(context, reading.usage, self._seen(), reading.finish_reason is not None, why)
        elif is_asked:
            settle.estimate(context, self._body_bytes // SEEN_BYTES_PER_TOKEN, why)
        self._settle(meter.reading if meter is not None else None, billed=is_asked)
        self._services.commit.schedule()

    def _checkpoint(self) -> None:
        context, meter = self.context, self._meter
        assert meter is not None
        self._checkpoint_s = self._services.running.now_s
        self._checkpoint_tokens = self._seen()
        record = records.Checkpoint(
            context.id,
            self._course.number,
            self._checkpoint_tokens,
            context.bytes_out,
            self._elapsed_ms(),
            context.status,
            meter.reading.usage,
            meter.reading.service_tier,
        )
        self._services.spool.checkpoint(context.id, records.encode_payload(record))
        self._services.commit.schedule()

    def _refuse(
        self, problem: Problem, outcome: str, billed: bool, service_tier: str | None = None, note: str = ""
    ) -> None:
        context = self.context
        context.status = problem.case.status
        context.outcome = "client_gone" if context.client_gone else outcome
        context.error = (problem.case.code, note or problem.message)
        self._settle(Reading(service_tier=service_tier), billed=billed)
        if not context.client_gone:
            self._services.commit.call(context.exchange, self._services.refusals.refuse, context, problem, self._told())

    def _told(self) -> bytes:
        """Return the header lines of a refusal after attempts: what was asked of whom, and how often."""
        return b"%bx-switchgear-attempts: %d\r\n" % (self._course.target.headers, self._course.number)

    def _settle(self, reading: Reading | None, billed: bool = True) -> int | None:
        assert self._state is not State.SETTLED
        context = self.context
        if reading is not None and (ids := self._kept(reading)):
            self._services.stored.keep(context, self._course.target.deployment, ids)
        cost = settle.settle(
            context,
            self._services.spool,
            self._elapsed_ms(),
            billed=billed,
            finish_reason=reading.finish_reason if reading is not None else None,
            response_id=reading.response_id if reading is not None else None,
            service_tier=reading.service_tier if reading is not None else None,
            bill=self._bill(reading) if billed and reading is not None else None,
        )
        self._state = State.SETTLED
        if reading is not None and reading.response_id is not None and self._is_kept(reading.response_id):
            self._services.stored.remember(context, self._course.target.deployment, reading.response_id)
        self._services.running.settled(self.context)
        self._services.commit.schedule()
        self._stream = None  # it holds this transfer: without the cycle both end here, without the collector
        return cost

    def _bill(self, reading: Reading) -> bill.Bill | None:
        """Return what an answer costs beside its tokens at the asked model's price; None for most."""
        if reading.others is None and reading.cost is None and self.context.meterer is not None:
            return None
        provider = self._course.target.candidate.provider
        return bill.bill_of(self.context, reading, provider.quirks.charges, self._price_of)

    def _price_of(self, model: str) -> Meterer | None:
        context = self.context
        assert context.snapshot is not None
        return self._services.planner.price_of(context.snapshot, self._course.target.candidate, model, context.now_ms)

    def _kept(self, reading: Reading) -> list[str]:
        """Return what the provider keeps since this answer, beside the answer itself."""
        way, request, found = self.context.translation, self.context.request, reading.kept
        if way is None or request is None:
            return []
        if "diagnostics" in request.fields and reading.response_id is not None:
            found = [*found, reading.response_id]
        if not found or not way.is_verbatim or bytes(request.fields.get("store", b"")) == _FALSE:
            return []
        return belongings.kept(self.context, found)

    def _is_kept(self, response_id: str) -> bool:
        """Tell whether a provider may keep what it answered under this id."""
        return references.is_stored_answer(self.context.endpoint.dialect.name, response_id)

    def _note_attempt(
        self, status: int | None, error: str | None, message: str = "", charge: Setback | None = None
    ) -> None:
        """Note how an attempt ended, once. `charge` is for one that another follows; the last one's is the settlement's."""
        if self._state is State.PAUSED:
            return
        head, target = self._head, self._course.target
        upstream_id = usage = cost = tier = None
        if head is not None:
            upstream_id = next((value for name, value in head.headers if name in heads.UPSTREAM_IDS), None)
        if charge is not None:
            usage, tier = charge.usage, charge.service_tier
            if usage is not None and target.meterer is not None:
                cost = target.meterer.nanousd(usage, tier)
        outcome = AttemptOutcome(
            self._course.number,
            status,
            error,
            self._attempt_ms,
            self._first_ms,
            self._elapsed_ms(),
            head.connect_ms if head is not None else None,
            clean(upstream_id[:128].decode("latin-1"), 128) if upstream_id is not None else None,
            usage,
            cost,
            charge is not None and charge.is_estimated,
            tier,
        )
        self.context.attempts.append(outcome)
        if error is not None or (status is not None and status >= 400):
            telling.attempt(self._services.report, self.context.id, target, outcome, message)

    def _has_time(self) -> bool:
        return self._services.clock.monotonic_s() - self.context.started_s < self._course.total_s

    def _elapsed_ms(self) -> int:
        return int((self._services.clock.monotonic_s() - self.context.started_s) * 1000)

    def _is_event_stream(self, head: Head) -> bool:
        request = self.context.request
        assert request is not None
        if not request.stream:
            return False
        kind = next((value for name, value in head.headers if name == b"content-type"), b"").lower()
        return kind.startswith(STREAM_TYPES) or not kind

    def _headers(self, head: Head, default_type: bytes, forced_type: bytes | None, cost: int | None = None) -> bytes:
        return heads.response(
            self.context,
            self._course.target,
            head,
            self._course.number,
            self._elapsed_ms(),
            default_type=default_type,
            forced_type=forced_type,
            cost=cost,
        )


def _units(request: Request, reading: Reading) -> dict[str, int] | None:
    """Return what is counted otherwise than in tokens; speech is charged by the characters that are asked."""
    if request.operation == "speech" and "input" in request.fields:
        text = msgspec.json.decode(request.fields["input"])
        return {"characters": len(text)} if isinstance(text, str) else None
    return reading.units
