"""What one request may ask at most, in stage translate_body and for each attempt. Level 4 (core.ceilings, dialects.ceilings).

What the body says is brought down once, before it is translated; what an attempt may cost at worst is looked at for each deployment
that is asked, by the same bound that budgets hold (`edge.reach`).
"""

import msgspec

from switchgear.core import problems
from switchgear.core.ceilings import Ceilings
from switchgear.core.money import format_usd
from switchgear.core.problems import Problem
from switchgear.dialects import ceilings as bodies
from switchgear.dialects.registry import BY_NAME
from switchgear.dialects.translation import Translation
from switchgear.edge import reach
from switchgear.edge.context import RequestContext
from switchgear.edge.resolver import PricedDeployment
from switchgear.edge.upstream_answers import FREE_OPERATIONS

_RAW = Problem(problems.FORBIDDEN, "raw paths are closed to keys with ceilings: what they ask is not read here")
_NO_LIMIT = Problem(problems.INVALID_BODY, "say an output limit: this key or model has a ceiling for it", "max_tokens")
_NO_BOUND = Problem(
    problems.UNSUPPORTED,
    "what this request may cost at most is not known, and a ceiling holds for it: say `max_tokens`, and name nothing by URL or id",
)


def lower(context: RequestContext, ceilings: Ceilings) -> Problem | None:
    """Bring the request down to its ceilings; returns why it is refused."""
    request = context.request
    assert request is not None
    if request.operation == "passthrough":
        return _RAW
    bounded = bodies.bound(request, ceilings)
    if bounded.over:
        if ceilings.refuses:
            return Problem(problems.INVALID_BODY, *bodies.refusal(bounded.over))
        request = context.request = bounded.request
        request.lowered = list(dict.fromkeys([*request.lowered, *bodies.told(bounded.over)]))
    is_unlimited = ceilings.output_tokens is not None and request.output_tokens_max is None
    if is_unlimited and request.operation in bodies.BOUNDED:
        asked = BY_NAME[request.dialect].operations.get(request.operation)
        if asked is None or asked.rules is None or not asked.rules.limit:
            return _NO_LIMIT
    return None


def output_limit(context: RequestContext, configured: int | None) -> int | None:
    """Return the limit of an answer whose request says none: the model's, what budgets still give, and what ceilings allow."""
    ceilings, bound = context.resolution.ceilings if context.resolution is not None else None, context.output_bound
    if ceilings is None:
        return configured if bound is None else bound if configured is None else min(bound, configured)
    most = ceilings.output_tokens
    known = (configured, bound, most, context.cost_output)
    return min((limit for limit in known if limit is not None), default=None)


def check_cost(context: RequestContext, priced: PricedDeployment, translation: Translation) -> Problem | bool:
    """Return why an attempt may cost too much, or whether it has to be translated anew with a lower limit."""
    ceilings = context.resolution.ceilings if context.resolution is not None else None
    most = ceilings.cost_nanousd if ceilings is not None else None
    request = context.request
    assert request is not None
    if ceilings is None or most is None or request.operation in FREE_OPERATIONS:
        return False
    body = translation.body
    size = len(body) if isinstance(body, bytes) else sum(map(len, body))
    found = reach.reached(request, priced, max(context.bytes_in, size), context.media, None)
    limit = output_limit(context, priced.deployment.max_tokens)
    if found.reach.output_asked is None and limit is not None:
        written = min(limit, found.reach.output_max or limit)
        found = msgspec.structs.replace(found, reach=msgspec.structs.replace(found.reach, output_asked=written))
    bound = None if found.rates is None else reach.bound(found, most, None)
    if bound is None:
        return _NO_BOUND
    if bound.cost_nanousd <= most:
        if bound.write_output is None or context.cost_output == bound.write_output:
            return False
        context.cost_output = bound.write_output
        return True
    open_reach = msgspec.structs.replace(found.reach, output_asked=None)
    fitting = reach.bound(msgspec.structs.replace(found, reach=open_reach), most, None)
    if ceilings.refuses or fitting is None or fitting.write_output is None or fitting.cost_nanousd > most:
        text = f"the request may cost {format_usd(bound.cost_nanousd)} USD, over what it may here ({format_usd(most)})"
        return Problem(problems.INVALID_BODY, f"{text}; ask for less output, or send less")
    if request.output_tokens_max is None:
        context.cost_output = fitting.write_output
        return True
    bounded = bodies.bound(request, Ceilings(output_tokens=fitting.write_output))
    if not bounded.over:
        return _NO_BOUND
    context.request = bounded.request
    bounded.request.lowered = list(dict.fromkeys([*request.lowered, *bodies.told(bounded.over)]))
    return True
