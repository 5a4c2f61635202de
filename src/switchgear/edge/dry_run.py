"""Stage dry_run: say what would be done. Level 4.

Nothing is sent, nothing is reserved, and there is no record. Of limits it counts as what costs nothing.
Which credential would be used is not told to the client.
"""

from typing import Literal

import msgspec

from switchgear.core.money import format_usd
from switchgear.core.problems import Problem
from switchgear.dialects import input_estimate
from switchgear.dialects.dialect_choice import choose_dialect
from switchgear.dialects.request import Request
from switchgear.edge import admit, budget_report, limit_report
from switchgear.edge.context import Halt, RequestContext
from switchgear.edge.resolver import PricedDeployment
from switchgear.edge.services import EdgeServices
from switchgear.replica import holding


def dry_run(services: EdgeServices, context: RequestContext) -> Problem | Literal[Halt.DONE, Halt.WAIT] | None:
    """Answer, where the client asked for no more."""
    if not context.client.is_dry_run:
        return None
    request, resolution, course = context.request, context.resolution, context.course
    key = context.key
    assert key is not None
    assert request is not None
    assert resolution is not None
    assert course is not None
    taken = admit.take_to_answer(services, context)
    if taken is not None:
        return taken
    first = course.current
    estimate = input_estimate.tokens(context.bytes_in, context.media)
    expect = first.pricer.expect(estimate, request.output_tokens_max or 0) if first.pricer is not None else None
    deployments = resolution.deployments[:1] if request.operation == "passthrough" else resolution.deployments
    limits, refused = limit_report.of_request(services, context)
    budgets, refused_by_budget = budget_report.of_request(services, context)
    body = msgspec.json.encode(
        {
            "dry_run": True,
            "model": request.model,
            "operation": request.operation,
            "targets": [_told(request, priced) for priced in deployments],
            "first": first.deployment.provider.name,
            "input_tokens_estimate": estimate,
            "cost_usd_estimate": None if expect is None else format_usd(expect),
            "limits": limits,
            "refused_by_limit": refused,
            "budgets": budgets,
            "refused_by_budget": refused_by_budget,
            "binding": [one._asdict() for one in holding.binding(key)],
        }
    )
    headers = b"content-type: application/json\r\nx-request-id: %b\r\nx-switchgear-dry-run: true\r\n"
    context.exchange.send(200, headers % context.id.encode(), body)
    admit.answered(context)
    return Halt.DONE


def _told(request: Request, priced: PricedDeployment) -> dict[str, object]:
    deployment = priced.deployment
    dialects = deployment.provider.dialects
    return {
        "provider": deployment.provider.name,
        "upstream_model": deployment.upstream_model,
        "dialect": choose_dialect(
            request.dialect,
            request.operation,
            dialects,
            deployment.upstream_model,
            request.fields,
            deployment.provider.quirks.web_search,
        ),
        "priced": priced.pricer is not None,
    }
