"""Is a budget spent, whatever the request turns out to cost? Looked at before a body is read or translated. Level 4.

Nothing is held. What cannot be known is left to `admit`. A budget that leads to another model once it is spent refuses nothing.
"""

from collections.abc import Iterable

from switchgear.core.problems import Problem
from switchgear.counters.backend import Unknown
from switchgear.edge import admission, budget_claims
from switchgear.edge.budget_sets import Counted
from switchgear.edge.context import RequestContext
from switchgear.edge.limit_sets import Values
from switchgear.edge.resolver import Resolution
from switchgear.edge.services import EdgeServices
from switchgear.edge.upstream_answers import FREE_OPERATIONS
from switchgear.policies import budgets
from switchgear.policies.buckets import Hold
from switchgear.policies.budgets import Spends
from switchgear.pricing import dearest
from switchgear.replica.entries import KeyEntry, Snapshot


def at_the_head(services: EdgeServices, context: RequestContext, key: KeyEntry, snapshot: Snapshot) -> Problem | None:
    """Refuse a key whose tokens or requests are spent. Money stops no model that is free, and which one is asked nobody knows
    yet."""
    operation = context.endpoint.operation
    if operation is None or operation in FREE_OPERATIONS or context.client.is_dry_run:
        return None
    found = services.resolver.budgets_of_key(snapshot, key).budgets
    if not found:
        return None
    if context.client.cache is not None or key.cache is not None or services.resolver.keeps_answers(snapshot):
        return None  # an answer that is kept takes no budget
    return _look(services, context, (one for one in found if one.budget.unit != Spends.NANOUSD), None)


def before_the_body(services: EdgeServices, context: RequestContext, resolution: Resolution) -> Problem | None:
    """Refuse a request for a model that costs something, where the budget of who asks, or of the model, is spent."""
    request = context.request
    assert request is not None
    if request.operation in FREE_OPERATIONS or context.client.is_dry_run or resolution.cache_s:
        return None
    prices = [one.pricer.price for one in resolution.deployments if one.pricer is not None]
    if len(prices) < len(resolution.deployments) or any(dearest.is_free(price) for price in prices):
        return None
    return _look(services, context, resolution.budgets.budgets, admission.values_of(context))


def _look(
    services: EdgeServices, context: RequestContext, found: Iterable[Counted], values: Values | None
) -> Problem | None:
    looked = [
        one
        for one in found
        if one.budget.is_hard
        and not one.budget.models
        and one.budget.on_spent is None
        and (values is not None or one.budget.per is None)
    ]
    if not looked:
        return None
    now_ms, boot_us = services.budget_time.now()
    places = [services.budget_time.place(one.budget, now_ms, boot_us) for one in looked]
    raises = context.snapshot.raises if context.snapshot is not None else None
    buckets = [one.bucket(place, values, raises) for one, place in zip(looked, places, strict=True)]
    readings = services.counters.read(buckets)
    if isinstance(readings, Unknown):
        return None
    for one, place, bucket, reading in zip(looked, places, buckets, readings, strict=True):
        if budgets.is_spent(reading):
            return budget_claims.spent(one, Hold(bucket, 0), reading, place)
    return None
