"""The lines that an edge writes of requests: who was refused, which provider failed, and one per request when asked. Level 4.

Names and numbers only: no text of a body, of an answer or of a provider's error.
"""

from switchgear.core.clock import Clock
from switchgear.core.log_line import Level, Report, Value
from switchgear.core.problems import Problem
from switchgear.edge.context import RequestContext
from switchgear.edge.resolver import PricedDeployment
from switchgear.net.exchange import Exchange
from switchgear.routing import retry
from switchgear.wire.records import AttemptOutcome

NOT_THE_PROVIDERS = frozenset({"client_gone", "interrupted", "frozen"})
"""Ends of attempts that are no failure of whoever was asked."""


def refusal(report: Report, problem: Problem, context: RequestContext | None) -> None:
    """Tell of a request that the gateway itself refused."""
    case = problem.case
    key = context.key if context is not None else None
    report(
        f"a request is refused: {case.code}",
        "warning" if case.status >= 500 else "info",
        kind=f"refused {case.code}",
        request_id=context.id if context is not None else None,
        status=case.status,
        key=key.name if key is not None else None,
        client=context.exchange.client_address if context is not None else None,
    )


def attempt(report: Report, request_id: str, priced: PricedDeployment, outcome: AttemptOutcome, message: str) -> None:
    """Tell of an attempt that a provider did not answer well. A client's own mistake (400, 404, 422 …) is none."""
    status, error = outcome.status, outcome.error
    refused = status in retry.OUR_FAULT
    failed = error is not None or refused or (status is not None and (status >= 500 or status in {408, 429}))
    if not failed or error in NOT_THE_PROVIDERS:
        return
    level: Level = "error" if refused else "warning"
    report(
        f"{priced.deployment.provider.name}: the credential is refused"
        if refused
        else f"{priced.deployment.provider.name}: an attempt failed",
        level,
        kind=f"upstream {priced.credential_id} {status} {error}",
        request_id=request_id,
        provider=priced.deployment.provider.name,
        credential=priced.deployment.credential,
        model=priced.deployment.upstream_model,
        status=status,
        reason=error,
        why=message or None,
        attempt=outcome.number,
        ms=outcome.end_ms - outcome.start_ms,
    )


def access(clock: Clock, exchange: Exchange) -> tuple[str | None, dict[str, Value]]:
    """Return a request's id and the fields of its line in the access log."""
    head = exchange.head
    context = exchange.context
    fields: dict[str, Value] = {
        "method": head.method.decode("ascii", "replace"),
        "path": head.target.partition(b"?")[0][:256].decode("ascii", "replace"),
        "status": exchange.status or 499,
        "client": exchange.client_address,
    }
    if not isinstance(context, RequestContext):
        return None, fields
    key, request, deployment = context.key, context.request, context.deployment
    fields |= {
        "ms": int((clock.monotonic_s() - context.started_s) * 1000),
        "key": key.name if key is not None else None,
        "team": key.team if key is not None else None,
        "model": request.model if request is not None else None,
        "provider": deployment.provider.name if deployment is not None else None,
        "bytes_in": context.bytes_in,
        "bytes_out": context.bytes_out,
        "attempts": len(context.attempts) or None,
        "first_token_ms": context.ttft_ms,
        "outcome": context.outcome or None,
        "error": context.problem.case.code if context.problem is not None else None,
        "tool": context.client.tool,
    }
    return context.id, fields
