"""Stage choose, of models that have more than one deployment: which are asked, in which order. Level 4 (routing/choice).

While nothing is wrong anywhere and the order is the configured one, they are taken as they stand.
"""

import zlib

from switchgear.core import problems
from switchgear.core.problems import Problem
from switchgear.core.steps import Steps, Stepwise
from switchgear.dialects import input_estimate
from switchgear.dialects.request import Request
from switchgear.edge import repeatable
from switchgear.edge.context import Outcome, RequestContext
from switchgear.edge.course import RoutedCourse
from switchgear.edge.resolver import Resolution
from switchgear.edge.services import EdgeServices
from switchgear.routing import choice, conditions, strategies
from switchgear.routing.conditions import Traits
from switchgear.routing.strategies import Candidate, Occasion

_IMAGES = (b'"image_url"', b'"input_image"', b'"type":"image"', b'"type": "image"', b'"inlineData"', b'"inline_data"')
_SCHEMAS = (b'"json_schema"', b'"responseSchema"', b'"response_schema"', b'"responseJsonSchema"', b'"output_format"')
_TOOLS = ("tools", "functions", "toolConfig")
_MARKS = (("images", _IMAGES), ("json_schema", _SCHEMAS))
_LOOK_BYTES = 131_072
"""How much of a body is looked through at a time: it is searched for each mark, about 4 ms."""
_OVERLAP_BYTES = 64
"""More than the longest mark."""
_UNFIT = frozenset(choice.WHY.values())
_EMPTY = frozenset({b"[]", b"null", b"{}"})


def choose(services: EdgeServices, context: RequestContext, resolution: Resolution) -> Outcome:
    """Fill the context's course; a Problem where no deployment is for such a request. A large body is looked through in steps."""
    request = context.request
    assert request is not None
    whens = [one.deployment.when for one in resolution.deployments]
    if not any(when is not None and conditions.reads_body(when) for when in whens):
        return _choose(services, context, resolution, frozenset())
    if request.is_large:
        return _choose_steps(services, context, resolution, request)
    return _choose(services, context, resolution, needs_of(request))


def _choose_steps(
    services: EdgeServices, context: RequestContext, resolution: Resolution, request: Request
) -> Steps[Problem | None]:
    needs = yield from needs_of.steps(request)
    return _choose(services, context, resolution, needs)


def _choose(
    services: EdgeServices, context: RequestContext, resolution: Resolution, needs: frozenset[str]
) -> Problem | None:
    assert resolution.route is not None
    assert resolution.order is not None
    request = context.request
    assert request is not None
    ordinary = [priced for priced in resolution.deployments if priced.deployment.only_after is None]
    special = [priced for priced in resolution.deployments if priced.deployment.only_after is not None]
    tokens = input_estimate.tokens(context.bytes_in, context.media)
    candidates = [priced.candidate for priced in ordinary if priced.candidate is not None]
    book = services.resolver.states
    is_probe = False
    unfit: list[str] = []
    if not ordinary:
        return _nobody(resolution, "all that are left are for one kind of error only")
    if not _is_plain(resolution, candidates, book.troubled):
        occasion = Occasion(
            zlib.crc32(context.id.encode()),
            context.now_ms,
            services.clock.monotonic_s(),
            session_of(context, request),
            tokens,
            request.output_tokens_max or 0,
            request.stream,
            client_of(context),
        )
        chosen = choice.choose(
            resolution.order, candidates, occasion, traits_of(context, request, candidates, tokens, needs), book
        )
        if not chosen.positions:
            return _nobody(resolution, "; ".join(dict.fromkeys(chosen.left_out.values())))
        is_probe = chosen.probe is not None
        unfit = [f"{candidates[at].name}: {why}" for at, why in chosen.left_out.items() if why in _UNFIT]
        book.calm((candidates[position].state for position in chosen.positions), occasion.now_s)
        ordinary = [ordinary[position] for position in chosen.positions]
    lasts_s = total_s = ordinary[0].deployment.timeouts.total_s
    client = context.client
    if client.timeout_s is not None and client.timeout_s < total_s:
        total_s = client.timeout_s
    retries = 0 if client.retry else resolution.route.retries_max
    course = RoutedCourse(ordinary, retries, total_s, resolution.route.retry, special, tokens, client_of(context))
    course.is_probe, course.lasts_s = is_probe, lasts_s
    if resolution.route.hedge_s is not None and repeatable.may_repeat(request):
        course.hedge_s = resolution.route.hedge_s
    course.passed_over += unfit
    context.course = course
    return None


def _is_plain(resolution: Resolution, candidates: list[Candidate], troubled: set[str]) -> bool:
    """Tell whether they are taken as they stand."""
    return resolution.order is strategies.ordered and all(
        one.strategy == strategies.DEFAULT and one.when is None and one.canary is None and one.name not in troubled
        for one in candidates
    )


def _nobody(resolution: Resolution, why: str) -> Problem:
    assert resolution.route is not None
    return Problem(
        problems.UNSUPPORTED, f"no deployment of {resolution.route.model[:128]!r} is for this request: {why}", "model"
    )


def client_of(context: RequestContext) -> str:
    """Return whose failures are known apart: a team's, else a key's (routing/states)."""
    key = context.key
    return "" if key is None else f"team:{key.team_id}" if key.team_id else f"key:{key.id}"


def session_of(context: RequestContext, request: Request) -> str:
    """Return what belongs together, as the client says it: its session, else its user; "" where it says nothing."""
    client = context.client
    return client.session or request.session or client.end_user or request.end_user or ""


def traits_of(
    context: RequestContext, request: Request, candidates: list[Candidate], tokens: int, needs: frozenset[str]
) -> Traits:
    """Return what conditions look at."""
    if all(one.when is None for one in candidates):
        return Traits()
    key = context.key
    assert key is not None
    if any(conditions.names_context(one.when) for one in candidates) and choice.needs_context(
        candidates, tokens + (request.output_tokens_max or 0)
    ):
        needs |= {conditions.CONTEXT}
    tags = frozenset((*(key.tags or ()), *(context.client.tags or ()), *(request.tags or ())))
    return Traits(key.name, key.team, tags, tokens, needs)


@Stepwise
def needs_of(request: Request) -> Steps[frozenset[str]]:
    """Return what a body needs of a model: `images`, `tools`, `json_schema`. Members' names are looked for as they stand between
    plain quotes, which a text that quotes them has not."""
    found = set()
    if any(bytes(request.fields[name]) not in _EMPTY for name in _TOOLS if name in request.fields):
        found.add("tools")
    for raw in request.fields.values():
        value = memoryview(raw)
        for start in range(0, value.nbytes, _LOOK_BYTES):
            piece = bytes(value[start : start + _LOOK_BYTES + _OVERLAP_BYTES])
            for need, marks in _MARKS:
                if need not in found and any(mark in piece for mark in marks):
                    found.add(need)
            if value.nbytes > _LOOK_BYTES:
                yield
    return frozenset(found)
