"""Stages look_at_limits and admit: is there room for this request? Level 4 (docs/invariants.md N1, N3)."""

import functools
from typing import Literal

from switchgear.core.problems import Problem
from switchgear.counters.backend import Full
from switchgear.edge import admission, budget_sets, translate
from switchgear.edge.admission import Admission
from switchgear.edge.context import Halt, RequestContext, Spent
from switchgear.edge.course import Course
from switchgear.edge.services import EdgeServices
from switchgear.edge.upstream_answers import FREE_OPERATIONS
from switchgear.policies import limits
from switchgear.replica.entries import KeyEntry, Snapshot


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
    return admission.problem_of(chosen.looked_at[refusal.at], refusal, 1)


def take_to_answer(services: EdgeServices, context: RequestContext) -> Problem | Literal[Halt.WAIT] | None:
    """Take what a request needs that is answered here and sent nowhere. The caller owes `answered`."""
    assert context.resolution is not None
    if context.resolution.limits is None:
        return None
    taken = _held(services, context).take_request(context.resolution.limits)
    return None if taken is True else taken or Halt.WAIT


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


def take(services: EdgeServices, context: RequestContext) -> Problem | Literal[Halt.WAIT, Halt.AGAIN] | None:
    """Take what the request needs of its limits and budgets. Full deployments are passed over."""
    resolution, course = context.resolution, context.course
    assert resolution is not None
    assert course is not None
    held = _held(services, context)
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
