"""The order of stages: one literal. Level 4.

A stage is a function of (services, context). It returns None to go on, a Problem to refuse, DONE when it answered, WAIT when
somebody will call `resume` (then it is run again), or Steps that come to None or a Problem, which are done in slices.
Whenever a request goes on after it waited, its key is looked at again first: what is sent was looked at just before.
"""

from collections.abc import Callable

from switchgear.core.problems import Problem
from switchgear.core.steps import Steps
from switchgear.edge import admission, standing
from switchgear.edge.authenticate import authenticate
from switchgear.edge.context import Halt, Outcome, RequestContext
from switchgear.edge.dry_run import dry_run
from switchgear.edge.parse import parse
from switchgear.edge.services import EdgeServices
from switchgear.edge.slices import Job
from switchgear.edge.stages import (
    admit,
    authorize,
    check_media_type,
    choose,
    find_stored,
    look_at_limits,
    read_claims,
    reserve,
    send,
    translate_body,
)

HeadStage = Callable[[EdgeServices, RequestContext], Problem | None]
Stage = Callable[[EdgeServices, RequestContext], Outcome]

HEAD_STAGES: tuple[HeadStage, ...] = (
    authenticate,  # before a body is read: nobody without a key makes us hold bytes
    read_claims,  # after authenticate: strangers' claims are never looked at
    check_media_type,  # after both: what it refuses is recorded with its key and its claims
    look_at_limits,  # last: a key that is at its limit makes us read no body. It holds nothing
)
STAGES: tuple[Stage, ...] = (
    parse,  # first: of a body that cannot be read nothing more can be said
    find_stored,  # before authorize: the stored response knows which model made it. It may WAIT for the ledger
    authorize,  # before choose: a model that the key may not call has no deployments. It may WAIT as well
    choose,  # before translate: each provider has its dialect. Nothing large is made while nothing could be sent
    translate_body,  # before dry_run, which tells what cannot be carried; before reserve: a mistake costs nothing
    dry_run,  # before admit and reserve: it leaves no record, and takes what asking takes
    admit,  # after all that takes time, and just before something is owed: what it looks at is as it is now. It may WAIT
    reserve,  # before send: the record that explains a byte is written before it (docs/invariants.md L2)
    send,  # last: from the reservation on a request ends in a settlement, never in a plain refusal
)


def run(services: EdgeServices, context: RequestContext, stages: tuple[Stage, ...] = STAGES) -> None:
    """Run the stages, until one refuses, waits or is done."""
    for stage in stages:
        outcome = stage(services, context)
        if outcome is not None:
            if outcome is Halt.AGAIN:
                run(services, context, STAGES[STAGES.index(authorize) :])
            elif outcome is not Halt.DONE:
                _stop(services, context, stage, outcome)
            return


def _stop(
    services: EdgeServices, context: RequestContext, stage: Stage, outcome: Problem | Halt | Steps[Problem | None]
) -> None:
    if isinstance(outcome, Problem):
        _deny(services, context, outcome)
    elif outcome is Halt.WAIT:
        context.stage = STAGES.index(stage)
    elif not isinstance(outcome, Halt):
        context.stage = STAGES.index(stage) + 1
        services.slices.add(
            Job(
                outcome,
                lambda problem: _go_on(services, context, problem),
                context.exchange.fault,
                lambda: not (context.client_gone or context.exchange.is_ended),
            )
        )


def _deny(services: EdgeServices, context: RequestContext, problem: Problem) -> None:
    services.refusals.deny(context, problem)
    admission.let_go(context)  # afterwards: the refusal tells what is left


def _go_on(services: EdgeServices, context: RequestContext, problem: Problem | None) -> None:
    """A stage that worked in slices is done."""
    problem = problem or standing.still(services, context)
    if problem is not None:
        _deny(services, context, problem)
    else:
        run(services, context, STAGES[context.stage :])


def resume(services: EdgeServices, context: RequestContext) -> None:
    """Go on with a request that waits."""
    services.waiting.leave(context)
    if context.client_gone or context.exchange.is_ended:
        admission.let_go(context)
        return
    problem = standing.look_again(services, context)
    if problem is not None:
        _deny(services, context, problem)
    else:
        run(services, context, STAGES[context.stage :])
