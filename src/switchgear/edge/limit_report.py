"""What a key is told of its limits, and what a dry run says of them: read, never taken. Level 4."""

from collections.abc import Sequence
from typing import Any

from switchgear.counters.backend import Unknown
from switchgear.edge import admission, limit_sets
from switchgear.edge.context import RequestContext
from switchgear.edge.holders import names_of
from switchgear.edge.limit_sets import LimitSet
from switchgear.edge.services import EdgeServices
from switchgear.edge.upstream_answers import FREE_OPERATIONS
from switchgear.policies import limits
from switchgear.policies.buckets import Hold, Reading


def of_key(services: EdgeServices, context: RequestContext) -> list[dict[str, Any]]:
    """Return the limits that hold whatever the key asks for, with what is left; None where that is not known, as of those that
    have a bucket for each value of a dimension."""
    assert context.snapshot is not None
    assert context.key is not None
    rules = services.resolver.limits_of_key(context.snapshot, context.key)
    if rules is None:
        return []
    chosen = rules.paid
    names = names_of(context.key)
    known = [bucket for bucket in chosen.buckets if bucket is not None]
    readings = services.counters.read(known)
    by_key = {} if isinstance(readings, Unknown) else dict(zip((b.key for b in known), readings, strict=True))
    return [
        _row(names, chosen, at, by_key.get(bucket.key) if bucket is not None else None)
        for at, bucket in enumerate(chosen.buckets)
    ]


def of_request(services: EdgeServices, context: RequestContext) -> tuple[list[dict[str, Any]], str | None]:
    """Return the limits of who asks, of the model and of the first deployment, and in words why the request would be refused;
    None where it would not be. A deployment that is full is passed over where there is another."""
    resolution, course, request = context.resolution, context.course, context.request
    assert resolution is not None
    assert course is not None
    assert request is not None
    assert context.key is not None
    names = names_of(context.key)
    is_free = request.operation in FREE_OPERATIONS
    rows: list[dict[str, Any]] = []
    refused: str | None = None
    for rules, is_last in ((resolution.limits, True), (course.current.limits, not course.has_next)):
        if rules is None:
            continue
        chosen = rules.free if is_free else rules.paid
        holds = chosen.holds(admission.expected(services, context), admission.values_of(context))
        readings = services.counters.read([hold.bucket for hold in holds])
        if isinstance(readings, Unknown):
            continue
        rows += [_row(names, chosen, at, reading) for at, reading in enumerate(readings)]
        if refused is None and is_last:
            refused = _refused(services, chosen, holds, readings)
    return rows, refused


def _refused(
    services: EdgeServices, chosen: LimitSet, holds: Sequence[Hold], readings: Sequence[Reading]
) -> str | None:
    lacking = [
        at
        for at, (hold, reading) in enumerate(zip(holds, readings, strict=True))
        if reading.used + hold.amount > reading.limit
    ]
    if not lacking:
        return None
    refusal = limits.judge(holds, lacking, readings, services.clock.boot_us())
    return admission.problem_of(chosen.limits[refusal.at], refusal, holds[refusal.at].amount).message


def _row(names: dict[str, str], chosen: LimitSet, at: int, reading: Reading | None) -> dict[str, Any]:
    limit = chosen.limits[at]
    return {
        "of": limit_sets.kind_of(limit),
        "name": names.get(limit.subject.removesuffix(limit_sets.FREE)),
        "rule": limit_sets.written(limit),
        "limit": limit.amount,
        "used": None if reading is None else reading.used,
        "remaining": None if reading is None else reading.remaining,
    }
