"""Stage dry_run: say what would be done. Level 4.

Nothing is sent, nothing is reserved, and there is no record. Which credential would be used is not told to the client.
"""

from typing import Literal

import msgspec

from switchgear.core.money import format_usd
from switchgear.dialects import input_estimate, passage
from switchgear.dialects.request import Request
from switchgear.edge.context import Halt, RequestContext
from switchgear.edge.plan import Target
from switchgear.edge.services import EdgeServices


def dry_run(services: EdgeServices, context: RequestContext) -> Literal[Halt.DONE] | None:
    """Answer, where the client asked for no more."""
    if not context.client.is_dry_run:
        return None
    request, plan, course = context.request, context.plan, context.course
    assert request is not None
    assert plan is not None
    assert course is not None
    first = course.target
    estimate = input_estimate.tokens(context.bytes_in, context.media)
    expect = first.meterer.expect(estimate, request.output_tokens_max or 0) if first.meterer is not None else None
    targets = plan.targets[:1] if request.operation == "passthrough" else plan.targets
    body = msgspec.json.encode(
        {
            "dry_run": True,
            "model": request.model,
            "operation": request.operation,
            "targets": [_told(request, target) for target in targets],
            "first": first.candidate.provider.name,
            "input_tokens_estimate": estimate,
            "cost_usd_estimate": None if expect is None else format_usd(expect),
        }
    )
    headers = b"content-type: application/json\r\nx-request-id: %b\r\nx-switchgear-dry-run: true\r\n"
    context.exchange.send(200, headers % context.id.encode(), body)
    return Halt.DONE


def _told(request: Request, target: Target) -> dict[str, object]:
    candidate = target.candidate
    dialects = candidate.provider.dialects
    return {
        "provider": candidate.provider.name,
        "upstream_model": candidate.upstream_model,
        "dialect": passage.choose(request.dialect, request.operation, dialects, candidate.upstream_model),
        "priced": target.meterer is not None,
    }
