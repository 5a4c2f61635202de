"""Stages reserve and settle: the two records of a request. Level 4 (docs/invariants.md L2, L6).

Success, failure, timeout and a client that went away all end in `settle`, exactly once.
"""

import math
from collections.abc import Iterable

import msgspec

from switchgear.core.text import clean, header_value
from switchgear.core.usage import TOKENS_MAX, TokenUsage
from switchgear.dialects import input_estimate
from switchgear.dialects.request import Request
from switchgear.edge.bill import Bill
from switchgear.edge.context import RequestContext
from switchgear.edge.course import BUDGET
from switchgear.edge.resolver import PricedDeployment
from switchgear.pricing.price import is_believed
from switchgear.replica.entries import KeyEntry
from switchgear.spool.writer import SpoolWriter
from switchgear.wire import records
from switchgear.wire.records import Held, Kind

BYTES_PER_TOKEN = 4
LATE_S = 26 * 3_600.0
"""A provider that has told nothing of a background answer for so long tells no more (control/corrections)."""
DENIALS_PER_MINUTE = 10
AGGREGATE_MS = 5_000
PATH_MAX = 256
TAGS_MAX = 16
TEXT_CHARS_MAX = 256
DROPPED_BYTES_MAX = 512
"""Names of fields are the client's invention, and a settlement must fit what its reservation kept free (docs/invariants.md L3)."""


def reserve(context: RequestContext, priced: PricedDeployment, spool: SpoolWriter) -> None:
    """Record what is about to happen. Raises SpoolFullError when there is no room."""
    key, request = context.key, context.request
    assert key is not None
    assert request is not None
    estimate = context.input_estimate = input_estimate.tokens(context.bytes_in, context.media)
    pricer = priced.pricer
    expect = pricer.expect(estimate, request.output_tokens_max or 0) if pricer is not None else None
    held = context.held
    record = records.Reserve(
        context.id,
        context.now_ms,
        _caller(context, key),
        _callee(context, priced, request.model),
        request.stream,
        estimate,
        expect,
        None,
        context.bytes_in,
        clean(request.end_user, 128) if request.end_user is not None else None,
        [clean(tag, 64) for tag in request.tags[:TAGS_MAX]] if request.tags else None,
        clean(request.session, 128) if request.session is not None else None,
        _output_max(request) if "background" in request.fields else None,
    )
    if held is not None:
        record = msgspec.structs.replace(
            record, hold_nanousd=_hold_nanousd(held[0]), budgets=held[0], held_us=held[1], lasts_s=held[2]
        )
    spool.reserve(context.id, records.encode_payload(record))
    context.expect_nanousd = expect
    context.reserved = True


def _hold_nanousd(held: Iterable[Held]) -> int | None:
    """Return what the first attempt holds in money; None: nothing."""
    return max((one.amount for one in held if one.unit == "nanousd"), default=None)


def _output_max(request: Request) -> int | None:
    """Return how long an answer may become of which its provider may never tell the usage."""
    asked = request.output_tokens_max
    return None if asked is None else max(0, min(asked, TOKENS_MAX))


def _caller(context: RequestContext, key: KeyEntry) -> msgspec.Raw:
    """Encode who asks, once per connection, head and version of the key."""
    known = context.facts.caller
    if known is not None and known[0] is key:
        return known[1]
    client = context.client
    caller = records.Caller(
        key.id,
        key.name,
        key.version,
        key.team,
        key.user,
        key.project,
        context.exchange.client_address,
        client.tool,
        client.request_id,
        client.trace_id,
        client.end_user,
        client.end_user_source,
        client.session,
        client.agent,
        [*(key.tags or []), *(client.tags or [])] or None,
        client.retry,
        key.team_id if key.team_id != key.team else None,
    )
    raw = msgspec.Raw(records.encode_payload(caller))
    context.facts.caller = (key, raw)
    return raw


def _callee(context: RequestContext, priced: PricedDeployment, model: str) -> msgspec.Raw:
    """Encode what is asked of whom, once per deployment and path."""
    endpoint, path = context.endpoint, context.endpoint.path
    if endpoint.operation == "passthrough" and context.request is not None:
        path = clean(
            f"{path}/{priced.deployment.provider.name}{context.request.stored_path.partition('?')[0]}", PATH_MAX
        )
    name = (endpoint.name, path)
    raw = priced.callees.get(name)
    if raw is None:
        deployment, pricer = priced.deployment, priced.pricer
        callee = records.Callee(
            endpoint.name,
            path,
            endpoint.dialect.name,
            clean(model, 256),
            deployment.provider.name,
            priced.credential_id,
            deployment.credential,
            clean(deployment.upstream_model, 256),
            pricer.price_id if pricer is not None else None,
        )
        raw = priced.callees[name] = msgspec.Raw(records.encode_payload(callee))
    return raw


def attempt(context: RequestContext, number: int, priced: PricedDeployment, spool: SpoolWriter) -> None:
    """Record a further attempt before it is made."""
    deployment = priced.deployment
    record = records.Attempt(
        context.id,
        number,
        deployment.provider.name,
        priced.credential_id,
        deployment.credential,
        clean(deployment.upstream_model, 256),
        priced.pricer.price_id if priced.pricer is not None else None,
        *(context.held if context.held is not None else ()),
    )
    spool.attempt(context.id, records.encode_payload(record))


def settle(
    context: RequestContext,
    spool: SpoolWriter,
    elapsed_ms: int,
    *,
    finish_reason: str | None = None,
    response_id: str | None = None,
    service_tier: str | None = None,
    billed: bool = True,
    bill: Bill | None = None,
    is_cached: bool = False,
    saved_nanousd: int | None = None,
) -> int | None:
    """Record the outcome; returns the cost in nano-USD, None when unpriced. `billed` is False where no provider can
    have charged. `bill` is for an answer that has more to it than its tokens at the asked model's price. `is_cached`: nobody was
    asked, and the answer cost `saved_nanousd` when it was made; None where that is not known."""
    pricer, course = context.pricer, context.course
    if bill is not None and bill.pricer is not None:
        pricer = bill.pricer
    cost: int | None
    if not billed:
        cost, bill = 0, None
    elif pricer is None:
        cost = None
    else:
        cost = pricer.nanousd(context.usage, service_tier, context.units)
    others = charged = named = None
    is_foreign = False
    if bill is not None:
        is_foreign = bill.is_foreign
        if pricer is not None:
            cost = _with_others(cost, bill)
        if bill.charged_nanousd is not None and is_believed(cost, bill.charged_nanousd):
            cost = bill.charged_nanousd
        others, charged, named = bill.recorded()
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
        _dropped(context.dropped) if context.dropped else None,
        context.units,
        others,
        charged,
        named,
        is_foreign,
        _passed_over(context) if context.rerouted is not None or (course is not None and course.passed_over) else None,
        is_cached,
        saved_nanousd,
        context.queue_ms,
        context.is_untold and billed,
        _still_charged(context, billed) if context.admission is not None else None,
    )
    spool.settle(context.id, records.encode_payload(record))
    context.reserved = False
    return cost


def _with_others(cost: int | None, bill: Bill) -> int | None:
    """Add what other models of an answer cost."""
    for other in bill.others:
        more = other.pricer.nanousd(other.tokens, None) if other.pricer is not None else None
        cost = None if cost is None or more is None else cost + more
    return cost


def _passed_over(context: RequestContext) -> list[str] | None:
    """Return what was not asked, and why: first the model, where a budget that is spent led to another one."""
    found = [f"{clean(context.rerouted, 256)}: {BUDGET}"] if context.rerouted is not None else []
    found += context.course.passed_over if context.course is not None else ()
    return _bounded(found) if found else None


def uncertain_s(context: RequestContext, billed: bool) -> float | None:
    """Return for how long the last attempt's provider may charge more than is known; None: what it costs is known."""
    course, reason = context.course, context.estimate_reason
    if context.is_late:
        return LATE_S
    if not billed or reason is None or context.outcome == "ok" or context.is_cut_off or course is None:
        return None
    return course.lasts_s


def _still_charged(context: RequestContext, billed: bool) -> list[records.StillCharged] | None:
    """Return what control is to hold where the edge's own counters are forgotten: of attempts that hold budgets."""
    found = context.still_charged
    number = context.admission.budgeted if context.admission is not None else None
    if number is not None and (last_s := uncertain_s(context, billed)) is not None:
        found = {**found, number: math.ceil(last_s)}
    return [records.StillCharged(number, lasts_s) for number, lasts_s in found.items()] or None


def _dropped(fields: list[str]) -> list[str]:
    """Bound what was dropped."""
    return _bounded(header_value(clean(field, 64), 64).decode("ascii") for field in fields)


def _bounded(texts: Iterable[str]) -> list[str]:
    """Bound what a settlement lists: ASCII, so that characters are bytes."""
    kept: list[str] = []
    room = DROPPED_BYTES_MAX
    for whole in texts:
        text = clean(whole, TEXT_CHARS_MAX).encode("ascii", "replace").decode("ascii")
        room -= len(text) + 2
        if room < 0:
            return [*kept, "..."]
        kept.append(text)
    return kept


def estimate(context: RequestContext, output_tokens: int, reason: str, *, is_whole: bool = False) -> None:
    """Fill in usage that no provider reported; the record says that and why. `is_whole`: the answer came to its end, so
    nothing more will be told."""
    context.is_untold = is_whole
    context.usage = TokenUsage(input=context.input_estimate, output=output_tokens)
    context.estimate_reason = reason


def reported(usage: TokenUsage | None) -> TokenUsage | None:
    """Return what a provider reported, None where that is nothing: no prompt has no tokens, and a server that counts none (or
    puts zeros) is estimated like one that says nothing."""
    if usage is None or usage.input or usage.output or usage.input_total or usage.output_total:
        return usage
    return None


def complete(context: RequestContext, usage: TokenUsage | None, output_tokens: int, final: bool, reason: str) -> None:
    """Fill in the usage of a stream that broke off: what was reported so far, but never less output than was seen. Some
    providers report their input at the beginning and their output at the end (`final`)."""
    if usage is None:
        estimate(context, output_tokens, reason, is_whole=final)
        return
    context.usage = usage
    if usage.output_total < output_tokens and not final:
        context.usage = msgspec.structs.replace(usage, output=output_tokens - usage.output_total + (usage.output or 0))
    if not final:
        context.estimate_reason = reason


class DenialLog:
    """Records refusals of valid keys: up to ten a minute per key and reason, then aggregates (docs/invariants.md L7): one for
    each few seconds in which there were more, so that an edge that is killed loses no more than these."""

    def __init__(self, spool: SpoolWriter) -> None:
        self._spool = spool
        self._minute = 0
        self._written: dict[tuple[str, str], tuple[int, int]] = {}
        """How many aggregates told of so far, and when the last one was written."""
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
            context.endpoint.path,
            context.endpoint.dialect.name,
            clean(request.model, 256) if request else None,
            problem.case.status,
            problem.case.code,
            clean(problem.message, 256),
            context.exchange.client_address,
            context.client.tool,
        )
        what = (key.id, problem.case.code)
        count = self._counts[what] = self._counts.get(what, 0) + 1
        if count <= DENIALS_PER_MINUTE:
            self._spool.append(Kind.DENIAL, records.encode_payload(record))
            return
        self._last[what] = record
        told, written_ms = self._written.setdefault(what, (DENIALS_PER_MINUTE, context.now_ms))
        if context.now_ms - written_ms >= AGGREGATE_MS:
            self._aggregate(what, self._last.pop(what), told)
            self._written[what] = (count, context.now_ms)

    def _aggregate(self, what: tuple[str, str], record: records.Denial, told: int) -> None:
        """Write an aggregate. Its id is the last refusal's, which has no record of its own."""
        rest = msgspec.structs.replace(record, count=self._counts[what] - told)
        self._spool.append(Kind.DENIAL, records.encode_payload(rest))

    def flush(self) -> None:
        """Write what was not told yet of the minute that ended."""
        for what, record in self._last.items():
            self._aggregate(what, record, self._written[what][0])
        self._counts.clear()
        self._last.clear()
        self._written.clear()
