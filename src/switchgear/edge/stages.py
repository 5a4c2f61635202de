"""The stages, but for those with a module of their own. Level 4.

Each is a function of (services, context). `pipeline` says in which order they stand, and why.
"""

from typing import Literal

import msgspec

from switchgear.core import problems
from switchgear.core.errors import SpoolFullError
from switchgear.core.problems import Problem
from switchgear.dialects import forms
from switchgear.dialects.request import Request
from switchgear.edge import admit as admit_stage
from switchgear.edge import (
    budget_look,
    ceilings,
    passthrough,
    paths,
    recall,
    recorded,
    routed,
    settle,
    standing,
    stored_access,
    stored_things,
    token_estimate,
    translate,
)
from switchgear.edge.attribute import attribute
from switchgear.edge.context import Halt, HeldLimits, Outcome, RequestContext
from switchgear.edge.course import Course
from switchgear.edge.hedged import transfer_of
from switchgear.edge.resolver import Resolution
from switchgear.edge.services import EdgeServices
from switchgear.replica.entries import KeyEntry, Snapshot
from switchgear.routing import strategies, table

_LEDGER_FULL = Problem(problems.LEDGER_UNAVAILABLE, "the ledger cannot record new requests; try again soon", None, 5)
_NO_LINK = Problem(problems.OVERLOADED, "the vault is not ready; try again in a moment", None, 1)
_NO_FORM = Problem(problems.UNSUPPORTED_MEDIA, "send the file as content-type: multipart/form-data")
_NO_JSON = Problem(problems.UNSUPPORTED_MEDIA, "send the body as content-type: application/json")
_COMPRESSED = Problem(problems.UNSUPPORTED_MEDIA, "compressed request bodies are not supported; send it uncompressed")

# of the head


def read_claims(services: EdgeServices, context: RequestContext) -> Problem | None:
    """What does the client say about itself?"""
    facts = context.facts
    if facts.client is None:
        facts.client = attribute(context.exchange.head)
    context.client = facts.client
    return None


def check_media_type(services: EdgeServices, context: RequestContext) -> Problem | None:
    """Is the body of a kind that is read here?"""
    operation = context.endpoint.operation
    if context.facts.is_media_good or operation is None:
        return None
    headers = context.exchange.head.headers
    kind = headers.get(b"content-type")
    if operation in paths.UPLOADS:
        if not forms.is_form(kind):
            return _NO_FORM
    elif operation != "passthrough" and kind is not None and not kind.lower().startswith(b"application/json"):
        return _NO_JSON
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.lower() != b"identity":
        return _COMPRESSED
    context.facts.is_media_good = True
    return None


def look_at_limits(services: EdgeServices, context: RequestContext) -> Problem | None:
    """Is the key at its limit of requests already, or a budget spent? Nothing is held here."""
    if services.resolver.is_open(context.snapshot, context.key):
        return None
    key, snapshot = context.key, context.snapshot
    assert key is not None
    assert snapshot is not None
    spent = budget_look.at_the_head(services, context, key, snapshot)
    return spent if spent is not None else admit_stage.look(services, context, key, snapshot)


# of the request


def find_stored(services: EdgeServices, context: RequestContext) -> Problem | Literal[Halt.WAIT] | None:
    """Whose is the stored response that the path names, and of which model?"""
    request = context.request
    if request is None or request.operation != "stored" or request.refers_to is None:
        return None
    key = context.key
    assert key is not None
    entry = services.stored.find(key, request.refers_to)
    if entry is None:
        return _wait_or_refuse(services, context, stored_access.unknown(context, request.references[0]))
    request.model = entry.model
    return None


def authorize(services: EdgeServices, context: RequestContext) -> Problem | Literal[Halt.WAIT] | None:
    """May this key call this model, and name what it names? Then where would it go?"""
    snapshot, key, request = context.snapshot, context.key, context.request
    assert snapshot is not None
    assert key is not None
    assert request is not None
    if request.operation == "passthrough":
        resolution = passthrough.resolve(services.resolver, context)
    elif context.admission is not None and context.admission.reroute is not None:
        resolution = _rerouted(services, context, snapshot, key, request, context.admission)
    else:
        if request.is_default_model:
            request.model = table.name_of_default(snapshot.table, request.model)
        resolution = services.resolver.resolve(snapshot, key, request.model, context.now_ms)
    if resolution.problem is not None:
        return resolution.problem
    if request.references:
        bound = stored_access.bind(services.stored, context, resolution)
        if isinstance(bound, Problem | Halt):
            return _wait_or_refuse(services, context, bound)
        resolution = bound
        if resolution.problem is not None:
            return resolution.problem
    context.resolution = resolution
    context.is_stale = False
    if resolution.is_free or not resolution.budgets.budgets:
        return None
    return budget_look.before_the_body(services, context, resolution)


def _rerouted(
    services: EdgeServices,
    context: RequestContext,
    snapshot: Snapshot,
    key: KeyEntry,
    request: Request,
    held: HeldLimits,
) -> Resolution:
    """Go to the model that a spent budget leads to, or refuse as the budget does where that cannot be."""
    assert held.reroute is not None
    context.rerouted = context.rerouted or request.model
    request.model, held.reroute = held.reroute, None
    resolution = services.resolver.resolve(snapshot, key, request.model, context.now_ms)
    if resolution.problem is not None and held.spent is not None:
        request.model = context.rerouted  # nobody asked for the other one, which this key may not call
        return msgspec.structs.replace(resolution, problem=held.spent)
    return resolution


def _wait_or_refuse(
    services: EdgeServices, context: RequestContext, outcome: Problem | Literal[Halt.WAIT]
) -> Problem | Literal[Halt.WAIT]:
    if outcome is Halt.WAIT:  # what is named may be on its way into the replica
        context.stored_lookups += 1
        services.loop.call_later(stored_things.WAIT_S, context.exchange.act, services.resume, (services, context))
    return outcome


def choose(services: EdgeServices, context: RequestContext) -> Outcome:
    """Which deployments are asked, in which order? None while nothing can be sent or recorded."""
    if not services.link.can_open:
        return _NO_LINK
    if not services.commit.is_recording:
        return _LEDGER_FULL
    resolution, client = context.resolution, context.client
    assert resolution is not None
    assert resolution.route is not None
    deployments = resolution.deployments
    if resolution.order is not None:
        if resolution.order is not strategies.first:
            return routed.choose(services, context, resolution)
        deployments = deployments[:1]
    total_s = deployments[0].deployment.timeouts.total_s
    course = context.course = Course(deployments, 0 if client.retry else resolution.route.retries_max, total_s)
    if client.timeout_s is not None and client.timeout_s < total_s:
        course.total_s = client.timeout_s
    return None


def translate_body(services: EdgeServices, context: RequestContext) -> Outcome:
    """What is the first deployment asked, in its provider's dialect? What cannot be carried is refused here."""
    request, course = context.request, context.course
    assert request is not None
    assert course is not None
    if request.operation == "count_tokens" and token_estimate.is_needed(context, course):
        if context.client.is_dry_run:
            return None
        taken = admit_stage.take_to_answer(services, context)
        if taken is not None:
            return taken
        outcome = token_estimate.answer(services, context, course)
        if outcome is Halt.DONE:
            admit_stage.answered(context)
        return outcome
    request.shows_usage = context.client.wants_cost
    resolution = context.resolution
    assert resolution is not None
    if resolution.ceilings is not None:
        problem = ceilings.lower(context, resolution.ceilings)
        if problem is not None:
            return problem
    return translate.prepare_steps(context, course) if request.is_large else translate.prepare(context, course)


def admit(services: EdgeServices, context: RequestContext) -> Outcome:
    """May it be sent now? Where key or routes changed since `authorize`, what they say now counts. What is kept here already is not
    sent (`recall`), where key, model or request ask for that. Then limits are taken."""
    resolution = context.resolution
    assert resolution is not None
    if resolution.is_free and not context.is_stale and context.client.cache is None:
        return None
    course = context.course
    assert course is not None
    if context.is_stale:
        assert context.key is not None
        problem = standing.allows(services, context, context.key) or standing.renew(services, context, context.key)
        if problem is not None:
            return problem
        resolution = context.resolution
        assert resolution is not None
    first = course.current
    if resolution.cache_s is not None or context.client.cache is not None:
        outcome = recall.recall(services, context)
        if outcome is not None:
            return outcome
    if (
        resolution.limits is None
        and first.limits is None
        and not resolution.budgets.budgets
        and not first.budgets.budgets
    ):
        return None
    return admit_stage.take(services, context)


def reserve(services: EdgeServices, context: RequestContext) -> Problem | None:
    """Record what is about to happen."""
    assert context.course is not None
    try:
        settle.reserve(context, context.course.current, services.spool)
    except SpoolFullError:
        return _LEDGER_FULL
    return None


def send(services: EdgeServices, context: RequestContext) -> Literal[Halt.DONE]:
    """Hand the request to a transfer, which makes the first attempt."""
    course = context.course
    assert course is not None
    kind = transfer_of(course) if context.recall is None else recorded.transfer_of(course)
    transfer = kind(services, context, course)
    services.running.add(context)
    context.transfer = transfer
    transfer.begin()
    return Halt.DONE
