"""Stage translate: what the next attempt asks, in a dialect that its provider speaks. Level 4.

Deployments that cannot be asked this are passed over. A large body is translated in steps.
"""

from switchgear.core import problems
from switchgear.core.problems import Problem
from switchgear.core.steps import Steps
from switchgear.core.text import clean
from switchgear.dialects import provider_tools
from switchgear.dialects.dialect_choice import choose_dialect
from switchgear.dialects.json_node import InvalidBodyError
from switchgear.dialects.registry import BY_NAME
from switchgear.dialects.translation import Translation, open_translation
from switchgear.edge import ceilings, paths
from switchgear.edge.context import RequestContext
from switchgear.edge.course import Course

_TOO_MANY = Problem(problems.OVERLOADED, "too many large bodies at once; try again soon", None, 1)


def prepare(context: RequestContext, course: Course) -> Problem | None:
    """Find the first deployment, from the current one on, that can be asked in some dialect, and fill `context.translation`;
    returns why there is none."""
    while True:
        translation = _open(context, course)
        resolution = context.resolution
        if resolution is not None and resolution.ceilings is not None:
            translation = _within(context, course, translation)
        if isinstance(translation, Problem):
            problem: Problem | None = translation
        else:
            context.translation = translation
            if not course.current.deployment.strict:
                return None
            problem = _check_lost(context, translation, course)
        if problem is None or not course.go_on():
            return problem


def prepare_steps(context: RequestContext, course: Course) -> Steps[Problem | None]:
    """Do the same in steps, for a large body."""
    while True:
        translation = _open(context, course, at_once=False)
        if context.resolution is not None and context.resolution.ceilings is not None:
            translation = _within(context, course, translation, at_once=False)
        if isinstance(translation, Problem):
            problem: Problem | None = translation
        else:
            context.translation = translation
            problem = yield from _finish(context, translation, course)
            if problem is _TOO_MANY:
                return problem
        if problem is None or not course.go_on():
            return problem


def _within(
    context: RequestContext, course: Course, translation: Translation | Problem, at_once: bool = True
) -> Translation | Problem:
    """Return a translation whose cost is within its ceiling: where it is not, one with a lower output limit."""
    if isinstance(translation, Problem):
        return translation
    outcome = ceilings.check_cost(context, course.current, translation)
    if isinstance(outcome, Problem):
        return outcome
    if outcome and translation.pending is not None:
        translation.pending.close()
    return _open(context, course, at_once) if outcome else translation


def _finish(context: RequestContext, translation: Translation, course: Course) -> Steps[Problem | None]:
    pending = translation.pending
    if pending is not None:
        if not _hold(context):
            pending.close()  # with its translation it would be a cycle around the body
            return _TOO_MANY
        try:
            yield from pending
        except InvalidBodyError as exc:
            return Problem(problems.INVALID_BODY, str(exc), exc.param)
    return _check_lost(context, translation, course) if course.current.deployment.strict else None


def _hold(context: RequestContext) -> bool:
    """Count what a large body becomes in another dialect, which is about as much again; once for all attempts."""
    if not context.holds_translation:
        context.holds_translation = context.exchange.hold(context.bytes_in)
    return context.holds_translation


def _open(context: RequestContext, course: Course, at_once: bool = True) -> Translation | Problem:
    deployment = course.current.deployment
    request, endpoint = context.request, context.endpoint
    assert request is not None
    if context.caps_tools:
        request = provider_tools.capped(request, provider_tools.USES)
    provider = deployment.provider
    dialect: str | None
    if request.operation == "passthrough":
        dialect = heard = request.dialect
    else:
        heard = endpoint.dialect.name
        dialect = choose_dialect(
            request.dialect,
            request.operation,
            provider.dialects,
            deployment.upstream_model,
            request.fields,
            provider.quirks.web_search,
        )
    resolution = context.resolution
    if dialect is None:
        name, what = clean(request.model, 128), endpoint.name
        return Problem(problems.UNSUPPORTED, f"the model {name!r} cannot be used for {what}", "model")
    try:
        return open_translation(
            request,
            heard,
            dialect,
            deployment.upstream_model,
            provider.quirks,
            created=context.now_ms // 1000,
            as_array=endpoint.stream is True and endpoint.dialect.streams_array and not _wants_sse(context),
            answer_id=context.id,
            at_once=at_once,
            drop=deployment.drop,
            max_tokens=deployment.max_tokens
            if resolution is not None and resolution.is_free
            else ceilings.output_limit(context, deployment.max_tokens),
            betas=_betas(context) if BY_NAME[dialect].has_betas else (),
        )
    except InvalidBodyError as exc:
        return Problem(problems.INVALID_BODY, str(exc), exc.param)


def _betas(context: RequestContext) -> tuple[str, ...]:
    """Return what a client of Anthropic's asks for in its header: Bedrock takes it in the body."""
    value = context.exchange.head.headers.get(b"anthropic-beta", b"")
    return tuple(dict.fromkeys(beta.strip() for beta in value.decode("latin-1").split(",") if beta.strip()))[:32]


def _check_lost(context: RequestContext, translation: Translation, course: Course) -> Problem | None:
    """Return why a strict model refuses what its provider's dialect cannot carry. Betas are no part of what is asked: clients
    send all that they know with every request."""
    assert context.request is not None
    kept_out = (*course.current.deployment.drop, *context.request.lowered)
    lost = ", ".join(
        name for name in translation.dropped if name not in kept_out and not name.startswith("anthropic-beta.")
    )
    if lost:
        return Problem(problems.INVALID_BODY, f"this model refuses what would be lost: {lost}"[:512])
    return None


def _wants_sse(context: RequestContext) -> bool:
    return paths.query(context.exchange.head.target, b"alt") == b"sse"
