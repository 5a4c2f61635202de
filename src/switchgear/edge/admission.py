"""What a request holds of limits, from its admission to its end. Level 4 (docs/invariants.md N1, N3).

Two tickets: one of who asks and of the model that is asked for, taken once; one of the deployment and its provider, taken for each
attempt. A limit of the first that is full is a refusal; a deployment that is full is passed over. Counters may answer in a later
turn: then whoever waits is woken, once. Whatever ends the request calls `end` or `let_go`, and what is answered later is given
back.
"""

from collections.abc import Callable, Iterable, Sequence

from switchgear.core import problems
from switchgear.core.ids import attempt_id
from switchgear.core.problems import Problem
from switchgear.core.usage import TokenUsage
from switchgear.counters.backend import Answer, Full, Taken, Ticket
from switchgear.dialects import input_estimate
from switchgear.dialects.rate_limit_headers import Left, RoomsLeft
from switchgear.edge import limit_sets, shared_limits
from switchgear.edge.answering import FREE_OPERATIONS
from switchgear.edge.context import RequestContext
from switchgear.edge.limit_sets import Limits, LimitSet, Values
from switchgear.edge.resolver import PricedDeployment
from switchgear.edge.services import EdgeServices
from switchgear.policies import limits
from switchgear.policies.buckets import Hold
from switchgear.policies.limits import Expected, Limit, Refusal, Unit, Why

BUSY = Problem(problems.OVERLOADED, "the counters of limits cannot be read; try again in a moment", None, 1)


class _Held:
    """A ticket, with what it was taken for."""

    __slots__ = ("limits", "ticket")

    def __init__(self, ticket: Ticket, held: tuple[Limit, ...]) -> None:
        self.ticket = ticket
        self.limits = held

    def actual(self, usage: Expected) -> list[int]:
        """Return what was used of each limit."""
        return [usage.amount(limit.unit) for limit in self.limits]


class Admission:
    """One request's."""

    __slots__ = (
        "_answer",
        "_asked",
        "_attempt",
        "_context",
        "_counters",
        "_expected",
        "_is_free",
        "_is_over",
        "_is_waiting",
        "_requester",
        "_services",
        "_values",
        "_wake",
        "full",
    )

    def __init__(self, services: EdgeServices, context: RequestContext, wake: Callable[[], None]) -> None:
        """`wake` is called when counters answered in a later turn."""
        request = context.request
        assert request is not None
        self._services, self._context, self._counters = services, context, services.counters
        self._wake = wake
        self._is_free = request.operation in FREE_OPERATIONS or context.client.is_dry_run
        self._is_over = self._is_waiting = False
        self._answer: Answer | None = None
        """What came in a later turn and nobody has looked at yet."""
        self._asked: tuple[Limit, ...] = ()
        """What was asked for last: its answer may come when something else is wanted."""
        self._requester: _Held | None = None
        self._attempt: _Held | None = None
        self._expected = expected(services, context)
        self._values = values_of(context)
        self.full: Problem | None = None
        """Of deployments that were full: what is told when no other is left."""

    def wakes(self, wake: Callable[[], None]) -> None:
        """Say who is woken from now on."""
        self._wake = wake

    # taking

    def take_request(self, rules: Limits | None) -> Problem | bool:
        """Take the limits of who asks: True when they are taken, False while the answer is to come, else why not."""
        chosen = self._chosen(rules)
        if chosen is None or self._requester is not None:
            return True
        holds, answer = self._ask(chosen, self._context.id)
        if answer is None:
            return False
        if isinstance(answer, Taken):
            self._requester = _Held(answer.ticket, chosen.limits)
            self._show(chosen, holds, answer.used)
            return True
        if isinstance(answer, Full):
            self._show(chosen, holds, tuple(reading.used for reading in answer.readings))
            refusal = limits.judge(holds, answer.lacking, answer.readings, self._services.clock.boot_us())
            return problem_of(chosen.limits[refusal.at], refusal, holds[refusal.at].amount)
        return BUSY

    def take_attempt(self, deployment: PricedDeployment, number: int) -> Problem | bool:
        """Take the limits of a deployment for the attempt of that number; as `take_request`."""
        chosen = self._chosen(deployment.limits)
        if chosen is None or self._attempt is not None:
            return True
        holds, answer = self._ask(chosen, attempt_id(self._context.id, number))
        if answer is None:
            return False
        if isinstance(answer, Taken):
            more = (limit for rule in chosen.shared for limit in rule.more)
            self._attempt = _Held(answer.ticket, (*chosen.limits, *more) if chosen.shared else chosen.limits)
            return True
        if isinstance(answer, Full):
            refusal = limits.judge(holds, answer.lacking, answer.readings, self._services.clock.boot_us())
            if chosen.shared:
                shared_limits.note_refused(chosen.shared, self._values.names, self._context.id, self._counters)
                refusal = shared_limits.true_refusal(refusal, holds, answer.readings)
            problem = problem_of(chosen.limits[refusal.at], refusal, holds[refusal.at].amount)
            self.full = _sooner(self.full, problem)
            return problem
        return BUSY

    def _chosen(self, rules: Limits | None) -> LimitSet | None:
        chosen = None if rules is None else rules.free if self._is_free else rules.paid
        return chosen if chosen is not None and chosen.limits else None

    def _ask(self, chosen: LimitSet, name: str) -> tuple[list[Hold], Answer | None]:
        holds = chosen.holds(self._expected, self._values)
        if self._is_waiting:
            return holds, None
        if self._asked != chosen.limits:
            self._drop_answer()
        answer, self._answer = self._answer, None
        if answer is None:
            self._asked = chosen.limits
            wanted = shared_limits.with_classes(chosen.shared, holds, self._values.names, self._counters)
            answer = self._counters.take(wanted, name, self._on_answer)
            self._is_waiting = answer is None
        return holds, answer

    def _on_answer(self, answer: Answer) -> None:
        self._is_waiting = False
        if self._is_over:
            if isinstance(answer, Taken):
                self._counters.release(answer.ticket)
            return
        self._answer = answer
        self._wake()

    def _show(self, chosen: LimitSet, holds: list[Hold], used: tuple[int, ...]) -> None:
        show(self._services, self._context, chosen.limits, holds, used)

    # giving back

    def end_attempt(self, usage: TokenUsage | None, is_sent: bool) -> None:
        """An attempt failed and another may follow. `usage` is what it may have cost; None: nothing."""
        held, self._attempt = self._attempt, None
        if held is not None:
            self._close(held, _used(usage), is_sent)

    def end(self, usage: TokenUsage | None, before: Iterable[TokenUsage], is_sent: bool, is_complete: bool) -> None:
        """The request is settled. `before` is the use of attempts that failed; `is_sent` when a provider was asked."""
        self._is_over = True
        self._drop_answer()
        used = _used(usage)
        self.end_attempt(usage, is_sent)
        held, self._requester = self._requester, None
        if held is not None:
            more = [_used(one) for one in before]
            total = Expected(
                input=used.input + sum(one.input for one in more), output=used.output + sum(one.output for one in more)
            )
            self._close(held, total, is_sent)
        request = self._context.request
        if is_complete and used.output and request is not None:
            self._services.output_sizes.add(_sizes_of(self._context), used.output)

    def let_go(self) -> None:
        """The request ends before anything was sent."""
        self._is_over = True
        self._drop_answer()
        for held in (self._attempt, self._requester):
            if held is not None:
                self._counters.release(held.ticket)
        self._attempt = self._requester = None

    def _drop_answer(self) -> None:
        answer, self._answer = self._answer, None
        if isinstance(answer, Taken):
            self._counters.release(answer.ticket)

    def _close(self, held: _Held, used: Expected, is_sent: bool) -> None:
        if is_sent:
            self._counters.settle(held.ticket, held.actual(used))
        else:
            self._counters.release(held.ticket)


def let_go(context: RequestContext) -> None:
    """Give back what a request holds that is refused or left before anything was sent for it."""
    admission, context.admission = context.admission, None
    if admission is not None:
        admission.let_go()


def expected(services: EdgeServices, context: RequestContext) -> Expected:
    """Return the tokens that a request will probably use."""
    request = context.request
    assert request is not None
    estimate = input_estimate.tokens(context.bytes_in, context.media)
    usual = services.output_sizes.usual(_sizes_of(context))
    return limits.expected(estimate, context.bytes_in, request.output_tokens_max, usual)


def _sizes_of(context: RequestContext) -> str:
    """Return whose answers tell how long the next one will be: of the same key and model, so that nobody's short ones lower what
    others reserve."""
    assert context.key is not None
    assert context.request is not None
    return f"{context.key.id} {context.request.model}"


def values_of(context: RequestContext) -> Values:
    """Return who asks, for limits that have a bucket for each."""
    key, request, client, resolution = context.key, context.request, context.client, context.resolution
    assert key is not None
    assert request is not None
    return Values(
        key_id=key.id,
        user=key.user,
        end_user=request.end_user or client.end_user,
        model=(resolution.counted_as if resolution is not None else "") or request.model,
        client=client.tool.partition("/")[0].strip().lower() if client.tool else None,
        tags=(*(key.tags or ()), *(client.tags or ()), *(request.tags or ())),
        names=(key.name, *([key.team] if key.team else ()), *(key.tags or ())),
    )


def problem_of(limit: Limit, refusal: Refusal, amount: int) -> Problem:
    """Return what a client is told of a limit that is full."""
    told = limit_sets.described(limit)
    if refusal.why == Why.TOO_LARGE or refusal.retry_after_ms is None:
        advice = "waiting does not help, a smaller max_tokens or input may"
        text = f"the request is too large for {told}: it would use about {amount}; {advice}"
        return Problem(problems.OVER_LIMIT, text, rule=limit_sets.label(limit))
    seconds = -(-refusal.retry_after_ms // 1_000)
    return Problem(
        problems.RATE_LIMITED, f"{told} is reached; try again in {seconds}s", None, seconds, limit_sets.label(limit)
    )


def _sooner(one: Problem | None, other: Problem) -> Problem:
    """Return the problem that is over first."""
    if one is None or one.retry_after_s is None:
        return other
    return other if other.retry_after_s is not None and other.retry_after_s < one.retry_after_s else one


def rooms_left(held: tuple[Limit, ...], holds: Sequence[Hold], used: Sequence[int]) -> RoomsLeft:
    """Return what headers tell: of requests and of tokens the limit with the least left."""
    units = [limit.unit for limit in held]

    def of(*wanted: Unit) -> Left | None:
        room = limits.tightest(holds, used, units, set(wanted))
        return None if room is None else Left(room.limit, room.remaining, room.reset_ms)

    return RoomsLeft(
        requests=of(Unit.REQUESTS),
        tokens=of(Unit.TOTAL) or of(Unit.INPUT, Unit.OUTPUT),
        input_tokens=of(Unit.INPUT),
        output_tokens=of(Unit.OUTPUT),
    )


def show(
    services: EdgeServices,
    context: RequestContext,
    held: tuple[Limit, ...],
    holds: Sequence[Hold],
    used: Sequence[int],
) -> None:
    """Fill `context.limit_headers`, where the client's dialect has such headers."""
    style = context.endpoint.dialect.rate_limits
    if style is not None:
        context.limit_headers = style(rooms_left(held, holds, used), services.clock.wall_ms())


def _used(usage: TokenUsage | None) -> Expected:
    if usage is None:
        return Expected(input=0, output=0)
    return Expected(input=usage.input_total, output=usage.output_total)
