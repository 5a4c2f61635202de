"""Stages reserve and settle: the two records of a request. Level 4 (INVARIANTS L2, L6).

Success, failure, timeout and a client that went away all end in `settle`, exactly once.
"""

import msgspec

from switchgear.core.text import clean
from switchgear.core.usage import TokenUsage
from switchgear.edge.attribute import Client
from switchgear.edge.context import RequestContext
from switchgear.edge.plan import Target
from switchgear.spool.writer import SpoolWriter
from switchgear.wire import records
from switchgear.wire.records import Kind

BYTES_PER_TOKEN = 4
DENIALS_PER_MINUTE = 10


def reserve(context: RequestContext, target: Target, spool: SpoolWriter) -> None:
    """Record what is about to happen. Raises SpoolFullError when there is no room."""
    exchange, key, request = context.exchange, context.key, context.request
    client: Client = context.client
    assert key is not None
    assert request is not None
    context.input_estimate = context.bytes_in // BYTES_PER_TOKEN + 1
    candidate, meterer = target.candidate, target.meterer
    expect = meterer.expect(context.input_estimate, request.output_tokens_max or 0) if meterer is not None else None
    tags = client.tags or request.tags
    record = records.Reserve(
        context.id,
        context.now_ms,
        key.id,
        key.name,
        key.version,
        key.team,
        key.user,
        key.project,
        context.endpoint.name,
        context.endpoint.upstream,
        "openai",
        clean(request.model, 256),
        request.stream,
        candidate.provider.name,
        target.deployment,
        candidate.credential,
        clean(candidate.upstream_model, 256),
        meterer.price_id if meterer is not None else None,
        context.input_estimate,
        expect,
        None,
        context.bytes_in,
        exchange.client_address,
        client.tool,
        client.request_id,
        client.trace_id,
        client.end_user or (clean(request.end_user, 128) if request.end_user else None),
        client.end_user_source or ("body.user" if request.end_user else None),
        client.session,
        client.agent,
        _merge_tags(tags, key.tags),
        None,
        None,
        client.retry,
    )
    spool.reserve(context.id, records.encode_payload(record))
    context.expect_nanousd = expect
    context.reserved = True


def _merge_tags(claimed: list[str] | None, fixed: list[str] | None) -> list[str] | None:
    if not claimed and not fixed:
        return None
    return [*(fixed or []), *(clean(tag, 64) for tag in (claimed or [])[:16])]


def attempt(context: RequestContext, number: int, target: Target, spool: SpoolWriter) -> None:
    """Record a further attempt before it is made."""
    candidate = target.candidate
    record = records.Attempt(
        context.id,
        number,
        candidate.provider.name,
        target.deployment,
        candidate.credential,
        clean(candidate.upstream_model, 256),
        target.meterer.price_id if target.meterer is not None else None,
    )
    spool.append(Kind.ATTEMPT, records.encode_payload(record))


def settle(
    context: RequestContext,
    spool: SpoolWriter,
    elapsed_ms: int,
    *,
    finish_reason: str | None = None,
    response_id: str | None = None,
    service_tier: str | None = None,
    billed: bool = True,
) -> int | None:
    """Record the outcome; returns the cost in nano-USD, None when unpriced. `billed` is False where no provider can
    have charged."""
    meterer = context.meterer
    cost: int | None
    if not billed:
        cost = 0
    elif meterer is None or context.usage is None:
        cost = None
    else:
        cost = meterer.nanousd(context.usage, service_tier)
    code, message = context.error or (None, None)
    record = records.Settle(
        context.id,
        context.status,
        context.outcome,
        context.attempts,
        context.usage,
        cost,
        context.estimate_reason,
        finish_reason,
        response_id,
        service_tier,
        context.bytes_out,
        elapsed_ms,
        context.ttft_ms,
        code,
        clean(message, 256) if message else None,
    )
    spool.settle(context.id, records.encode_payload(record))
    context.reserved = False
    return cost


def estimate(context: RequestContext, output_tokens: int, reason: str) -> None:
    """Fill in usage that no provider reported; the record says that and why."""
    context.usage = TokenUsage(input=context.input_estimate, output=output_tokens)
    context.estimate_reason = reason


class DenialLog:
    """Records refusals of valid keys: up to ten a minute per key and reason, then one aggregate (INVARIANTS L7)."""

    def __init__(self, spool: SpoolWriter) -> None:
        self._spool = spool
        self._minute = 0
        self._counts: dict[tuple[str, str], int] = {}
        self._last: dict[tuple[str, str], records.Denial] = {}

    def deny(self, context: RequestContext) -> None:
        """Record or count a refusal."""
        key, problem = context.key, context.problem
        assert key is not None
        assert problem is not None
        minute = context.now_ms // 60_000
        if minute != self._minute:
            self.flush()
            self._minute = minute
        request = context.request
        record = records.Denial(
            context.id,
            context.now_ms,
            key.id,
            key.name,
            key.version,
            key.team,
            key.user,
            key.project,
            context.endpoint.name,
            context.endpoint.upstream,
            "openai",
            clean(request.model, 256) if request else None,
            problem.case.status,
            problem.case.code,
            clean(problem.message, 256),
            context.exchange.client_address,
            context.client.tool if context.client is not None else None,
        )
        what = (key.id, problem.case.code)
        count = self._counts[what] = self._counts.get(what, 0) + 1
        if count <= DENIALS_PER_MINUTE:
            self._spool.append(Kind.DENIAL, records.encode_payload(record))
        else:
            self._last[what] = record

    def flush(self) -> None:
        """Write the aggregates of the minute that ended. Its id is the last refusal's, which has no record of its own."""
        for what, record in self._last.items():
            rest = msgspec.structs.replace(record, count=self._counts[what] - DENIALS_PER_MINUTE)
            self._spool.append(Kind.DENIAL, records.encode_payload(rest))
        self._counts.clear()
        self._last.clear()
