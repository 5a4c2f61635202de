"""What a key is told of its budgets, and what a dry run says of them: read, never taken. Level 4."""

from typing import Any

from switchgear.core import budget_rule
from switchgear.counters.backend import Unknown
from switchgear.edge import admission, budget_claims
from switchgear.edge.budget_claims import Claims
from switchgear.edge.budget_sets import Counted
from switchgear.edge.context import RequestContext
from switchgear.edge.services import EdgeServices
from switchgear.policies import limits
from switchgear.policies.buckets import Reading
from switchgear.policies.budgets import Place
from switchgear.policies.limits import Why


def of_key(services: EdgeServices, context: RequestContext) -> list[dict[str, Any]]:
    """Return the budgets that hold whatever the key asks for: what is settled, held, uncertain and left in nano-USD, tokens or
    requests, and when the next period begins. None where that is not known, as of those that have a balance for each value of a
    dimension."""
    assert context.snapshot is not None
    assert context.key is not None
    found = services.resolver.budgets_of_key(context.snapshot, context.key).budgets
    if not found:
        return []
    now_ms, boot_us = services.budget_time.now()
    places = [services.budget_time.place(one.budget, now_ms, boot_us) for one in found]
    one_each = [at for at, one in enumerate(found) if one.budget.per is None]
    raises = context.snapshot.raises
    readings = services.counters.read([found[at].bucket(places[at], None, raises) for at in one_each])
    known = {} if isinstance(readings, Unknown) else dict(zip(one_each, readings, strict=True))
    return [_row(one, places[at], known.get(at)) for at, one in enumerate(found)]


def of_request(services: EdgeServices, context: RequestContext) -> tuple[list[dict[str, Any]], str | None]:
    """Return the budgets that the first attempt would hold, with how much, and in words why it would be refused; None where it
    would not be."""
    course = context.course
    assert course is not None
    claims = budget_claims.of(services, context, course.current, admission.values_of(context), {}, frozenset())
    if claims is None or isinstance(claims, Unknown):
        return [], None
    if not isinstance(claims, Claims):
        return [], claims.message
    readings = services.counters.read([hold.bucket for hold in claims.holds])
    if isinstance(readings, Unknown):
        return [], None
    rows: list[dict[str, Any]] = []
    refused: str | None = None
    for one, hold, place, reading in zip(claims.counted, claims.holds, claims.places, readings, strict=True):
        rows.append(_row(one, place, reading) | {"would_hold": hold.amount})
        if refused is None and hold.bucket.is_hard and reading.used + hold.amount > reading.limit:
            is_held = limits.why_full(hold, reading) == Why.HELD
            problem = budget_claims.held(one) if is_held else budget_claims.spent(one, hold, reading, place)
            refused = problem.message
    return rows, refused


def _row(one: Counted, place: Place, reading: Reading | None) -> dict[str, Any]:
    return {
        "of": budget_claims.kind_of(one),
        "rule": budget_rule.limit_text(one.rule) + (f" per {one.rule.per}" if one.rule.per else ""),
        "unit": one.rule.unit,
        "hard": one.rule.is_hard,
        "limit": one.rule.amount if reading is None else reading.limit,
        "settled": None if reading is None else reading.settled,
        "held": None if reading is None else reading.held,
        "uncertain": None if reading is None else reading.uncertain,
        "remaining": None if reading is None else reading.remaining,
        "resets_ms": None if place.period is None else place.period.ends_ms,
    }
