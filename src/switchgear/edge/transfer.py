"""Stage: the attempts of one request and the answer's way to the client. Level 4.

One state machine per request: WAITING for a response head → PLAIN (collecting) or STREAMING → SETTLED. Every end goes
through `_settle`, once.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

import msgspec

from switchgear.core import problems
from switchgear.core.errors import ProtocolError, SpoolFullError
from switchgear.core.guard import guarded
from switchgear.core.ids import attempt_id
from switchgear.core.money import format_usd
from switchgear.core.problems import Problem
from switchgear.core.steps import Steps
from switchgear.core.text import clean, header_value
from switchgear.dialects import errors, passage, usage_cost
from switchgear.dialects.passage import Meter, Passage
from switchgear.dialects.reading import Reading
from switchgear.dialects.request import LARGE_BYTES, Request
from switchgear.dialects.shape import InvalidBodyError
from switchgear.edge import litellm, paths, settle, standing, telling
from switchgear.edge.context import RequestContext
from switchgear.edge.plan import Plan, Target
from switchgear.edge.slices import Job
from switchgear.net.link import LinkStream
from switchgear.replica.entries import STORED_MS, Stored, scope_of
from switchgear.routing import retry
from switchgear.wire import frames, records
from switchgear.wire.frames import Fail, Head, Open
from switchgear.wire.records import AttemptOutcome

if TYPE_CHECKING:
    from switchgear.edge.gate import Gate

T = TypeVar("T")

FAULT = "a fault of the gateway ended it"
INTERNAL_TEXT = "internal error; an administrator finds it in the log by the request id"
ANSWER_BYTES_MAX = 16 * 1024 * 1024
"""Above it a plain answer is passed on as it comes, without a cost header."""
NOT_FORWARDED = frozenset({b"x-goog-api-key", b"x-goog-user-project"})
PING_S = 15.0
CHECKPOINT_S = 5.0
CHECKPOINT_TOKENS = 4_096
GONE_STREAM_S = 5.0
GONE_STREAM_BYTES = 262_144
GONE_PLAIN_S = 30.0
RETRY_PAUSE_S = 0.1
PASSED = frozenset({b"retry-after", b"retry-after-ms", b"x-should-retry", b"openai-processing-ms", b"x-amzn-errortype"})
UPSTREAM_IDS = frozenset({b"x-request-id", b"request-id", b"x-amzn-requestid"})
FORWARDED = (b"openai-beta", b"idempotency-key")
FORWARDED_PREFIXES = (b"anthropic-", b"x-goog-")
"""Of clients that speak a provider's own dialect, whose headers change what it does."""
ANTHROPIC_VERSION = (b"anthropic-version", b"2023-06-01")
"""The version of the dialect that is written here; a client of the dialect sends its own."""


PER_REQUEST = frozenset({b"idempotency-key", b"traceparent"})
"""Headers whose values differ from request to request: a route with one is not kept."""
TRACE = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context §3.2, version 00 (read 2026-11-26)."""


ID_HEADERS = {"anthropic": b"request-id: ", "bedrock": b"x-amzn-requestid: "}
FREE_OPERATIONS = frozenset({"count_tokens", "stored"})
"""What no provider charges for, or charged for before."""


class State(Enum):
    """Where a transfer is."""

    WAITING = 1
    PLAIN = 2
    STREAMING = 3
    SETTLED = 4


class Transfer:
    """Owns a request from its reservation to its settlement."""

    __slots__ = (
        "_attempt_ms",
        "_body",
        "_body_bytes",
        "_checkpoint_s",
        "_checkpoint_tokens",
        "_deployments_left",
        "_first_ms",
        "_gate",
        "_gone_bytes",
        "_gone_s",
        "_has_usage",
        "_head",
        "_last_write_s",
        "_meter",
        "_number",
        "_passage",
        "_plan",
        "_retries_left",
        "_rider",
        "_stalled_bytes",
        "_state",
        "_stream",
        "context",
        "target",
    )

    def __init__(self, gate: "Gate", context: RequestContext, plan: Plan) -> None:
        self._gate = gate
        self.context = context
        self._plan = plan
        self.target: Target = plan.targets[0]
        self._deployments_left = list(plan.targets[1:])
        assert plan.route is not None
        self._retries_left = 0 if (context.client.retry or 0) > 0 else plan.route.retries_max
        self._number = 0
        self._state = State.WAITING
        self._stream: LinkStream | None = None
        self._meter: Meter | None = None
        self._rider: usage_cost.Rider | None = None
        self._passage: Passage | None = None
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
        self._stalled_bytes = 0

    # what nobody expected

    def _give_up(self, exc: Exception) -> None:
        # Even its plain end failed, so something odd stands in what was to be recorded: the barest settlement there is.
        context = self.context
        self._gate.guard.caught(exc, context.id)
        if self._state is not State.SETTLED:
            context.attempts, context.dropped, context.units = [], None, None
            settle.estimate(context, 0, FAULT)
            self._settle_barely()
        self._gate.settled(self)
        self._end_client(Problem(problems.INTERNAL, INTERNAL_TEXT))

    def _lose_record(self, exc: Exception) -> None:
        self._gate.guard.caught(exc, self.context.id)

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
            self._gate.outbox.call(exchange, exchange.abort)
        else:
            self._gate.outbox.call(exchange, self._gate.refuse, context, problem)

    @guarded(_give_up)
    def on_fault(self, exc: Exception) -> None:
        """StreamOwner: end this request, and nothing else, for what was raised about it."""
        context = self.context
        self._gate.guard.caught(exc, context.id)
        if self._state is State.SETTLED:
            self._gate.settled(self)
            self._end_client(Problem(problems.INTERNAL, INTERNAL_TEXT))
            return
        if self._stream is not None:
            self._stream.cancel()
        self._note_attempt(context.status or None, "internal")
        if self._state is State.STREAMING:
            self._break_stream(Fail("internal", INTERNAL_TEXT, True))
            return
        settle.estimate(context, 0, FAULT)
        self._refuse(Problem(problems.INTERNAL, INTERNAL_TEXT), "interrupted", self._stream is not None)

    # attempts

    def prepare(self) -> Problem | None:
        """Find the first target that can be asked in some dialect, and prepare its attempt; returns why there is none."""
        while True:
            problem = self._open_passage()
            if problem is None or not self._deployments_left:
                return problem
            self.target = self._deployments_left.pop(0)

    def prepare_steps(self) -> Steps[Problem | None]:
        """Do the same in steps, for a large body."""
        while True:
            problem = self._open_passage(at_once=False)
            pending = self._passage.pending if problem is None and self._passage is not None else None
            if pending is not None:
                try:
                    yield from pending
                    problem = self._check_lost()
                except InvalidBodyError as exc:
                    problem = Problem(problems.INVALID_BODY, str(exc), exc.param)
            if problem is None or not self._deployments_left:
                return problem
            self.target = self._deployments_left.pop(0)

    def _open_passage(self, at_once: bool = True) -> Problem | None:
        context, candidate = self.context, self.target.candidate
        request, endpoint = context.request, context.endpoint
        assert request is not None
        provider = candidate.provider
        is_raw = request.operation == "passthrough"
        dialect = (
            request.dialect
            if is_raw
            else passage.choose(request.dialect, request.operation, provider.dialects, candidate.upstream_model)
        )
        if dialect is None:
            name, what = clean(request.model, 128), endpoint.name
            return Problem(problems.UNSUPPORTED, f"the model {name!r} cannot be used for {what}", "model")
        try:
            self._passage = passage.open_passage(
                request,
                dialect if is_raw else endpoint.dialect,
                dialect,
                candidate.upstream_model,
                provider.quirks,
                created=context.now_ms // 1000,
                as_array=endpoint.stream is True and endpoint.dialect == "gemini" and not _wants_sse(context),
                answer_id=context.id,
                at_once=at_once,
            )
        except InvalidBodyError as exc:
            return Problem(problems.INVALID_BODY, str(exc), exc.param)
        return self._check_lost()

    def _check_lost(self) -> Problem | None:
        assert self._passage is not None
        if self.target.candidate.strict and self._passage.dropped:
            lost = ", ".join(self._passage.dropped)
            return Problem(problems.INVALID_BODY, f"this model refuses what would be lost: {lost}"[:512])
        return None

    def begin(self) -> None:
        """Make the next attempt at the current target. Its record is written before a byte leaves."""
        if self._passage is None or not self._passage.body:  # a retry: the body was let go when it was sent
            assert self.context.request is not None
            if self.context.request.is_large:
                self._later(self.prepare_steps(), self._prepared)
                return
            self._open_passage()
        self._send()

    def _later(self, steps: Steps[T], done: Callable[[T], None]) -> None:
        """Work in slices, as long as the request is not settled otherwise."""
        self._gate.slices.add(Job(steps, done, self.on_fault, lambda: self._state is not State.SETTLED))

    def _prepared(self, problem: Problem | None) -> None:
        if problem is not None:
            self._refuse(problem, "client_error", False)
        elif self.context.gone:
            self._cancel("client_gone", "the client went away between two attempts")
        else:
            try:
                self._send()
            except SpoolFullError:
                self._refuse(Problem(problems.LEDGER_UNAVAILABLE, "the ledger cannot record"), "upstream_error", False)

    def _send(self) -> None:
        context, target, gate, way = self.context, self.target, self._gate, self._passage
        assert way is not None
        self._number += 1
        if self._number > 1:
            settle.attempt(context, self._number, target, gate.spool)
        context.candidate, context.meterer = target.candidate, target.meterer
        context.dropped = way.dropped
        self._attempt_ms = self._elapsed_ms()
        self._first_ms = None
        body, way.body = way.body, b""
        size = len(body) if isinstance(body, bytes) else sum(map(len, body))
        message = Open(attempt_id(context.id, self._number), size, self._route(way))
        self._stream = gate.link.open(message, body, self)

    def _route(self, way: Passage) -> msgspec.Raw:
        """Encode where the attempt goes: once per target, path and the headers that are passed on."""
        target = self.target
        headers = self._forwarded(way)
        trace = self.context.exchange.head.headers.get(b"traceparent") if target.candidate.provider.own else None
        if trace is not None and TRACE.fullmatch(trace):
            headers = (*headers, (b"traceparent", trace))
        name = (way.method, way.path, headers, way.content_type)
        raw = target.opens.get(name)
        if raw is None:
            timeouts = target.candidate.timeouts
            raw = msgspec.Raw(
                frames.encode_payload(
                    frames.Route(
                        target.deployment,
                        way.method,
                        way.path,
                        [(b"content-type", way.content_type), *headers],
                        timeouts.first_byte_s,
                        timeouts.idle_s,
                        timeouts.total_s,
                        timeouts.connect_s,
                    )
                )
            )
            if (
                len(target.opens) < 64
                and "/resp_" not in way.path
                and not any(header in PER_REQUEST or value.startswith(b"multipart") for header, value in headers)
            ):
                target.opens[name] = raw
        return raw

    def _forwarded(self, way: Passage) -> tuple[tuple[bytes, bytes], ...]:
        """Return the client's headers that a provider of its dialect gets; another's get none but what they need."""
        head = self.context.exchange.head
        if not way.is_verbatim:
            return (ANTHROPIC_VERSION,) if way.provider_dialect == "anthropic" else ()
        betas = self.target.candidate.provider.quirks.betas
        known = head.shared.get("forwarded")
        if known is not None and known[0] == way.dialect and not betas:
            found: tuple[tuple[bytes, bytes], ...] = known[1]
            return found
        headers = head.headers
        found = tuple((name, headers[name]) for name in (b"accept", *FORWARDED) if name in headers)
        if way.dialect in {"anthropic", "gemini"}:
            found += tuple(
                (name, value)
                for name, value in headers.items()
                if name.startswith(FORWARDED_PREFIXES) and name not in NOT_FORWARDED
            )
            if way.dialect == "anthropic" and b"anthropic-version" not in headers:
                found += (ANTHROPIC_VERSION,)
        if betas:
            return tuple((name, value) for name, value in _known_betas(found, betas) if value)
        head.shared["forwarded"] = (way.dialect, found)
        return found

    def on_response(self, head: Head, body: bytes, ended: bool) -> None:
        """StreamOwner: the upstream's head."""
        self._head = head
        self._first_ms = self._elapsed_ms()
        way = self._passage
        assert way is not None
        if head.status >= 400 or not self._is_event_stream(head):
            self._state = State.PLAIN
            self._on_plain(body, ended)
            return
        context = self.context
        self._state = State.STREAMING
        context.status = head.status
        context.ttft_ms = self._first_ms
        self._meter = way.meter()
        if context.client.wants_cost:
            self._rider = usage_cost.rider(context.endpoint.dialect, way.as_array)
        self._last_write_s = self._checkpoint_s = self._gate.now_s
        if not context.gone:
            kind = None if way.is_verbatim and not way.as_array else way.stream_type
            context.exchange.start(head.status, self._headers(head, way.stream_type, None, kind))
        self._on_stream(body, ended)

    def on_body(self, data: bytes, ended: bool) -> None:
        """StreamOwner: more of the body."""
        if self._state is State.STREAMING:
            self._on_stream(data, ended)
        elif self._state is State.PLAIN:
            self._on_plain(data, ended)

    def on_fail(self, fail: Fail) -> None:
        """StreamOwner: no complete response."""
        if self._state is State.SETTLED:
            return
        self._note_attempt(None if self._head is None else self._head.status, fail.reason, fail.message)
        if self._state is State.STREAMING:
            self._break_stream(fail)
            return
        if not fail.dispatched and fail.reason in {"connect", "overloaded", "refused"} and not self.context.gone:
            step = retry.next_step(
                status=None,
                retries_left=self._retries_left if fail.reason == "connect" else 0,
                has_next=bool(self._deployments_left),
                may_retry=self._has_time(),
                retry_after_s=None,
            )
            if self._step(step, None):
                return
        case, outcome = _FAILURES.get(fail.reason, (problems.UPSTREAM_BROKEN, "upstream_error"))
        if fail.dispatched:
            settle.estimate(self.context, 0, f"the provider did not answer completely ({fail.reason})")
        message = _MESSAGES.get(fail.reason, "the provider's response broke off")
        self._refuse(Problem(case, f"{message}: {fail.message}" if fail.message else message), outcome, fail.dispatched)

    # plain answers

    def _on_plain(self, data: bytes, ended: bool) -> None:
        if data:
            self._body.append(data)
            self._body_bytes += len(data)
            if self._stream is not None and not ended:
                self._stream.consume(len(data))
        if self._body_bytes > ANSWER_BYTES_MAX:
            if self._stream is not None:
                self._stream.cancel()
            self._note_attempt(None if self._head is None else self._head.status, "too_large")
            settle.estimate(
                self.context, self._body_bytes // settle.BYTES_PER_TOKEN, "the answer was too large to read"
            )
            self._refuse(
                Problem(problems.UPSTREAM_BROKEN, f"the answer is over {ANSWER_BYTES_MAX} bytes"),
                "upstream_error",
                True,
            )
            return
        if not ended:
            return
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        head = self._head
        assert head is not None
        self._note_attempt(head.status, None)
        if head.status >= 400:
            self._on_error(head, body)
        else:
            self._deliver(head, body)

    def _deliver(self, head: Head, body: bytes) -> None:
        way = self._passage
        assert way is not None
        if len(body) >= LARGE_BYTES:
            self._later(self._read_large(head, body), lambda found: self._hand_over(head, *found))
            return
        self._hand_over(head, way.read(body, head.headers), self._translate(body))

    def _translate(self, body: bytes) -> bytes | ProtocolError:
        way, request = self._passage, self.context.request
        assert way is not None
        assert request is not None
        if way.is_verbatim:
            return body
        try:
            # A provider that was asked to stream and did not: the client still gets the stream that it reads.
            return way.as_stream(body) if request.stream else way.answer(body)
        except ProtocolError as exc:
            return exc

    def _read_large(self, head: Head, body: bytes) -> Steps[tuple[Reading, bytes | ProtocolError]]:
        """Do the same in steps."""
        way, request = self._passage, self.context.request
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
        context, way = self.context, self._passage
        assert way is not None
        request = context.request
        assert request is not None
        context.status, context.outcome = head.status, "client_gone" if context.gone else "ok"
        counts = request.operation in FREE_OPERATIONS
        context.usage = None if counts else reading.usage
        context.units = _units(request, reading)
        if reading.usage is None and not counts and request.operation not in passage.MEDIA_OPERATIONS:
            settle.estimate(context, self._body_bytes // (settle.BYTES_PER_TOKEN * 2), "the provider reported no usage")
        if isinstance(out, ProtocolError):
            self._refuse(Problem(problems.UPSTREAM_BROKEN, str(out)), "upstream_error", True)
            return
        body, kind = out, None
        if not way.is_verbatim:
            context.dropped = way.dropped
            kind = way.stream_type if request.stream else passage.JSON_TYPE
        context.bytes_out = len(body)
        cost = self._settle(reading, billed=not counts)
        if not context.gone:
            if context.client.wants_cost and cost is not None and not request.stream:
                body = usage_cost.add(body, usage_cost.PLAIN.get(context.endpoint.dialect, ("usage",)), cost)
            headers = self._headers(head, passage.JSON_TYPE, cost, kind)
            self._gate.outbox.call(context.exchange, context.exchange.send, head.status, headers, body)

    def _on_error(self, head: Head, body: bytes) -> None:
        retry_after = next((value for name, value in head.headers if name == b"retry-after"), None)
        step = retry.next_step(
            status=head.status,
            retries_left=self._retries_left,
            has_next=bool(self._deployments_left),
            may_retry=self._has_time() and not self.context.gone,
            retry_after_s=retry.parse_retry_after(retry_after),
        )
        if self._step(step, retry.parse_retry_after(retry_after)):
            return
        context = self.context
        if head.status in retry.OUR_FAULT:
            # The client cannot put our credential right, and must not take this for its own key.
            self._refuse(
                Problem(
                    problems.UPSTREAM_AUTH,
                    f"the provider refused the gateway's credential (status {head.status}); "
                    "an administrator has to look at it",
                ),
                "upstream_error",
                False,
            )
            return
        context.status = head.status
        context.outcome = "client_error" if head.status < 500 and head.status not in {408, 429} else "upstream_error"
        context.error = ("upstream_error", clean(body[:256].decode("utf-8", "replace"), 256))
        context.bytes_out = len(body)
        self._settle(None, billed=False)
        if not context.gone:
            assert self._passage is not None
            status, more, shown = self._passage.error(head.status, body, context.id)
            kind = None if self._passage.is_verbatim else passage.JSON_TYPE
            headers = (
                self._headers(head, passage.JSON_TYPE, None, kind)
                + more
                + (b"x-switchgear-error: upstream_error\r\nx-switchgear-error-source: upstream\r\n")
            )
            self._gate.outbox.call(context.exchange, context.exchange.send, status, headers, shown)

    # streams

    def _on_stream(self, data: bytes, ended: bool) -> None:
        context, meter, stream = self.context, self._meter, self._stream
        assert meter is not None
        try:
            out = meter.feed(data)
            if ended:
                out += meter.finish()
            if self._rider is not None:
                out = self._rider.feed(out)
        except ProtocolError as exc:
            if stream is not None and not ended:
                stream.cancel()
            self._note_attempt(context.status, "broken")
            self._break_stream(Fail("broken", str(exc), True))
            return
        if ended:
            self._end_stream(out)
            return
        if not self._has_usage and meter.reading.usage is not None:
            self._has_usage = True
            self._checkpoint()  # the client is about to see a figure: it must be recoverable first
        if context.gone:
            self._gone_bytes += len(data)
            if stream is not None:
                stream.consume(len(data))
            return
        if out:
            context.bytes_out += len(out)
            self._last_write_s = self._gate.now_s
            self._gate.outbox.call(context.exchange, context.exchange.write, out)
        if stream is not None:
            if context.exchange.is_blocked:
                self._stalled_bytes += len(data)
            else:
                stream.consume(len(data))

    def on_writable(self) -> None:
        """The client reads again: let the vault send on."""
        if self._stream is not None and self._stalled_bytes and self._state is not State.SETTLED:
            self._stream.consume(self._stalled_bytes)
            self._stalled_bytes = 0
            self._gate.outbox.schedule()

    def _end_stream(self, out: bytes) -> None:
        context, meter = self.context, self._meter
        assert meter is not None
        self._note_attempt(context.status, None if meter.is_clean else "unfinished")
        reading = meter.reading
        context.usage = reading.usage
        context.bytes_out += len(out)
        clean_end = meter.is_clean
        if clean_end:
            context.outcome = "client_gone" if context.gone else "ok"
        else:
            context.outcome = "upstream_error"
            context.error = ("upstream_broken", "the stream ended without a proper end")
        why = "the provider reported no usage in the stream" if clean_end else "the stream broke off"
        settle.complete(context, reading.usage, meter.output_estimate, clean_end, why)
        cost = self._settle(reading)
        if self._rider is not None:
            rest = self._rider.finish(cost if clean_end else None)
            context.bytes_out += len(rest)
            out += rest
        if context.gone:
            return
        exchange, outbox = context.exchange, self._gate.outbox
        if out:
            outbox.call(exchange, exchange.write, out)
        if clean_end:
            outbox.call(exchange, exchange.end)
        elif meter.error:
            outbox.call(exchange, exchange.abort)  # the provider's own error event was passed on
        else:
            self._say_broken(Problem(problems.UPSTREAM_BROKEN, "the provider's stream broke off"))

    def _break_stream(self, fail: Fail) -> None:
        context, meter = self.context, self._meter
        assert meter is not None
        reading = meter.reading
        final = reading.finish_reason is not None
        settle.complete(context, reading.usage, meter.output_estimate, final, f"the stream broke off ({fail.reason})")
        case, outcome = _FAILURES.get(fail.reason, (problems.UPSTREAM_BROKEN, "upstream_error"))
        context.outcome = "client_gone" if context.gone else outcome
        context.error = (case.code, fail.message)
        self._settle(meter.reading)
        if not context.gone:
            if self._rider is not None and (rest := self._rider.finish(None)):
                self._gate.outbox.call(context.exchange, context.exchange.write, rest)
            self._say_broken(Problem(case, fail.message or "the stream broke off"))

    def _say_broken(self, problem: Problem) -> None:
        context = self.context
        assert self._passage is not None
        event = self._passage.broken(errors.of_problem(problem, context.id), self._meter)
        if event:
            self._gate.outbox.call(context.exchange, context.exchange.write, event)
        self._gate.outbox.call(context.exchange, context.exchange.abort)

    # the client, the timer, the end

    def on_gone(self) -> None:
        """The client went away: wait a little for the cost to become known, then cancel (see `check`)."""
        self.context.gone = True
        self._gone_s = self._gate.now_s
        if self._stream is not None and self._stalled_bytes:
            self._stream.consume(self._stalled_bytes)
            self._stalled_bytes = 0
        self._gate.outbox.schedule()

    def check(self, now_s: float) -> None:
        """Enforce what has no event: clients gone, pings, checkpoints, a vault that hangs."""
        context = self.context
        if context.gone:
            bound = GONE_STREAM_S if self._state is State.STREAMING else GONE_PLAIN_S
            if now_s - self._gone_s > bound or self._gone_bytes > GONE_STREAM_BYTES:
                self._cancel("client_gone", "the client went away")
                return
        total_s = self.target.candidate.timeouts.total_s
        wanted_s = context.client.timeout_s
        # The vault keeps the model's limit itself, and is given a moment to say so; the client's is kept here.
        if now_s - context.started_s > (total_s + 5.0 if wanted_s is None else min(wanted_s, total_s + 5.0)):
            total_s = total_s if wanted_s is None else wanted_s
            if self._stream is not None:
                self._stream.cancel()
            self.on_fail(Fail("timeout", f"no complete answer within {total_s:g} s", True))
            return
        if self._state is not State.STREAMING or self._meter is None:
            return
        if not context.gone and now_s - self._last_write_s >= PING_S:
            self._last_write_s = now_s
            assert self._passage is not None
            ping = self._passage.ping(self._meter)
            if ping:
                context.exchange.write(ping)
        seen = self._meter.output_estimate
        if now_s - self._checkpoint_s >= CHECKPOINT_S or seen - self._checkpoint_tokens >= CHECKPOINT_TOKENS:
            self._checkpoint()

    def interrupt(self, message: str) -> None:
        """The gateway stops: end this request, and say so to the client and in the ledger."""
        if self._stream is not None:
            self._stream.cancel()
        self._note_attempt(self.context.status or None, "interrupted")
        if self._state is State.STREAMING:
            self._break_stream(Fail("vault_lost", message, True))
        else:
            settle.estimate(self.context, 0, "the gateway stopped before the answer")
            self._refuse(Problem(problems.INTERRUPTED, message), "interrupted", True)

    def cut(self, problem: Problem) -> None:
        """Something that this request needs was frozen: end it, and say so to the client and in the ledger. What was seen is
        charged; a provider that was asked and has not answered may charge its input."""
        is_asked = self._stream is not None
        if self._stream is not None:
            self._stream.cancel()
            self._note_attempt(self.context.status or None, "frozen")
        if self._state is State.STREAMING:
            self._break_stream(Fail("frozen", problem.message, True))
            return
        if is_asked:
            settle.estimate(self.context, 0, "cut by a freeze before the answer")
        self._refuse(problem, "interrupted", is_asked)

    def _cancel(self, outcome: str, why: str) -> None:
        context = self.context
        if self._stream is not None:
            self._stream.cancel()
        self._note_attempt(context.status or None, outcome)
        meter = self._meter
        context.outcome = outcome
        context.status = context.status or 499
        if meter is not None:
            reading = meter.reading
            settle.complete(context, reading.usage, meter.output_estimate, reading.finish_reason is not None, why)
        else:
            settle.estimate(context, 0, why)
        self._settle(meter.reading if meter is not None else None)
        self._gate.outbox.schedule()

    def _checkpoint(self) -> None:
        context, meter = self.context, self._meter
        assert meter is not None
        self._checkpoint_s = self._gate.now_s
        self._checkpoint_tokens = meter.output_estimate
        record = records.Checkpoint(
            context.id,
            self._number,
            meter.output_estimate,
            context.bytes_out,
            self._elapsed_ms(),
            context.status,
            meter.reading.usage,
            meter.reading.service_tier,
        )
        self._gate.spool.checkpoint(context.id, records.encode_payload(record))
        self._gate.outbox.schedule()

    def _step(self, step: retry.Step, retry_after_s: float | None) -> bool:
        if step == "give_up":
            return False
        pause = 0.0
        if step == "retry":
            self._retries_left -= 1
            pause = retry_after_s if retry_after_s is not None else RETRY_PAUSE_S
        else:
            self.target = self._deployments_left.pop(0)
            assert self.context.request is not None
            if self.context.request.is_large:
                self._passage = None  # prepared when the attempt begins, in slices
            elif self.prepare() is not None:
                return False
        self._state = State.WAITING
        self._stream = None
        self._head = None
        self._body, self._body_bytes = [], 0
        if pause:
            asyncio.get_running_loop().call_later(pause, self._begin_again)
        else:
            self._begin_again()
        return True

    @guarded(on_fault)
    def _begin_again(self) -> None:
        if self._state is State.SETTLED:
            return
        if self.context.gone:
            self._cancel("client_gone", "the client went away between two attempts")
            return
        while (problem := standing.may_try(self._gate, self.context, self.target)) is not None:
            if not self._deployments_left or problem.case is not problems.FROZEN:
                self._refuse(problem, "interrupted", False)
                return
            self.target = self._deployments_left.pop(0)
            if self.prepare() is not None:
                self._refuse(problem, "interrupted", False)
                return
        try:
            self.begin()
        except SpoolFullError:
            self._refuse(Problem(problems.LEDGER_UNAVAILABLE, "the ledger cannot record"), "upstream_error", False)

    def _refuse(self, problem: Problem, outcome: str, billed: bool) -> None:
        context = self.context
        context.status = problem.case.status
        context.outcome = "client_gone" if context.gone else outcome
        context.error = (problem.case.code, problem.message)
        self._settle(None, billed=billed)
        if not context.gone:
            self._gate.outbox.call(context.exchange, self._gate.refuse, context, problem, self._told())

    def _told(self) -> bytes:
        """Return the header lines of a refusal after attempts: what was asked of whom, and how often."""
        return b"%bx-switchgear-attempts: %d\r\n" % (self.target.headers, self._number)

    def _settle(self, reading: Reading | None, billed: bool = True) -> int | None:
        assert self._state is not State.SETTLED
        context = self.context
        cost = settle.settle(
            context,
            self._gate.spool,
            self._elapsed_ms(),
            billed=billed,
            finish_reason=reading.finish_reason if reading is not None else None,
            response_id=reading.response_id if reading is not None else None,
            service_tier=reading.service_tier if reading is not None else None,
        )
        self._state = State.SETTLED
        if reading is not None and reading.response_id is not None and self._is_kept(reading.response_id):
            key, candidate = context.key, self.target.candidate
            assert key is not None
            assert context.request is not None
            entry = Stored(
                scope_of(key.id, key.team), candidate.deployment, context.request.model, context.now_ms + STORED_MS
            )
            self._gate.remember_stored(reading.response_id, entry)
        self._gate.settled(self)
        self._gate.outbox.schedule()
        self._stream = None  # it holds this transfer: without the cycle both end here, without the collector
        return cost

    def _is_kept(self, response_id: str) -> bool:
        """Tell whether a provider may keep what it answered under this id."""
        return self.context.endpoint.dialect == "responses" and response_id.startswith("resp_")

    def _note_attempt(self, status: int | None, error: str | None, message: str = "") -> None:
        head = self._head
        upstream_id = None
        if head is not None:
            upstream_id = next((value for name, value in head.headers if name in UPSTREAM_IDS), None)
        outcome = AttemptOutcome(
            self._number,
            status,
            error,
            self._attempt_ms,
            self._first_ms,
            self._elapsed_ms(),
            head.connect_ms if head is not None else None,
            clean(upstream_id[:128].decode("latin-1"), 128) if upstream_id is not None else None,
        )
        self.context.attempts.append(outcome)
        if error is not None or (status is not None and status >= 400):
            telling.attempt(self._gate.report, self.context.id, self.target, outcome, message)

    def _has_time(self) -> bool:
        return self._gate.clock.monotonic_s() - self.context.started_s < self.target.candidate.timeouts.total_s

    def _elapsed_ms(self) -> int:
        return int((self._gate.clock.monotonic_s() - self.context.started_s) * 1000)

    def _is_event_stream(self, head: Head) -> bool:
        request = self.context.request
        assert request is not None
        if not request.stream:
            return False
        kind = next((value for name, value in head.headers if name == b"content-type"), b"")
        return kind.startswith((b"text/event-stream", b"application/vnd.amazon.eventstream"))

    def _headers(self, head: Head, default_type: bytes, cost: int | None, forced_type: bytes | None = None) -> bytes:
        """Build the response's headers. The content type is the provider's, unless the answer was translated."""
        request_id = self.context.id.encode()
        parts = [b"x-request-id: ", request_id, b"\r\n", self.target.headers]
        dialect = self.context.endpoint.dialect
        if dialect in ID_HEADERS:
            parts += (ID_HEADERS[dialect], request_id, b"\r\n")
        content_type = default_type
        for name, value in head.headers:
            if name == b"content-type":
                content_type = value
            elif name in PASSED:
                parts += (name, b": ", value, b"\r\n")
            elif name in UPSTREAM_IDS:
                parts += (b"x-switchgear-upstream-request-id: ", header_value(value.decode("latin-1")), b"\r\n")
        if forced_type is not None:
            content_type = forced_type
        parts.append(b"content-type: %b\r\nx-switchgear-attempts: %d\r\n" % (content_type, self._number))
        if cost is not None:
            parts.append(b"x-switchgear-cost-usd: %b\r\n" % format_usd(cost).encode())
        if self.context.snapshot is not None and self.context.snapshot.compat:
            parts.append(litellm.headers(request_id, self._number - 1, self._elapsed_ms(), cost))
        return b"".join(parts)


def _units(request: Request, reading: Reading) -> dict[str, int] | None:
    """Return what is counted otherwise than in tokens; speech is charged by the characters that are asked."""
    if request.operation == "speech" and "input" in request.fields:
        text = msgspec.json.decode(request.fields["input"])
        return {"characters": len(text)} if isinstance(text, str) else None
    return reading.units


def _known_betas(headers: tuple[tuple[bytes, bytes], ...], betas: dict[str, str]) -> Iterator[tuple[bytes, bytes]]:
    """Say `anthropic-beta` in the words that a provider knows; one refused value costs the whole request."""
    for name, value in headers:
        if name != b"anthropic-beta":
            yield name, value
            continue
        kept: dict[str, None] = {}
        for beta in value.decode("latin-1").split(","):
            plain = beta.strip()
            known = next((other for start, other in betas.items() if plain.startswith(start)), plain)
            if known:
                kept[known] = None
        yield name, ",".join(kept).encode("latin-1")


def _wants_sse(context: RequestContext) -> bool:
    return paths.query(context.exchange.head.target, b"alt") == b"sse"


_FAILURES = {
    "connect": (problems.UPSTREAM_UNREACHABLE, "upstream_error"),
    "timeout": (problems.UPSTREAM_TIMEOUT, "timeout"),
    "broken": (problems.UPSTREAM_BROKEN, "upstream_error"),
    "refused": (problems.UPSTREAM_UNREACHABLE, "upstream_error"),
    "overloaded": (problems.OVERLOADED, "upstream_error"),
    "vault_lost": (problems.UPSTREAM_BROKEN, "interrupted"),
    "internal": (problems.INTERNAL, "interrupted"),
    "frozen": (problems.FROZEN, "interrupted"),
}
_MESSAGES = {
    "connect": "the provider cannot be reached",
    "timeout": "the provider was too slow",
    "refused": "the inner gate refused the request",
    "overloaded": "the gateway is at its ceiling",
    "vault_lost": "the request was interrupted inside the gateway",
}
