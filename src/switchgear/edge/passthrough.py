"""Stage: a raw path of a provider, for what has no place in the table of paths. Level 4.

Off unless both the key and the provider's sealed credential name the method and path. The body passes as it is, is not sent
twice, and its cost is read where the answer shows usage.
"""

from typing import TYPE_CHECKING

import msgspec

from switchgear.core import problems
from switchgear.core.problems import Problem
from switchgear.dialects import json_guard
from switchgear.dialects.forms import Form
from switchgear.dialects.request import Request
from switchgear.edge.context import RequestContext
from switchgear.edge.plan import Plan
from switchgear.policies import access, passthrough
from switchgear.routing.table import Candidate, Route, Timeouts

if TYPE_CHECKING:
    from switchgear.edge.gate import Gate

SECRETS = frozenset({"key", "api_key", "access_token"})
"""Query parameters that never go on: a client's own key may stand there (INVARIANTS H5)."""


class _Body(msgspec.Struct):
    model: str | None = None
    stream: bool | None = None


_decode = msgspec.json.Decoder(_Body).decode


def read(context: RequestContext) -> Problem | None:
    """Fill `context.request`."""
    head = context.exchange.head
    _, _, path = context.rest.partition("/")
    query = "&".join(
        pair
        for pair in head.target.partition(b"?")[2].decode("ascii", "replace").split("&")
        if pair and pair.partition("=")[0].lower() not in SECRETS
    )
    if not passthrough.is_plain("/" + path, query):
        return Problem(problems.BAD_HTTP, "the path or query has characters that are not passed on")
    found = _Body()
    kind = head.headers.get(b"content-type", b"")
    if context.body and kind.lower().startswith(b"application/json"):
        try:
            json_guard.check_depth(context.body)
            json_guard.check_duplicates(context.body, (b'"model"', b'"stream"'))
            found = _decode(context.body)
        except (msgspec.DecodeError, json_guard.JsonRefusedError) as exc:
            return Problem(problems.INVALID_BODY, f"the body is not JSON: {exc}")
    request = Request({}, "openai", "passthrough", found.model or "", bool(found.stream), asked_usage=True)
    request.method = head.method.decode("ascii")
    request.stored_path = f"/{path}" + (f"?{query}" if query else "")
    request.form = Form(kind or b"application/octet-stream", context.body, {}, (0, 0))
    context.request = request
    context.body = b""
    return None


def plan(gate: "Gate", context: RequestContext) -> Plan:
    """Return where a raw path goes: one target, no second try."""
    snapshot, key, request = context.snapshot, context.key, context.request
    assert snapshot is not None
    assert key is not None
    assert request is not None
    name = context.rest.partition("/")[0]
    path = request.stored_path.partition("?")[0]
    entry = snapshot.table.providers.get(name)
    if entry is None or not entry.credentials or not passthrough.may_pass(key.passthrough, name, request.method, path):
        text = f"this key may not use {request.method} {path[:128]} of {name!r} directly; an admin can allow it"
        return Plan(context.now_ms, None, (), Problem(problems.FORBIDDEN, text))
    model = f"{name}/{request.model}" if request.model else name
    if request.model and not access.may_call(model, key.models):
        return Plan(context.now_ms, None, (), access.model_not_found(model, []))
    candidate = Candidate(entry, entry.credentials[0], request.model or name, None, Timeouts())
    request.dialect, request.model = entry.dialects[0], model
    return gate.planner.plan_one(snapshot, Route(model, (candidate,), 0), context.now_ms)
