"""What a request holds of limits and budgets, from its admission to its end. Level 4 (docs/invariants.md N1, N3, N4).

Two tickets: one of the limits of who asks and of the model that is asked for, taken once; one of all budgets, and of the limits
of the deployment and its provider, taken for each attempt. What is full of who asks is a refusal, also where an attempt was made; a
deployment that is full is passed over. A budget that others hold is waited for. Counters may answer in a later turn: then whoever
waits is woken, once. Whatever ends the request calls `end` or `let_go`, and what is answered later is given back.
"""

import math
from collections.abc import Callable, Iterable, Sequence

from switchgear.core import problems
from switchgear.core.ids import attempt_id
from switchgear.core.problems import Problem
from switchgear.core.usage import TokenUsage
from switchgear.counters.backend import Answer, Full, Taken, Ticket, Unknown
from switchgear.dialects import input_estimate
from switchgear.dialects.rate_limit_headers import Left, RoomsLeft
from switchgear.edge import budget_claims, budget_settlement, limit_sets, shared_limits
from switchgear.edge.budget_claims import Claims
from switchgear.edge.budget_sets import Counted
from switchgear.edge.context import Lack, RequestContext, Spent
from switchgear.edge.limit_sets import Limits, LimitSet, Values
from switchgear.edge.reach import Reached
from switchgear.edge.resolver import PricedDeployment
from switchgear.edge.services import EdgeServices
from switchgear.edge.shared_limits import SharedLimit
from switchgear.edge.upstream_answers import FREE_OPERATIONS
from switchgear.policies import limits
from switchgear.policies.buckets import Hold, Kind
from switchgear.policies.budgets import identity
from switchgear.policies.limits import Expected, Limit, Refusal, Unit, Why

BUSY = Problem(problems.OVERLOADED, "the counters of limits cannot be read; try again in a moment", None, 1)
BUDGET_WAIT_S = 5.0
"""How long a request waits for a budget that others hold."""
WAIT_S_MIN, WAIT_S_MAX = 0.02, 0.25
"""How long it waits before it asks again: a little longer each time."""


class _Held:
    """A ticket, with what it was taken for."""

    __slots__ = ("amounts", "budgets", "deployment", "limits", "more", "name", "ticket")

    def __init__(
        self,
        ticket: Ticket,
        held: tuple[Limit, ...],
        budgets: tuple[Counted, ...] = (),
        deployment: str = "",
        more: tuple[Limit, ...] = (),
        amounts: Sequence[Hold] = (),
        name: str = "",
    ) -> None:
        self.ticket = ticket
        self.limits = held
        self.budgets = budgets
        self.deployment = deployment
        self.more = more
        """What classes that share a limit count, behind the budgets."""
        self.amounts = amounts
        """What is held of each budget."""
        self.name = name
        """The attempt's id."""

    def actual(self, usage: Expected) -> list[int]:
        """Return what was used of each limit."""
        return [usage.amount(limit.unit) for limit in self.limits]


class Admission:
    """One request's."""

    __slots__ = (
        "_answer",
        "_asked",
        "_attempt",
        "_claims",
        "_context",
        "_counters",
        "_expected",
        "_holds",
        "_is_free",
        "_is_kept",
        "_is_over",
        "_is_waiting",
        "_reached",
        "_requester",
        "_routed",
        "_services",
        "_values",
        "_waits",
        "_waits_until_s",
        "_wake",
        "full",
        "is_final",
        "lack",
        "reroute",
        "spent",
    )

    def __init__(self, services: EdgeServices, context: RequestContext, wake: Callable[[], None]) -> None:
        """`wake` is called when counters answered in a later turn."""
        request = context.request
        assert request is not None
        self._services, self._context, self._counters = services, context, services.counters
        self._wake = wake
        self._is_free = request.operation in FREE_OPERATIONS or context.client.is_dry_run
        self._is_kept = context.recall is not None and context.recall.answer is not None
        self._is_over = self._is_waiting = False
        self._answer: Answer | None = None
        """What came in a later turn and nobody has looked at yet."""
        self._asked: tuple[Limit | Counted, ...] = ()
        """What was asked for last: its answer may come when something else is wanted."""
        self._requester: _Held | None = None
        self._attempt: _Held | None = None
        self._expected = expected(services, context)
        self._values = values_of(context)
        self._holds: list[Hold] = []
        self._claims: Claims | None = None
        """What was asked for last of budgets."""
        self._reached: dict[str, Reached] = {}
        self._routed: frozenset[str] = frozenset()
        self._waits, self._waits_until_s = 0, 0.0
        self.full: Problem | None = None
        """Of deployments that were full: what is told when no other is left."""
        self.is_final = False
        """The last answer is about who asks: no other deployment helps."""
        self.lack: Lack | None = None
        """Which limit had no room, where the last answer was that."""
        self.reroute: str | None = None
        """The model that a budget that is spent leads to."""
        self.spent: Problem | None = None
        """What is told of that budget where the model cannot be called."""

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
            self._note_lack(refusal, holds)
            return problem_of(chosen.limits[refusal.at], refusal, holds[refusal.at].amount)
        return BUSY

    def take_attempt(self, deployment: PricedDeployment, number: int) -> Problem | bool:
        """Take the budgets, and the limits of a deployment, for the attempt of that number; as `take_request`."""
        self.is_final = False
        held = self._attempt
        if held is not None:
            if held.deployment == deployment.deployment.id:
                return True
            self._attempt = None
            self._counters.release(held.ticket)
        chosen = self._chosen(deployment.limits)
        claims = self._claimed(deployment)
        if claims is None and chosen is None:
            return True
        if isinstance(claims, Problem):
            self.is_final = claims.case is not problems.MODEL_UNPRICED
            self.full = self.full or claims
            return claims
        if isinstance(claims, Unknown):
            return self._wait(BUSY)
        rules = chosen.limits if chosen is not None else ()
        asked: tuple[Limit | Counted, ...] = rules if claims is None else (*rules, *claims.counted)
        if self._is_waiting:
            return False
        if self._asked != asked:
            self._drop_answer()
        answer, self._answer = self._answer, None
        name = attempt_id(self._context.id, number)
        if answer is None:
            holds = chosen.holds(self._expected, self._values) if chosen is not None else []
            if claims is not None:
                holds += claims.holds
            self._asked, self._claims, self._holds = asked, claims, holds
            if chosen is not None and chosen.shared:
                holds = shared_limits.with_classes(chosen.shared, holds, self._values.names, self._counters)
            answer = self._counters.take(holds, name, self._on_answer)
            if answer is None:
                self._is_waiting = True
                return False
        if isinstance(answer, Taken):
            self._take(answer, rules, deployment, chosen.shared if chosen is not None else (), name)
            return True
        if chosen is not None and chosen.shared and isinstance(answer, Full):
            shared_limits.note_refused(chosen.shared, self._values.names, self._context.id, self._counters)
        return self._refused(answer, rules, deployment)

    def _claimed(self, deployment: PricedDeployment) -> Claims | Problem | Unknown | None:
        """Return what is wanted of budgets; what is asked for already where the counters have not answered or just did."""
        context = self._context
        resolution = context.resolution
        assert resolution is not None
        if (not resolution.budgets.budgets and not deployment.budgets.budgets) or self._is_free:
            return None
        if self._claims is not None and (self._is_waiting or self._answer is not None):
            return self._claims
        return budget_claims.of(self._services, context, deployment, self._values, self._reached, self._routed)

    def _take(
        self,
        answer: Taken,
        rules: tuple[Limit, ...],
        deployment: PricedDeployment,
        shared: tuple[SharedLimit, ...],
        name: str,
    ) -> None:
        claims, context = self._claims, self._context
        counted = claims.counted if claims is not None else ()
        more = tuple(limit for rule in shared for limit in rule.more)
        amounts = claims.holds if claims is not None else ()
        self._attempt = _Held(answer.ticket, rules, counted, deployment.deployment.id, more, amounts, name)
        self._waits, self._waits_until_s = 0, 0.0
        if claims is None:
            context.held = None
            return
        lasts_s = context.course.lasts_s if context.course is not None else 0
        context.held = (claims.recorded(), answer.at_us, math.ceil(lasts_s))
        if claims.caps_tools and not context.caps_tools:
            context.caps_tools, context.translation = True, None
        if claims.write_output is not None and context.output_bound != claims.write_output:
            context.output_bound, context.translation = claims.write_output, None
            if context.recall is not None and not claims.is_single:
                context.recall.stores = False  # one of them may be shorter than others would get it

    def _refused(
        self, answer: Full | Unknown, rules: tuple[Limit, ...], deployment: PricedDeployment
    ) -> Problem | bool:
        """Return what follows from what was not taken: what helps nobody first, then another deployment, then waiting."""
        claims = self._claims
        if isinstance(answer, Unknown):
            return BUSY if claims is None else self._wait(BUSY)
        holds, readings = self._holds, answer.readings
        budgeted = 0 if claims is None else len(claims.counted)
        lacking = [at for at in answer.lacking if len(rules) <= at < len(rules) + budgeted]
        if claims is not None and lacking:
            of = [(at, claims.counted[at - len(rules)], claims.places[at - len(rules)]) for at in lacking]
            over = [
                (one, budget_claims.spent(one, holds[at], readings[at], place))
                for at, one, place in of
                if limits.why_full(holds[at], readings[at]) != Why.HELD
            ]
            if over and claims.is_sized and self._may_be_smaller(deployment, claims):
                return self._wait(budget_claims.held(over[0][0]))
            for one, problem in over:
                if not one.is_of_place:
                    if one.budget.on_spent is not None and identity(one.budget) not in self._routed:
                        self._routed |= {identity(one.budget)}
                        self.reroute, self.spent = one.budget.on_spent, problem
                    self.is_final = True
                    return problem
            if over:
                return self._pass_over(over[0][1])
            held_by_place = [one for _, one, _ in of if one.is_of_place]
            course = self._context.course
            is_last = course is None or not course.has_next
            if len(lacking) == len(answer.lacking) and (is_last or not held_by_place):
                return self._wait(budget_claims.held(of[0][1]))
            if held_by_place:
                return self._pass_over(budget_claims.held(held_by_place[0]))
        at_limits = [at for at in answer.lacking if at < len(rules)]
        refusal = limits.judge(holds, at_limits, readings, self._services.clock.boot_us())
        refusal = shared_limits.true_refusal(refusal, holds, readings)
        self._note_lack(refusal, holds)
        return self._pass_over(problem_of(rules[refusal.at], refusal, holds[refusal.at].amount))

    def _may_be_smaller(self, deployment: PricedDeployment, claims: Claims) -> bool:
        """Tell whether less than was asked for would do: others spent a part of what was left in between."""
        now = budget_claims.of(self._services, self._context, deployment, self._values, self._reached, self._routed)
        if not isinstance(now, Claims) or now.counted != claims.counted:
            return False
        return any(one.amount < before.amount for one, before in zip(now.holds, claims.holds, strict=True))

    def _note_lack(self, refusal: Refusal, holds: Sequence[Hold]) -> None:
        wait_ms = refusal.retry_after_ms
        self.lack = None if wait_ms is None else Lack(holds[refusal.at].bucket.key, refusal.why, wait_ms)

    def buckets(self, rules: Limits | None) -> list[str]:
        """Return the names of what `take_request` would ask for."""
        chosen = self._chosen(rules)
        return [] if chosen is None else [hold.bucket.key for hold in chosen.holds(self._expected, self._values)]

    def pause(self) -> None:
        """Give everything back while the request waits for room; it asks again then."""
        self._drop_answer()
        for held in (self._attempt, self._requester):
            if held is not None:
                self._counters.release(held.ticket)
        self._attempt = self._requester = self.full = self.lack = None
        self._context.held = None

    def forget(self) -> None:
        """Limits or budgets are others by now: what was asked for last is asked anew."""
        self._drop_answer()
        self._claims = None

    def _pass_over(self, problem: Problem) -> Problem:
        self.full = _sooner(self.full, problem)
        return problem

    def _wait(self, problem: Problem) -> Problem | bool:
        """Ask again a little later, for some seconds; then that is what is told."""
        now_s = self._services.clock.monotonic_s()
        if not self._waits:
            self._waits_until_s = now_s + BUDGET_WAIT_S
        if now_s >= self._waits_until_s:
            self._waits = 0
            self.is_final = True
            return problem
        self._waits += 1
        self._is_waiting = True
        delay_s = min(WAIT_S_MAX, WAIT_S_MIN * self._waits)
        self._services.loop.call_later(delay_s, self._context.exchange.act, self._waited, ())
        return False

    def _waited(self) -> None:
        self._is_waiting = False
        if not self._is_over:
            self._wake()

    def _chosen(self, rules: Limits | None) -> LimitSet | None:
        if rules is not None and self._is_kept:
            chosen: LimitSet | None = rules.kept
        else:
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
            answer = self._counters.take(holds, name, self._on_answer)
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

    @property
    def budgeted(self) -> int | None:
        """The number of the attempt that it holds budgets for."""
        held = self._attempt
        return int(held.name.rpartition("-")[2]) if held is not None and held.budgets else None

    def adopt(self, other: "Admission") -> None:
        """Go on with what another one holds for an attempt."""
        self._attempt, other._attempt = other._attempt, None

    def overrun(self, usage: TokenUsage, cost_nanousd: int | None) -> Problem | None:
        """Return what is told where a stream costs more than is held of a hard budget; None where it does not."""
        held = self._attempt
        if held is None:
            return None
        amounts = budget_settlement.used(held.budgets, usage, cost_nanousd, 1)
        for one, hold, used in zip(held.budgets, held.amounts, amounts, strict=True):
            if hold.bucket.is_hard and used is not None and used > hold.amount:
                return budget_claims.overrun(one)
        return None

    def end_attempt(self, spent: Spent, requests: int = 0) -> None:
        """An attempt failed and another may follow. `requests`: 1 for the last one."""
        held, self._attempt = self._attempt, None
        self._context.held = None
        if held is None:
            return
        if not spent.is_sent:
            self._counters.release(held.ticket)
            return
        amounts = held.actual(_used(spent.usage))
        amounts += budget_settlement.booked(held.budgets, held.amounts, spent, requests)
        amounts += [_used(spent.usage).amount(limit.unit) for limit in held.more]
        if spent.is_certain or not held.budgets:
            self._counters.settle(held.ticket, amounts)
        else:
            if spent.is_late:
                amounts = _whole_windows(held, amounts)
            until_us = self._services.clock.boot_us() + int(spent.until_s * 1_000_000)
            self._counters.settle_partly(held.ticket, amounts, until_us)
            number = int(held.name.rpartition("-")[2])
            self._context.still_charged = {**self._context.still_charged, number: math.ceil(spent.until_s)}
            if spent.is_late:
                self._services.uncertain.add(held.name, [held.ticket])

    def end(self, spent: Spent, before: Iterable[TokenUsage], is_complete: bool) -> None:
        """The request is settled. `before` is the use of attempts that failed."""
        self._is_over = True
        self._drop_answer()
        used, is_sent = _used(spent.usage), spent.is_sent
        self.end_attempt(spent, 1)
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
        self._context.held = None

    def _drop_answer(self) -> None:
        answer, self._answer = self._answer, None
        if isinstance(answer, Taken):
            self._counters.release(answer.ticket)

    def _close(self, held: _Held, used: Expected, is_sent: bool) -> None:
        if is_sent:
            self._counters.settle(held.ticket, held.actual(used))
        else:
            self._counters.release(held.ticket)


def _whole_windows(held: _Held, amounts: list[int]) -> list[int]:
    """Let rolling budgets count all that an answer in the background holds: what it cost is told when its window may be over."""
    first = len(amounts) - len(held.amounts) - len(held.more)
    whole = list(amounts)
    for at, hold in enumerate(held.amounts, first):
        if hold.bucket.kind == Kind.WINDOW:
            whole[at] = max(amounts[at], hold.amount)
    return whole


def passed_over(problem: Problem) -> str:
    """Return why a deployment is passed over, as records say it."""
    return f"full ({problem.rule})" if problem.rule else problem.case.code


def let_go(context: RequestContext) -> None:
    """Give back what a request holds that is refused or left before anything was sent for it."""
    admission, context.admission = context.admission, None
    if admission is not None:
        admission.let_go()
    if context.recall is not None:
        context.recall.leave()
    if context.place is not None:
        context.place.leave()


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
