"""Stages look_at_limits and admit: is there room for this request? Level 4 (docs/invariants.md N1, N3)."""

import functools
from typing import Literal, TypeVar

from switchgear.core import problems
from switchgear.core.problems import Problem
from switchgear.counters.backend import Full
from switchgear.edge import admission, budget_sets, translate
from switchgear.edge.admission import Admission
from switchgear.edge.context import Halt, Lack, RequestContext, Spent
from switchgear.edge.course import Course
from switchgear.edge.limit_sets import Limits
from switchgear.edge.services import EdgeServices
from switchgear.edge.upstream_answers import FREE_OPERATIONS
from switchgear.policies import limits
from switchgear.policies.limits import Why
from switchgear.replica.entries import KeyEntry, Snapshot

COUNTERS_S = 10.0
"""Longer than counters and budgets have a request wait: an answer that is lost ends it with a 503."""
BEHIND = Problem(problems.RATE_LIMITED, "other requests wait for the same limit; try again in 1s", None, 1)


def look(services: EdgeServices, context: RequestContext, key: KeyEntry, snapshot: Snapshot) -> Problem | None:
    """Refuse a key that is at its limit of requests, before its body is read. Nothing is held; what cannot be known is left to
    `take`."""
    operation = context.endpoint.operation
    rules = services.resolver.limits_of_key(snapshot, key) if operation is not None else None
    if rules is None:
        return None
    chosen = rules.free if operation in FREE_OPERATIONS or context.client.is_dry_run else rules.paid
    if not chosen.looks:
        return None
    found = services.counters.peek(chosen.looks)
    if not isinstance(found, Full):
        return None
    admission.show(services, context, chosen.looked_at, chosen.looks, [reading.used for reading in found.readings])
    refusal = limits.judge(chosen.looks, found.lacking, found.readings, services.clock.boot_us())
    wait_s, room_ms = services.queue.wait_s, refusal.retry_after_ms
    is_near = room_ms is not None and (refusal.why is Why.PARALLEL or room_ms <= wait_s * 1_000)
    if wait_s and is_near and not context.client.is_dry_run:
        return None  # it waits for room when its body is there
    return admission.problem_of(chosen.looked_at[refusal.at], refusal, 1)


def take_to_answer(services: EdgeServices, context: RequestContext) -> Problem | Literal[Halt.WAIT] | None:
    """Take what a request needs that is answered here and sent nowhere. The caller owes `answered`."""
    assert context.resolution is not None
    if context.resolution.limits is None:
        return None
    rules, held = context.resolution.limits, _held(services, context)
    if (context.client.is_dry_run or not services.queue.wait_s) or not _stand_behind(services, context, held, rules):
        taken = held.take_request(rules)
        outcome = None if taken is True else taken or Halt.WAIT
        return _waiting(services, context, held, outcome)
    return Halt.WAIT


def answered(context: RequestContext) -> None:
    """It was answered: it counts, and its slots are free."""
    held, context.admission = context.admission, None
    if held is not None:
        held.end(Spent(), (), False)


def _held(services: EdgeServices, context: RequestContext) -> Admission:
    held = context.admission
    if held is None:
        wake = functools.partial(context.exchange.act, services.resume, (services, context))
        held = context.admission = Admission(services, context, wake)
    assert isinstance(held, Admission)
    return held


W = TypeVar("W")


def _stand_behind(services: EdgeServices, context: RequestContext, held: Admission, rules: Limits | None) -> bool:
    """Let a request that came later stand behind those that wait for the same."""
    queue = services.queue
    if queue.is_empty or context.place is not None:
        return False
    bucket = queue.line_before(held.buckets(rules))
    if bucket is None:
        return False
    return _line_up(services, context, held, BEHIND, Lack(bucket, Why.PARALLEL, limits.RETRY_MS))


def _line_up(services: EdgeServices, context: RequestContext, held: Admission, problem: Problem, lack: Lack) -> bool:
    if not services.queue.wait(context, problem, lack):
        return False
    held.pause()
    context.waits_since_s = context.waits_since_s or services.clock.monotonic_s()
    return True


def _waiting(
    services: EdgeServices, context: RequestContext, held: Admission, outcome: Problem | W | None
) -> Problem | W | Literal[Halt.WAIT] | None:
    """See to it that a request which waits is looked after, and that one which is refused for lack of room waits for it."""
    queue = services.queue
    if outcome is Halt.WAIT:
        now_s = services.clock.monotonic_s()
        context.waits_since_s = context.waits_since_s or now_s
        queue.watch(context, admission.BUSY, now_s + COUNTERS_S)
        return Halt.WAIT
    if isinstance(outcome, Problem):
        can_wait = outcome.case is problems.RATE_LIMITED and held.lack is not None and not held.is_final
        if queue.wait_s and can_wait and not context.client.is_dry_run:
            assert held.lack is not None
            if _line_up(services, context, held, outcome, held.lack):
                return Halt.WAIT
    if context.place is not None:
        context.place.leave()
    if context.waits_since_s and outcome is None:
        waited_s = services.clock.monotonic_s() - context.waits_since_s
        context.queue_ms, context.waits_since_s = int(waited_s * 1_000) or None, 0.0
    return outcome


def take(services: EdgeServices, context: RequestContext) -> Problem | Literal[Halt.WAIT, Halt.AGAIN] | None:
    """Take what the request needs of its limits and budgets, or have it wait. Full deployments are passed over."""
    assert context.resolution is not None
    held = _held(services, context)
    if services.queue.wait_s and _stand_behind(services, context, held, context.resolution.limits):
        return Halt.WAIT
    return _waiting(services, context, held, _take(context, held))


def _take(context: RequestContext, held: Admission) -> Problem | Literal[Halt.WAIT, Halt.AGAIN] | None:
    resolution, course = context.resolution, context.course
    assert resolution is not None
    assert course is not None
    taken = held.take_request(resolution.limits)
    if taken is not True:
        return taken or Halt.WAIT
    while True:
        number = course.number + 1
        if (
            context.translation is None
            and resolution.budgets is budget_sets.NONE
            and not course.current.budgets.budgets
        ):
            return None  # a large body is translated when the attempt begins, and room is taken then
        taken = held.take_attempt(course.current, number)
        if taken is True:
            return _limited(context, course)
        if taken is False:
            return Halt.WAIT
        if held.reroute is not None:
            return Halt.AGAIN
        if held.is_final or taken is admission.BUSY or not _pass_over(context, course, taken):
            return taken if held.is_final else held.full or taken


def _limited(context: RequestContext, course: Course) -> Problem | None:
    """Translate a body anew that gets an output limit by what its budgets give; a large one when the attempt begins."""
    assert context.request is not None
    if context.translation is None and not context.request.is_large:
        return translate.prepare(context, course)
    return None


def _pass_over(context: RequestContext, course: Course, full: Problem) -> bool:
    """Go on to the next deployment that can be asked this; False when there is none."""
    if not course.pass_over(admission.passed_over(full)):
        return False
    assert context.request is not None
    if context.request.is_large:
        context.translation = None
        return True
    return translate.prepare(context, course) is None
