"""Answers from what is kept: plain ones at once, streams piece by piece as they were written. Level 4.

A hit has its own two records, with no attempt, no tokens and a cost of 0, and with what the answer cost when it was made
(`saved_nanousd`). Its settlement is written before its client sees the end, as every one.
"""

from switchgear.core import problems
from switchgear.core.problems import Problem
from switchgear.edge import admit, endings, heads, settle
from switchgear.edge.answer_cache import HIT, CachedAnswer
from switchgear.edge.context import RequestContext
from switchgear.edge.services import EdgeServices
from switchgear.wire.frames import Head

TURN_PIECES = 64
TURN_BYTES = 262_144
"""What a stream writes in one turn of the loop."""


def answer(services: EdgeServices, context: RequestContext, kept: CachedAnswer) -> None:
    """Answer a request that is reserved."""
    if kept.is_stream:
        Replay(services, context, kept).begin()
        return
    context.status, context.outcome, context.bytes_out = 200, "ok", kept.size
    elapsed_ms = _elapsed_ms(services, context)
    _settle(services, context, kept, elapsed_ms)
    headers = _headers(context, kept, services.clock.monotonic_s(), elapsed_ms)
    services.commit.call(context.exchange, context.exchange.send, 200, headers, kept.pieces[0])


def _elapsed_ms(services: EdgeServices, context: RequestContext) -> int:
    return int((services.clock.monotonic_s() - context.started_s) * 1000)


def _settle(services: EdgeServices, context: RequestContext, kept: CachedAnswer, elapsed_ms: int) -> None:
    settle.settle(
        context,
        services.spool,
        elapsed_ms,
        finish_reason=kept.finish_reason,
        billed=False,
        is_cached=True,
        saved_nanousd=kept.cost_nanousd,
    )
    admit.answered(context)


def _headers(context: RequestContext, kept: CachedAnswer, now_s: float, elapsed_ms: int) -> bytes:
    assert context.course is not None
    lines = heads.response(
        context,
        context.course.current,
        Head(200, [], None),
        0,
        elapsed_ms,
        default_type=kept.content_type,
        cost=None if kept.is_stream else 0,
    )
    # RFC 9111 §5.1: how old the answer is (read 2026-11-28)
    return b"%bx-switchgear-cache: %b\r\nage: %d\r\n" % (lines, HIT, max(0, int(now_s - kept.made_s)))


class Replay:
    """Owns a request whose answer is a kept stream (`context.InProgress`)."""

    __slots__ = ("_at", "_context", "_is_soon", "_kept", "_services")

    def __init__(self, services: EdgeServices, context: RequestContext, kept: CachedAnswer) -> None:
        self._services, self._context, self._kept = services, context, kept
        self._at = 0
        self._is_soon = False

    def begin(self) -> None:
        """Send the head, when the reservation is written."""
        services, context = self._services, self._context
        services.running.add(context)
        context.transfer = self
        context.status = 200
        context.ttft_ms = _elapsed_ms(services, context)
        headers = _headers(context, self._kept, services.clock.monotonic_s(), context.ttft_ms)
        services.commit.call(context.exchange, self._start, headers)

    def _start(self, headers: bytes) -> None:
        if self._is_over:
            return
        self._context.exchange.start(200, headers)
        self._go_on()

    @property
    def _is_over(self) -> bool:
        return self._context.transfer is not self

    def _go_on(self) -> None:
        """Write what the client takes, and a few pieces per turn."""
        self._is_soon = False
        context, pieces = self._context, self._kept.pieces
        exchange, written = context.exchange, 0
        if self._is_over:
            return
        last = self._at + TURN_PIECES
        while self._at < len(pieces) and not exchange.is_blocked:
            if self._at >= last or written >= TURN_BYTES:
                self._is_soon = True
                self._services.loop.call_soon(exchange.act, self._go_on, ())
                return
            piece = pieces[self._at]
            self._at += 1
            written += len(piece)
            context.bytes_out += len(piece)
            exchange.write(piece)
        if self._at == len(pieces):
            self._end("ok")
            self._services.commit.call(exchange, exchange.end)

    def _end(self, outcome: str, problem: Problem | None = None) -> None:
        services, context = self._services, self._context
        context.outcome = outcome
        if problem is not None:
            context.error, context.problem = (problem.case.code, problem.message), problem
        _settle(services, context, self._kept, _elapsed_ms(services, context))
        services.running.settled(context)
        services.commit.schedule()

    def _break(self, problem: Problem) -> None:
        exchange = self._context.exchange
        self._end("interrupted", problem)
        self._services.commit.call(exchange, exchange.abort)

    # context.InProgress

    def on_gone(self) -> None:
        """The client went away."""
        self._context.client_gone = True
        self._end("client_gone")

    def on_writable(self) -> None:
        """The client reads again."""
        if not self._is_soon and self._context.exchange.is_started:
            self._go_on()

    def on_fault(self, exc: Exception) -> None:
        """Something unexpected was raised about the request."""
        self._services.guard.caught(exc, self._context.id)
        self._break(endings.INTERNAL)

    def check(self, now_s: float) -> None:
        """Nothing is waited for but the client, whom the server watches."""

    def interrupt(self, message: str) -> None:
        """The gateway stops."""
        self._break(Problem(problems.INTERRUPTED, message))

    def cut(self, problem: Problem) -> None:
        """Something that the request needs was frozen."""
        self._break(problem)
