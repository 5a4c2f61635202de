"""The order of stages: one literal. Level 4.

A stage is a function of (gate, context) that returns None to go on or a Problem to stop; or, of the body's stages and for
a large body, Steps that come to one of these: they are done in slices, and the next stage waits for them.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from switchgear.core import problems
from switchgear.core.errors import SpoolFullError
from switchgear.core.money import format_usd
from switchgear.core.problems import Problem
from switchgear.core.steps import Steps
from switchgear.dialects import forms, input_estimate, passage, request
from switchgear.dialects.references import Reference
from switchgear.dialects.shape import InvalidBodyError
from switchgear.edge import belongings, passthrough, paths, settle
from switchgear.edge.attribute import attribute
from switchgear.edge.authenticate import authenticate
from switchgear.edge.context import RequestContext
from switchgear.edge.plan import Plan, Target
from switchgear.edge.standing import may_try, still
from switchgear.edge.transfer import Transfer

if TYPE_CHECKING:
    from switchgear.edge.gate import Gate

Stage = Callable[["Gate", RequestContext], Problem | None]
Outcome = Problem | None | Steps[Problem | None]
BodyStage = Callable[["Gate", RequestContext], Outcome]

_LEDGER_FULL = Problem(problems.LEDGER_UNAVAILABLE, "the ledger cannot record new requests; try again soon", None, 5)


def who(gate: "Gate", context: RequestContext) -> Problem | None:
    """Whose key is it?"""
    return authenticate(context, gate.replica, gate.peppers, context.now_ms)


def claims(gate: "Gate", context: RequestContext) -> Problem | None:
    """What does the client say about itself?"""
    head = context.exchange.head
    client = head.shared.get("client")
    if client is None:
        client = head.shared["client"] = attribute(head)
    context.client = client
    return None


def media(gate: "Gate", context: RequestContext) -> Problem | None:
    """Is the body of a kind that is read here?"""
    if context.endpoint.operation is None:
        return None
    head = context.exchange.head
    if "media" in head.shared:
        return None
    headers = head.headers
    kind = headers.get(b"content-type")
    if context.endpoint.operation == "passthrough":
        pass  # any kind: it is not read
    elif context.endpoint.operation in paths.UPLOADS:
        if not forms.is_form(kind):
            return Problem(problems.UNSUPPORTED_MEDIA, "send the file as content-type: multipart/form-data")
    elif kind is not None and not kind.lower().startswith(b"application/json"):
        return Problem(problems.UNSUPPORTED_MEDIA, "send the body as content-type: application/json")
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.lower() != b"identity":
        return Problem(problems.UNSUPPORTED_MEDIA, "compressed request bodies are not supported; send it uncompressed")
    head.shared["media"] = True
    return None


def parse(gate: "Gate", context: RequestContext) -> Outcome:
    """What is asked?"""
    endpoint = context.endpoint
    assert endpoint.operation is not None
    if endpoint.operation == "passthrough":
        return passthrough.read(context)
    if endpoint.operation.startswith("stored"):
        asked = context.request = request.Request({}, endpoint.dialect.name, "stored", "", False)
        asked.refers_to, asked.stored_path = context.rest, endpoint.operation
        asked.references = [Reference("response", context.rest, "id")]
        asked.method = context.exchange.head.method.decode("ascii")
        context.body = b""
        return None
    if endpoint.operation in paths.UPLOADS:
        context.media = (context.bytes_in, 0)
    elif context.bytes_in >= input_estimate.SMALL_BYTES:
        context.media = input_estimate.media_of(context.body)
        if context.bytes_in >= request.LARGE_BYTES:
            return _parse_large(context)
    try:
        if endpoint.operation in paths.UPLOADS:
            kind = context.exchange.head.headers.get(b"content-type", b"")
            context.request = request.parse_form(kind, context.body, endpoint.operation, context.rest or None)
            context.body = b""
            return None
        context.request = request.parse(
            context.body, endpoint.dialect.name, endpoint.operation, context.rest or None, endpoint.stream
        )
    except InvalidBodyError as exc:
        return Problem(problems.INVALID_BODY, str(exc), exc.param)
    context.body = b""
    return None


def _parse_large(context: RequestContext) -> Steps[Problem | None]:
    endpoint = context.endpoint
    assert endpoint.operation is not None
    body, context.body = context.body, b""
    try:
        context.request = yield from request.parse_steps(
            body, endpoint.dialect.name, endpoint.operation, context.rest or None, endpoint.stream
        )
    except InvalidBodyError as exc:
        return Problem(problems.INVALID_BODY, str(exc), exc.param)
    return None


def transfer(gate: "Gate", context: RequestContext) -> Outcome:
    """Authorize the model, reserve, and send the first attempt."""
    assert context.snapshot is not None
    assert context.key is not None
    assert context.request is not None
    if context.request.operation == "stored" and context.request.refers_to is not None:
        stored = gate.find_stored(context.key, context.request.refers_to)
        context.request.model = stored.model if stored is not None else ""
    if context.request.operation == "passthrough":
        plan = passthrough.plan(gate, context)
    elif context.request.operation == "stored" and not context.request.model:
        plan = Plan(context.now_ms, None, (), None)
    else:
        plan = gate.planner.plan(context.snapshot, context.key, context.request.model, context.now_ms)
    if context.request.references and plan.problem is None:
        bound = belongings.bind(gate, context, plan)
        if isinstance(bound, belongings.Wait):
            gate.try_again(context)
            return None
        if isinstance(bound, Problem):
            return bound
        plan = bound
    if context.request.operation == "passthrough":
        plan = msgspec.structs.replace(
            plan, targets=plan.targets[:1]
        )  # where the thing is, or the first; no second try
    if plan.problem is not None:
        return plan.problem
    if not gate.link.can_open:
        return Problem(problems.OVERLOADED, "the inner gate is not ready; try again in a moment", None, 1)
    if not gate.outbox.is_recording:
        return _LEDGER_FULL
    if context.request.operation == "count_tokens":
        speaks = plan.targets[0].candidate.provider.dialects
        if passage.choose(context.request.dialect, "count_tokens", speaks) is None:
            return estimate_tokens(gate, context, plan.targets[0])
    context.request.shows_usage = context.client.wants_cost
    started = Transfer(gate, context, plan)
    if context.request.is_large:
        return _launch_large(gate, context, plan, started)
    problem = started.prepare()
    return problem if problem is not None else _launch(gate, context, plan, started)


def _launch_large(gate: "Gate", context: RequestContext, plan: Plan, started: Transfer) -> Steps[Problem | None]:
    problem = yield from started.prepare_steps()
    if problem is None:  # it took a while: the key may have been revoked meanwhile
        problem = may_try(gate, context, started.target)
    return problem if problem is not None else _launch(gate, context, plan, started)


def _launch(gate: "Gate", context: RequestContext, plan: Plan, started: Transfer) -> Problem | None:
    """Reserve, and send the first attempt."""
    if context.client.is_dry_run:
        return dry_run(gate, context, plan, started.target)
    try:
        settle.reserve(context, started.target, gate.spool)
    except SpoolFullError:
        return _LEDGER_FULL
    context.exchange.is_kept = True  # its body is needed for further attempts; `Gate.settled` lets go of it
    gate.transfers[context.id] = started
    context.exchange.context = started
    started.begin()
    return None


def estimate_tokens(gate: "Gate", context: RequestContext, target: Target) -> Problem | None:
    """Count tokens for a provider that has no way to: a quarter of the bytes, said to be an estimate. It costs nothing and
    is a record."""
    try:
        settle.reserve(context, target, gate.spool)
    except SpoolFullError:
        return _LEDGER_FULL
    context.status, context.outcome = 200, "ok"
    context.candidate, context.meterer = target.candidate, target.meterer
    count = context.input_estimate
    shown = context.endpoint.dialect.count
    assert shown is not None
    body = msgspec.json.encode(shown(count))
    context.bytes_out = len(body)
    settle.settle(context, gate.spool, int((gate.clock.monotonic_s() - context.started_s) * 1000), billed=False)
    headers = (
        b"content-type: application/json\r\nx-request-id: %b\r\nx-switchgear-estimated: true\r\n" % context.id.encode()
    )
    gate.outbox.call(context.exchange, context.exchange.send, 200, headers + target.headers, body)
    return None


def dry_run(gate: "Gate", context: RequestContext, plan: Plan, first: Target) -> Problem | None:
    """Say what would be done. Nothing is sent, nothing is reserved, and there is no record. Which credential would be used is
    not the client's to know."""
    request = context.request
    assert request is not None
    estimate = input_estimate.tokens(context.bytes_in, context.media)
    expect = first.meterer.expect(estimate, request.output_tokens_max or 0) if first.meterer is not None else None
    targets = [
        {
            "provider": target.candidate.provider.name,
            "upstream_model": target.candidate.upstream_model,
            "dialect": passage.choose(
                request.dialect, request.operation, target.candidate.provider.dialects, target.candidate.upstream_model
            ),
            "priced": target.meterer is not None,
        }
        for target in plan.targets
    ]
    body = msgspec.json.encode(
        {
            "dry_run": True,
            "model": request.model,
            "operation": request.operation,
            "targets": targets,
            "first": first.candidate.provider.name,
            "input_tokens_estimate": estimate,
            "cost_usd_estimate": None if expect is None else format_usd(expect),
        }
    )
    headers = b"content-type: application/json\r\nx-request-id: %b\r\nx-switchgear-dry-run: true\r\n"
    context.exchange.send(200, headers % context.id.encode(), body)
    return None


HEAD_STAGES: tuple[Stage, ...] = (
    who,  # before a body is read: nobody without a key makes us hold bytes
    claims,  # after who: strangers' claims are never looked at
    media,
)
BODY_STAGES: tuple[BodyStage, ...] = (
    parse,
    still,  # after parse, which may take its time: what is sent was looked at just before
    transfer,  # last: from its reservation on, a request ends in a settlement and never in a plain refusal
)
