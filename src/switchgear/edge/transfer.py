"""One request from its reservation to its settlement: what it hears of the link, its client and the timer, and what it does.
Level 4.

One state machine per request; MOVES has every transition, and another one is a fault. `edge.course` decides what follows a failure,
`edge.upstream_answers` turns the provider's bytes into the client's, `edge.endings` says what an end is to ledger and client. Every
end goes through `_settle`, once.
"""

import zlib
from collections.abc import Callable
from enum import Enum
from typing import TypeVar

import msgspec

from switchgear.core import problems
from switchgear.core.errors import IllegalMoveError, ProtocolError, SpoolFullError
from switchgear.core.guard import guarded
from switchgear.core.ids import attempt_id
from switchgear.core.problems import Problem
from switchgear.core.steps import Steps
from switchgear.core.usage import TokenUsage
from switchgear.dialects import usage_cost
from switchgear.dialects.answer_metadata import AnswerMetadata
from switchgear.dialects.json_node import LARGE_BYTES
from switchgear.dialects.translation import JSON_TYPE
from switchgear.edge import (
    admission,
    closing,
    endings,
    heads,
    setback,
    settle,
    standing,
    telling,
    translate,
)
from switchgear.edge.attempt import AttemptProgress, is_event_stream
from switchgear.edge.context import RequestContext, Spent
from switchgear.edge.course import FALLBACK, GIVE_UP, Course
from switchgear.edge.services import EdgeServices
from switchgear.edge.setback import Setback
from switchgear.edge.slices import Job
from switchgear.edge.upstream_answers import ANSWER_BYTES_MAX, FREE_OPERATIONS, PlainAnswer, StreamAnswer
from switchgear.routing import retry
from switchgear.wire import records
from switchgear.wire.frames import Fail, Head, Open

T = TypeVar("T")

LET_GO_BYTES = 16_384
"""A body above it is forgotten when its stream begins; copying the rest of a smaller one would cost more than it frees."""
VAULT_SLACK_S = 5.0
GONE_STREAM_S = 2.0
"""How long the usage of a stream is waited for whose client left; its slot of a parallel limit is taken meanwhile."""
GONE_STREAM_BYTES = 262_144
GONE_PLAIN_S = 30.0
_LEDGER_FULL = Problem(problems.LEDGER_UNAVAILABLE, "the ledger cannot record")


class TransferState(Enum):
    """Where a transfer is."""

    IDLE = 0
    """No attempt is under way: before the first, or between two."""
    WAITING = 1
    """For the head of an answer."""
    PLAIN = 2
    """Collecting a plain answer."""
    HELD = 3
    """A stream's head came, and no event yet: its client has seen nothing."""
    STREAMING = 4
    SETTLED = 5


IDLE, WAITING, PLAIN, HELD, STREAMING, SETTLED = TransferState
MOVES: dict[TransferState, frozenset[TransferState]] = {
    IDLE: frozenset({WAITING, SETTLED}),
    WAITING: frozenset({PLAIN, HELD, IDLE, SETTLED}),
    PLAIN: frozenset({IDLE, SETTLED}),
    HELD: frozenset({STREAMING, IDLE, SETTLED}),
    STREAMING: frozenset({SETTLED}),  # its client has seen a part: nothing is asked again
    SETTLED: frozenset(),
}


class Transfer(msgspec.Struct, eq=False):
    """Owns a request from its reservation to its settlement. `context` has the translation for the first deployment of `course`."""

    services: EdgeServices
    context: RequestContext
    course: Course
    _state: TransferState = IDLE
    _attempt: AttemptProgress = msgspec.field(default_factory=AttemptProgress)
    _plain: PlainAnswer | None = None
    _streamed: StreamAnswer | None = None
    _elapsed_ms: int = 0
    """Since the request began, when the clock was read last: once for each thing that happens."""
    _gone_s: float = 0.0
    _gone_bytes: int = 0
    _is_whole: bool = False
    """The client left, but nothing was missing."""
    _stalled_bytes: int = 0
    _judged: TokenUsage | None = None
    """What was compared with the hold last."""
    _was_blocked: bool = False
    """Its client did not read for a while: what came late then is no fault of the provider."""
    _last: tuple[Setback, AttemptProgress] | None = None
    """How the attempt before failed."""

    def _advance(self, state: TransferState) -> None:
        if state not in MOVES[self._state]:
            raise IllegalMoveError(f"{self._state.name} → {state.name}")
        self._state = state

    def _read_clock(self) -> None:
        self._elapsed_ms = int((self.services.clock.monotonic_s() - self.context.started_s) * 1000)

    # what nobody expected

    def _give_up(self, exc: Exception) -> None:
        # Even its plain end failed, so something odd stands in what was to be recorded: the barest settlement there is.
        context = self.context
        self.services.guard.caught(exc, context.id)
        if self._state is not SETTLED:
            endings.note_barely(context)
            self._settle_barely()
        self._end_admission(True, None)
        self.services.running.settled(context)
        self._end_client()

    def _lose_record(self, exc: Exception) -> None:
        self.services.guard.caught(exc, self.context.id)

    @guarded(_lose_record)
    def _settle_barely(self) -> None:
        self._settle(None)

    @guarded(_lose_record)
    def _end_admission(self, is_billed: bool, cost_nanousd: int | None) -> None:
        """Give back what the request holds of limits and budgets, also where no record of it could be written."""
        context = self.context
        held, context.admission = context.admission, None
        if held is not None:
            before = [attempt.tokens for attempt in context.attempts if attempt.tokens is not None]
            is_complete = context.outcome == "ok"
            uncertain_s = settle.uncertain_s(context, is_billed)
            spent = Spent(
                context.usage if is_billed else None,
                cost_nanousd if is_billed else 0,
                self.course.number > 0,
                uncertain_s is None,
                uncertain_s or 0.0,
                context.is_late,
                context.is_untold and is_billed,
            )
            held.end(spent, before, is_complete)

    @guarded(_lose_record)
    def _end_client(self) -> None:
        endings.tell_fault(self.services, self.context)

    @guarded(_give_up)
    def on_fault(self, exc: Exception) -> None:
        """StreamOwner: end this request, and nothing else, for what was raised about it."""
        context = self.context
        self.services.guard.caught(exc, context.id)
        if self._state is SETTLED:
            self.services.running.settled(context)
            self._end_client()
            return
        self._read_clock()
        self._attempt.cancel()
        self._note_attempt(context.status or None, "internal")
        if self._state is STREAMING:
            self._break_stream("internal", endings.INTERNAL.message)
            return
        self._end_unsent(endings.INTERNAL, endings.FAULT, self._attempt.stream is not None)

    def _end_unsent(self, problem: Problem, why: str, is_asked: bool) -> None:
        """End a request of whose answer its client has seen nothing. A provider that was asked may charge its input."""
        is_asked = is_asked and not self._is_free
        if is_asked:
            settle.estimate(self.context, 0, why)
        self._refuse(problem, "interrupted", is_asked)

    # attempts

    def begin(self) -> None:
        """Make the next attempt at the current deployment. Its record is written before a byte leaves."""
        context = self.context
        if context.translation is None:
            assert context.request is not None
            if context.request.is_large:
                self._later(translate.prepare_steps(context, self.course), self._prepared)
                return
            self._prepared(translate.prepare(context, self.course))
            return
        self._send()

    def _later(self, steps: Steps[T], done: Callable[[T], None]) -> None:
        """Work in slices, as long as the request is not settled otherwise."""
        self.services.slices.add(Job(steps, done, self.on_fault, lambda: self._state is not SETTLED))

    def _prepared(self, problem: Problem | None) -> None:
        self._read_clock()
        if problem is not None:
            self._refuse(problem, "client_error", False)
        elif self.context.client_gone:
            self._cancel("client_gone", "the client went away between two attempts")
        else:
            try:
                self._send()
            except SpoolFullError:
                self._refuse(_LEDGER_FULL, "upstream_error", False)

    def _send(self) -> None:
        resolution = self.context.resolution
        if (resolution is not None and resolution.is_free) or self._is_unlimited() or self._has_room():
            self._open()

    def _is_unlimited(self) -> bool:
        """Tell whether nothing is to be taken for the current attempt."""
        first, resolution = self.course.current, self.context.resolution
        return (
            first.limits is None
            and not first.budgets.budgets
            and (resolution is None or not resolution.budgets.budgets)
        )

    def _has_room(self) -> bool:
        """Take the limits of the current deployment; False when that is not done yet, or something else was."""
        context, course = self.context, self.course
        held = context.admission
        if held is None:
            held = context.admission = admission.Admission(self.services, context, self._begin_again)
        held.wakes(self._begin_again)
        taken = held.take_attempt(course.current, course.number + 1)
        if taken is True and context.translation is None:
            self.begin()  # what budgets give is written into the body
            return False
        if isinstance(taken, bool):
            return taken
        if not held.is_final and taken is not admission.BUSY and course.pass_over(admission.passed_over(taken)):
            context.translation = None
            self.begin()
        elif self._last is None:
            self._refuse(taken, "denied", False)
        else:
            failure, self._attempt = self._last  # it is the answer in hand; what it cost stands in its attempt
            self._end_unanswered(msgspec.structs.replace(failure, usage=None, units=None))
        return False

    def _open(self) -> None:
        context, services, course = self.context, self.services, self.course
        translation, priced = context.translation, course.current
        assert translation is not None
        course.number += 1
        if course.number > 1:
            settle.attempt(context, course.number, priced, services.spool)
        self._advance(WAITING)
        self._read_clock()
        context.deployment, context.pricer = priced.deployment, priced.pricer
        context.dropped = translation.dropped
        attempt = self._attempt = AttemptProgress(self._elapsed_ms, number=course.number)
        body, translation.body = translation.body, b""
        size = len(body) if isinstance(body, bytes) else sum(map(len, body))
        message = Open(attempt_id(context.id, course.number), size, heads.route(context, priced, translation))
        attempt.stream = services.link.open(message, body, self)

    def on_response(self, head: Head, body: bytes, ended: bool) -> None:
        """StreamOwner: the upstream's head."""
        self._read_clock()
        context, attempt = self.context, self._attempt
        attempt.head, attempt.first_ms = head, self._elapsed_ms
        translation, request = context.translation, context.request
        assert translation is not None
        assert request is not None
        if head.status >= 400 or not is_event_stream(request, head):
            self._advance(PLAIN)
            self._plain = PlainAnswer(translation)
            self._on_plain(self._plain, body, ended)
            return
        cost_injector = (
            usage_cost.cost_injector(context.endpoint.dialect, translation.as_array)
            if context.client.wants_cost
            else None
        )
        limit = request.output_tokens_max
        limit = self.course.current.deployment.max_tokens if limit is None else limit
        streamed = self._streamed = StreamAnswer(translation, cost_injector, limit, self.services.running.now_s)
        self._advance(HELD)
        if translation.is_raw:
            self._start_stream(streamed)
        self.on_body(body, ended)

    def on_body(self, data: bytes, ended: bool) -> None:
        """StreamOwner: more of the body."""
        streamed = self._streamed
        if self._state is not STREAMING or streamed is None:
            self._take(data, ended)
            return
        try:
            out = streamed.feed(data)
            if ended:
                out += streamed.finish()
        except ProtocolError as exc:
            self._stream_failed(exc, ended)
            return
        self._pass_on(streamed, out, len(data), ended)

    def _take(self, data: bytes, ended: bool) -> None:
        self._read_clock()
        if self._state is HELD and self._streamed is not None:
            self._on_held(self._streamed, data, ended)
        elif self._state is PLAIN and self._plain is not None:
            self._on_plain(self._plain, data, ended)

    def on_fail(self, fail: Fail) -> None:
        """StreamOwner: no complete response."""
        if self._state is SETTLED:
            return
        self._read_clock()
        if self._state is STREAMING:
            self._note_attempt(self.context.status, fail.reason, fail.message)
            self._break_stream(fail.reason, setback.text_of(fail.reason, fail.message), fail.message)
            return
        if self._is_free or self._state is IDLE:
            fail = Fail(fail.reason, fail.message, False)
        self._set_back(setback.of_fail(fail, self.context.input_estimate, self._seen_tokens))

    @property
    def _seen_tokens(self) -> int:
        answer = self._streamed or self._plain
        return answer.seen_tokens if answer is not None else 0

    # setbacks: nothing was sent to the client

    def _set_back(self, failure: Setback) -> None:
        """Try again, or elsewhere, or end with what the client is told."""
        context, course = self.context, self.course
        left_s = course.total_s - self._elapsed_ms / 1000
        lot = zlib.crc32(context.id.encode()) / 0xFFFFFFFF
        move = course.after(failure, left_s > 0 and not context.client_gone, left_s, lot)
        failed, translation = course.current, context.translation
        if move is FALLBACK:
            course.go_on()
            assert context.request is not None
            if context.request.is_large:
                context.translation = None  # prepared when the attempt begins, in slices
            elif translate.prepare(context, course) is not None:
                course.current, context.translation = failed, translation
                move = GIVE_UP
        elif move is not GIVE_UP:
            context.translation = None  # its body was let go when it was sent
        if move is GIVE_UP:
            self._end_unanswered(failure)
            return
        following, course.current = course.current, failed
        self._note_attempt(self._attempt.status, failure.reason, failure.noted, failure)
        course.current = following
        self._advance(IDLE)
        if context.admission is not None:
            spent = Spent(
                failure.usage,
                context.attempts[-1].cost_nanousd if failure.usage is not None and context.attempts else 0,
                failure.reason not in setback.NOT_SENT,
                not failure.is_estimated,
                course.lasts_s,
            )
            context.admission.end_attempt(spent)
        self._last = (failure, self._attempt)
        self._attempt = AttemptProgress()
        self._plain = self._streamed = None
        if move.pause_s:
            self.services.loop.call_later(move.pause_s, self._begin_again)
        else:
            self._begin_again()

    @guarded(on_fault)
    def _begin_again(self) -> None:
        if self._state is SETTLED:
            return
        self._read_clock()
        context, course = self.context, self.course
        if context.client_gone:
            self._cancel("client_gone", "the client went away between two attempts")
            return
        while (problem := standing.may_try(self.services, context)) is not None:
            if problem.case is not problems.FROZEN or not course.go_on():
                self._refuse(problem, "interrupted", False)
                return
            if translate.prepare(context, course) is not None:
                self._refuse(problem, "interrupted", False)
                return
        try:
            self.begin()
        except SpoolFullError:
            self._refuse(_LEDGER_FULL, "upstream_error", False)

    def _end_unanswered(self, failure: Setback) -> None:
        """End: the provider's own error where it said one, else the gateway's."""
        context, head = self.context, self._attempt.head
        self._note_attempt(self._attempt.status, failure.reason, failure.noted)
        billed = endings.note_unanswered(context, failure)
        if failure.said is None:
            self._refuse(failure.problem, failure.outcome, billed, failure.service_tier, failure.noted)
            return
        assert head is not None
        status, more, body, kind = endings.note_said(context, failure)
        self._settle(None, billed)
        if not context.client_gone:
            headers = self._headers(head, JSON_TYPE, kind) + more
            self.services.commit.call(context.exchange, context.exchange.send, status, headers, body)

    @property
    def _is_free(self) -> bool:
        assert self.context.request is not None
        return self.context.request.operation in FREE_OPERATIONS

    # plain answers

    def _on_plain(self, answer: PlainAnswer, data: bytes, ended: bool) -> None:
        answer.take(data)
        if answer.size > ANSWER_BYTES_MAX:
            self._drop_answer(Problem(problems.UPSTREAM_BROKEN, f"the answer is over {ANSWER_BYTES_MAX} bytes"))
            return
        context, attempt = self.context, self._attempt
        if not ended:
            if not context.exchange.hold(len(data)):
                self._drop_answer(Problem(problems.OVERLOADED, "too many large answers at once; try again soon"))
            elif attempt.stream is not None:
                attempt.stream.consume(len(data))
            return
        head, request = attempt.head, context.request
        assert head is not None
        assert request is not None
        if head.status >= 400:
            after = next((value for name, value in head.headers if name == b"retry-after"), None)
            is_refused = head.status in retry.OUR_FAULT
            after_s = retry.parse_retry_after(after)
            self._set_back(setback.of_status(head.status, answer.body(), after_s, is_refused))
        elif answer.size >= LARGE_BYTES:
            self._later(answer.read_steps(request, head.headers), self._was_read)
        else:
            self._hand_over(answer, head, *answer.read(request, head.headers))

    def _was_read(self, found: tuple[AnswerMetadata, bytes | ProtocolError]) -> None:
        if self._plain is not None and self._attempt.head is not None:  # no other attempt began meanwhile
            self._read_clock()
            self._hand_over(self._plain, self._attempt.head, *found)

    def _drop_answer(self, problem: Problem) -> None:
        """The answer is too large to be read; its provider charges for it."""
        assert self._plain is not None
        self._attempt.cancel()
        self._note_attempt(self._attempt.status, "too_large")
        written = self._plain.size // settle.BYTES_PER_TOKEN
        settle.estimate(self.context, written, "the answer was too large to read", is_whole=True)
        self._refuse(problem, "upstream_error", True)

    def _hand_over(self, answer: PlainAnswer, head: Head, metadata: AnswerMetadata, out: bytes | ProtocolError) -> None:
        context = self.context
        translation, request = context.translation, context.request
        assert translation is not None
        assert request is not None
        if metadata.unfit is not None or isinstance(out, ProtocolError):
            self._set_back(answer.failure(context, metadata, out))
            return
        self._note_attempt(head.status, None)
        context.status, context.outcome = head.status, "client_gone" if context.client_gone else "ok"
        billed = answer.account(context, metadata)
        context.bytes_out = len(out)
        cost = self._settle(metadata, billed)
        if context.client_gone:
            return
        if context.client.wants_cost and cost is not None and not request.stream:
            out = usage_cost.add(out, context.endpoint.dialect.usage_at, cost)
        forced = None if translation.is_verbatim else translation.stream_type if request.stream else JSON_TYPE
        exchange = context.exchange
        self.services.commit.call(
            exchange, exchange.send, head.status, self._headers(head, JSON_TYPE, forced, cost), out
        )

    # streams

    def _on_held(self, streamed: StreamAnswer, data: bytes, ended: bool) -> None:
        """A stream before its first event: it may still fail without its client knowing."""
        outcome = streamed.hold(data, ended, self.context.input_estimate)
        if isinstance(outcome, Setback):
            if not ended:
                self._attempt.cancel()
            self._set_back(outcome)
        elif outcome:
            self._release(streamed, len(data), ended)
        elif self._attempt.stream is not None:
            self._attempt.stream.consume(len(data))

    def _release(self, streamed: StreamAnswer, size: int, ended: bool) -> None:
        """Begin the stream at its client, with what was held."""
        self._start_stream(streamed)
        try:
            out = streamed.release()
        except ProtocolError as exc:
            self._stream_failed(exc, ended)
            return
        self._pass_on(streamed, out, size, ended)

    def _start_stream(self, streamed: StreamAnswer) -> None:
        """Send the head: from here on the request is this provider's."""
        context, head, translation = self.context, self._attempt.head, self.context.translation
        assert head is not None
        assert translation is not None
        self._advance(STREAMING)
        context.status = head.status
        context.ttft_ms = self._elapsed_ms
        streamed.begin(self.services.running.now_s)
        if context.bytes_in > LET_GO_BYTES and context.request is not None:
            context.request.let_go()
        context.exchange.release()
        if not context.client_gone:
            kind = None if translation.is_verbatim and not translation.as_array else translation.stream_type
            context.exchange.start(head.status, self._headers(head, translation.stream_type, kind))

    def _stream_failed(self, exc: ProtocolError, ended: bool) -> None:
        self._read_clock()
        if not ended:
            self._attempt.cancel()
        self._note_attempt(self.context.status, "broken")
        self._break_stream("broken", str(exc), setback.text_of("broken"))

    def _pass_on(self, streamed: StreamAnswer, out: bytes, size: int, ended: bool) -> None:
        """Send what came of `size` bytes of the provider's."""
        if ended:
            self._end_stream(streamed, out)
            return
        context, stream = self.context, self._attempt.stream
        if not streamed.has_usage and streamed.tap.metadata.usage is not None:
            streamed.has_usage = True
            self._checkpoint(streamed)  # the client is about to see a figure: it must be recoverable first
        if context.held is not None and self._passes_its_hold(streamed):
            return
        if context.client_gone:
            self._gone_bytes += size
            if stream is not None:
                stream.consume(size)
            return
        exchange = context.exchange
        if out:
            context.bytes_out += len(out)
            streamed.last_write_s = self.services.running.now_s
            self.services.commit.write(exchange, out)
        if stream is not None:
            if exchange.is_blocked:
                self._stalled_bytes += size
                self._was_blocked = True
            else:
                stream.consume(size)

    def _passes_its_hold(self, streamed: StreamAnswer) -> bool:
        """Cut a stream of which its provider says that it costs more than is held of a hard budget."""
        context, usage = self.context, streamed.tap.metadata.usage
        held, snapshot = context.admission, context.snapshot
        if usage is None or usage is self._judged or held is None or snapshot is None or snapshot.overrun != "cut":
            return False
        self._judged = usage
        problem = held.overrun(usage, context.pricer.nanousd(usage, None) if context.pricer is not None else None)
        if problem is None:
            return False
        self._read_clock()
        self._attempt.cancel()
        self._note_attempt(context.status, "overrun")
        self._break_stream("overrun", problem.message)
        return True

    def on_writable(self) -> None:
        """The client reads again: let the vault send on."""
        if self._state is not SETTLED and self._let_vault_go_on():
            self.services.commit.schedule()

    def _let_vault_go_on(self) -> bool:
        if self._attempt.stream is None or not self._stalled_bytes:
            return False
        self._attempt.stream.consume(self._stalled_bytes)
        self._stalled_bytes = 0
        return True

    def _end_stream(self, streamed: StreamAnswer, out: bytes) -> None:
        self._read_clock()
        context, tap = self.context, streamed.tap
        is_clean = tap.is_clean
        self._note_attempt(context.status, None if is_clean else "unfinished")
        endings.note_end(context, streamed, context.client_gone and not self._is_whole)
        context.bytes_out += len(out)
        cost = self._settle(tap.metadata)
        rest = streamed.rest(cost if is_clean else None)
        context.bytes_out += len(rest)
        if not context.client_gone:
            endings.tell_end(self.services, context, streamed, out + rest)

    def _break_stream(self, reason: str, message: str, note: str = "") -> None:
        """End a stream that its client has begun to see. `note` is what the record says, where that differs."""
        streamed = self._streamed
        assert streamed is not None
        problem = endings.note_broken(self.context, streamed, reason, message, note, self._is_whole)
        self._settle(streamed.metadata)
        endings.tell_broken(self.services, self.context, streamed, problem)

    # the client, the timer, the end

    def on_gone(self) -> None:
        """The client went away: wait a little for the cost to become known, then cancel (see `check`). One that was sent the
        end of its answer missed nothing."""
        context, services, streamed = self.context, self.services, self._streamed
        context.client_gone = True
        self._is_whole = (
            self._state is STREAMING
            and streamed is not None
            and streamed.tap.is_clean
            and not context.exchange.is_blocked
            and services.commit.is_empty
        )
        self._gone_s = services.running.now_s
        self._let_vault_go_on()
        services.commit.schedule()

    def check(self, now_s: float) -> None:
        """Enforce what has no event: clients gone, deadlines, pings, checkpoints."""
        context = self.context
        if context.client_gone:
            bound_s = GONE_STREAM_S if self._state is STREAMING else GONE_PLAIN_S
            if now_s - self._gone_s > bound_s or self._gone_bytes > GONE_STREAM_BYTES:
                self._cancel("client_gone", "the client went away")
                return
        total_s = self.course.total_s
        # The vault keeps the first attempt's limit itself, and is given a moment to say so; others are kept here.
        slack_s = VAULT_SLACK_S if self.course.number == 1 and context.client.timeout_s is None else 0.0
        if now_s - context.started_s > total_s + slack_s:
            self._attempt.cancel()
            self.on_fail(Fail("timeout", f"no complete answer within {total_s:g} s", True))
            return
        streamed = self._streamed
        if streamed is None or self._state not in {STREAMING, HELD}:
            return
        ping = b"" if context.client_gone else streamed.ping(now_s)
        if ping:
            if self._state is HELD:  # a client that hears nothing for longer may give up: its place is here now
                self._read_clock()
                self._release(streamed, 0, False)
            self.services.commit.call(context.exchange, context.exchange.write, ping)
        if self._state is STREAMING and streamed.is_checkpoint_due(now_s):
            self._checkpoint(streamed)

    def interrupt(self, message: str) -> None:
        """The gateway stops: end this request, and say so to the client and in the ledger."""
        self._read_clock()
        self._attempt.cancel()
        self._note_attempt(self._attempt.status, "interrupted")
        if self._state is STREAMING:
            self._break_stream("interrupted", message)
            return
        problem = Problem(problems.INTERRUPTED, message)
        self._end_unsent(problem, "the gateway stopped before the answer", self._state is not IDLE)

    def cut(self, problem: Problem) -> None:
        """Something that this request needs was frozen: end it, and say so to the client and in the ledger. What was seen is
        charged; a provider that was asked and has not answered may charge its input."""
        self._read_clock()
        is_asked = self._attempt.stream is not None
        if is_asked:
            self._attempt.cancel()
            self._note_attempt(self._attempt.status, "frozen")
        if self._state is STREAMING:
            self._break_stream("frozen", problem.message)
            return
        if is_asked:
            settle.estimate(self.context, 0, "cut by a freeze before the answer")
        self._refuse(problem, "interrupted", is_asked)

    def _cancel(self, outcome: str, why: str) -> None:
        self._read_clock()
        streamed = self._streamed
        self._attempt.cancel()
        self._note_attempt(self._attempt.status, None if self._is_whole else outcome)
        is_asked = self._state is not IDLE and not self._is_free
        outcome = "ok" if self._is_whole else outcome
        endings.note_gone(self.context, streamed, outcome, why, self._seen_tokens if is_asked else None)
        self._settle(streamed.metadata if streamed is not None else None, is_asked)

    def _checkpoint(self, streamed: StreamAnswer) -> None:
        self._read_clock()
        context, services, metadata = self.context, self.services, streamed.metadata
        record = records.Checkpoint(
            context.id,
            self._attempt.number,
            streamed.checkpoint(services.running.now_s),
            context.bytes_out,
            self._elapsed_ms,
            context.status,
            metadata.usage,
            metadata.service_tier,
        )
        services.spool.checkpoint(context.id, records.encode_payload(record))
        services.commit.schedule()

    def _refuse(
        self, problem: Problem, outcome: str, billed: bool, service_tier: str | None = None, note: str = ""
    ) -> None:
        endings.note_refusal(self.context, problem, outcome, note)
        self._settle(AnswerMetadata(service_tier=service_tier), billed)
        endings.tell_refusal(self.services, self.context, self.course, problem)

    def _settle(self, metadata: AnswerMetadata | None, billed: bool = True) -> int | None:
        if self._state is SETTLED:
            raise IllegalMoveError("it was settled before")
        services, context = self.services, self.context
        if self._streamed is not None:
            context.is_cut_off = self._streamed.seen_tokens > 0
        cost = closing.close(services, context, self.course.current, metadata, self._elapsed_ms, billed)
        self._advance(SETTLED)  # not before: what fails until here is settled otherwise
        if context.admission is not None:
            self._end_admission(billed, cost)
        services.running.settled(context)
        services.commit.schedule()
        self._attempt.stream = None  # it holds this transfer: without the cycle both end here, without the collector
        return cost

    def _note_attempt(
        self, status: int | None, error: str | None, message: str = "", charge: Setback | None = None
    ) -> None:
        """Note how an attempt ended, once. `charge` is for one that another follows; the last one's is the settlement's."""
        if self._state is IDLE:
            return
        pricer = self.course.current.pricer
        outcome = self._attempt.outcome(pricer, status, error, charge, self._elapsed_ms)
        self.context.attempts.append(outcome)
        if error is not None or (status is not None and status >= 400):
            telling.attempt(self.services.report, self.context.id, self.course.current, outcome, message)

    def _headers(self, head: Head, default_type: bytes, forced_type: bytes | None, cost: int | None = None) -> bytes:
        return heads.response(
            self.context,
            self.course.current,
            head,
            self.course.number,
            self._elapsed_ms,
            default_type=default_type,
            forced_type=forced_type,
            cost=cost,
        )
