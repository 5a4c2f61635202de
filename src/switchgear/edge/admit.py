"""Stages look_at_limits and admit: is there room for this request? Level 4 (docs/invariants.md N1, N3)."""

import functools
from typing import Literal

from switchgear.core.problems import Problem
from switchgear.counters.backend import Unknown
from switchgear.edge import admission, translate
from switchgear.edge.admission import Admission
from switchgear.edge.answering import FREE_OPERATIONS
from switchgear.edge.context import Halt, RequestContext
from switchgear.edge.course import Course
from switchgear.edge.services import EdgeServices
from switchgear.policies import limits
from switchgear.policies.buckets import Hold
from switchgear.replica.entries import KeyEntry, Snapshot


def look(services: EdgeServices, context: RequestContext, key: KeyEntry, snapshot: Snapshot) -> Problem | None:
    """Refuse a key that is at its limit of requests, before its body is read. Nothing is held; what cannot be known is left to
    `take`."""
    operation = context.endpoint.operation
    rules = services.resolver.limits_of_key(snapshot, key) if operation is not None else None
    if rules is None:
        return None
    chosen = rules.free if operation in FREE_OPERATIONS else rules.paid
    if not chosen.looks:
        return None
    readings = services.counters.read([bucket for _, bucket in chosen.looks])
    if isinstance(readings, Unknown):
        return None
    lacking = [at for at, (_, bucket) in enumerate(chosen.looks) if readings[at].used > bucket.limit]
    if not lacking:
        return None
    looked_at = tuple(chosen.limits[position] for position, _ in chosen.looks)
    holds = [Hold(bucket, 1) for position, _ in chosen.looks if (bucket := chosen.buckets[position]) is not None]
    admission.show(services, context, looked_at, holds, [reading.used for reading in readings])
    refusal = limits.judge(holds, lacking, readings, services.clock.boot_us())
    return admission.problem_of(looked_at[refusal.at], refusal, 1)


def take(services: EdgeServices, context: RequestContext) -> Problem | Literal[Halt.WAIT] | None:
    """Take what the request needs of its limits. Full deployments are passed over."""
    resolution, course = context.resolution, context.course
    assert resolution is not None
    assert course is not None
    held = context.admission
    if held is None:
        wake = functools.partial(context.exchange.act, services.resume, (services, context))
        held = context.admission = Admission(services, context, wake)
    assert isinstance(held, Admission)
    taken = held.take_request(resolution.limits)
    if taken is not True:
        return taken or Halt.WAIT
    while context.translation is not None:
        taken = held.take_attempt(course.current, 1)
        if taken is True:
            return None
        if taken is False:
            return Halt.WAIT
        if taken is admission.BUSY or not _pass_over(context, course):
            return held.full or taken
    return None  # a large body is translated when the attempt begins, and room is taken then


def _pass_over(context: RequestContext, course: Course) -> bool:
    """Go on to the next deployment that can be asked this; False when there is none."""
    if not course.go_on():
        return False
    assert context.request is not None
    if context.request.is_large:
        context.translation = None
        return True
    return translate.prepare(context, course) is None
