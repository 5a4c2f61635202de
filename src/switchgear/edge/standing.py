"""Does a request still stand? Level 4.

What was true when its head was read is looked up again before anything is sent: when the body is whole or its turn has come,
and before every further attempt. Revocation stops what was not sent yet; a freeze also cuts what is under way
(docs/invariants.md S3).
"""

from typing import TYPE_CHECKING

from switchgear.core.problems import Problem
from switchgear.edge.authenticate import authenticate, subjects_of
from switchgear.edge.context import RequestContext
from switchgear.edge.plan import Planner, Target
from switchgear.policies import access
from switchgear.replica.entries import Snapshot

if TYPE_CHECKING:
    from switchgear.edge.gate import Gate

FRESH_S = 0.005
"""A key that was looked up so recently is not looked up again: head, body and turn usually come in one turn of the loop."""


def still(gate: "Gate", context: RequestContext) -> Problem | None:
    """Look at key, freezes and routes again, unless that was just now. Fills `context.key` and `context.snapshot` anew."""
    if gate.clock.monotonic_s() - context.started_s < FRESH_S:
        return None
    return look_again(gate, context)


def look_again(gate: "Gate", context: RequestContext) -> Problem | None:
    """Look at key, freezes and routes again. The clock is the present one: a key may have expired since the head."""
    return authenticate(context, gate.replica, gate.peppers, gate.clock.wall_ms())


def may_try(gate: "Gate", context: RequestContext, target: Target) -> Problem | None:
    """Tell whether a further attempt may be made at a target. Who asked stays who it was: the reservation says so."""
    before = context.key
    problem = look_again(gate, context)
    key, context.key = context.key, before
    if problem is not None:
        return problem
    assert key is not None
    assert context.request is not None
    assert context.snapshot is not None
    if not access.may_call(context.request.model, key.models):
        return access.model_not_found(context.request.model, [])
    if not context.snapshot.freezes:
        return None
    return frozen(gate.planner, context.snapshot, context, target, gate.clock.wall_ms())


def frozen(
    planner: Planner, snapshot: Snapshot, context: RequestContext, target: Target, now_ms: int
) -> Problem | None:
    """Deny what goes on for a subject that is frozen: its key, whose it is, its model, its target."""
    key, request = context.key, context.request
    assert key is not None
    assert request is not None
    return (
        access.check_frozen(snapshot.freezes, subjects_of(key), now_ms)
        or planner.check_model(snapshot, request.model, now_ms)
        or planner.check_target(snapshot, target.candidate, now_ms)
    )
