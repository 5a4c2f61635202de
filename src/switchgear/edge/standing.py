"""Does a request still stand? Level 4.

What was true when its head was read is looked up again before anything is sent: whenever it goes on after it waited, and before
every further attempt. Revocation stops what was not sent yet; a freeze also cuts what is under way (docs/invariants.md S3).
"""

from switchgear.core import problems
from switchgear.core.problems import Problem
from switchgear.edge.authenticate import authenticate, subjects_of
from switchgear.edge.context import RequestContext
from switchgear.edge.resolver import Resolver
from switchgear.edge.services import EdgeServices
from switchgear.policies import access
from switchgear.replica.entries import KeyEntry, Snapshot
from switchgear.routing import conditions, table

FRESH_S = 0.005
"""A key that was looked up so recently is not looked up again: head, body and turn usually come in one turn of the loop."""


def still(services: EdgeServices, context: RequestContext) -> Problem | None:
    """Look at key, freezes and routes again, unless that was just now. Fills `context.key` and `context.snapshot` anew."""
    if services.clock.monotonic_s() - context.started_s < FRESH_S:
        return None
    return look_again(services, context)


def look_again(services: EdgeServices, context: RequestContext) -> Problem | None:
    """Look at key, freezes and routes again. The clock is the present one: a key may have expired since the head."""
    key, snapshot = context.key, context.snapshot
    problem = authenticate(services, context, services.clock.wall_ms())
    context.is_stale = context.is_stale or context.key is not key or context.snapshot is not snapshot
    return problem


def may_try(services: EdgeServices, context: RequestContext) -> Problem | None:
    """Tell whether a further attempt may be made at the current deployment. Who asked stays who it was: the reservation says so."""
    before = context.key
    problem = look_again(services, context)
    key, context.key = context.key, before
    if problem is not None:
        return problem
    assert key is not None
    problem = allows(services, context, key)
    return problem if problem is not None else renew(services, context, key)


def renew(services: EdgeServices, context: RequestContext, key: KeyEntry) -> Problem | None:
    """Have a request that waited, or makes a further attempt, hold the limits and budgets that hold for it by now."""
    resolution, snapshot, course = context.resolution, context.snapshot, context.course
    if not context.is_stale or resolution is None or snapshot is None or course is None:
        return None
    now = services.resolver.renewed(snapshot, key, resolution, services.clock.wall_ms())
    if now.problem is not None:
        return now.problem
    if now is not resolution:
        context.resolution = now
        course.renew(now.deployments)
        if context.admission is not None:
            context.admission.forget()
    context.is_stale = False
    return None


def allows(services: EdgeServices, context: RequestContext, key: KeyEntry) -> Problem | None:
    """Tell whether a key may have this request sent to its current deployment, as things are now."""
    assert context.request is not None
    assert context.snapshot is not None
    if not access.may_call_all(context.request.model, key.model_lists):
        return access.model_not_found(context.request.model, [])
    if _is_others(services.resolver, context, key, context.snapshot):
        return access.model_not_found(context.request.model, [])
    lacking = _lacking(context, key, context.snapshot)
    if lacking is not None:
        return Problem(problems.FORBIDDEN, f"the deployment may not be asked any more: {lacking}", "model")
    if not context.snapshot.freezes:
        return None
    return frozen(services.resolver, context.snapshot, context, services.clock.wall_ms())


def _is_others(resolver: Resolver, context: RequestContext, key: KeyEntry, snapshot: Snapshot) -> bool:
    """Tell whether the model or the current deployment's provider belongs by now to a team that the key does not belong to."""
    seen = resolver.table_of(snapshot, key)
    if seen is snapshot.table:
        return False
    assert context.request is not None
    assert context.course is not None
    entry = table.trace(snapshot.table, context.request.model)[1]
    provider = context.course.current.deployment.provider.name
    is_hidden = entry is not None and entry.name in snapshot.table.models and entry.name not in seen.models
    return is_hidden or (provider in snapshot.table.providers and provider not in seen.providers)


def _lacking(context: RequestContext, key: KeyEntry, snapshot: Snapshot) -> str | None:
    """Say which label that is required by now the current deployment has not."""
    assert context.request is not None
    assert context.course is not None
    entry = table.trace(snapshot.table, context.request.model)[1]
    labels = context.course.current.deployment.labels
    of_model = conditions.lacks(entry.require, labels) if entry is not None and entry.require else None
    return of_model or (conditions.lacks(key.require, labels) if key.require else None)


def frozen(resolver: Resolver, snapshot: Snapshot, context: RequestContext, now_ms: int) -> Problem | None:
    """Deny what goes on for a subject that is frozen: its key, whose it is, its model, its deployment."""
    key, request, course = context.key, context.request, context.course
    assert key is not None
    assert request is not None
    assert course is not None
    return (
        access.check_frozen(snapshot.freezes, subjects_of(key), now_ms)
        or resolver.check_model(snapshot, request.model, now_ms)
        or resolver.check_deployment(snapshot, course.current.deployment, now_ms)
    )
