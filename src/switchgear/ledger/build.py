"""From a spool's payloads to a ledger record. Level 3. Pure.

The store keeps the payloads as they were spooled; the record that people see is built from them when it is read. That
keeps absorption cheap, and the bytes that a settlement was made of stay what they were.
"""

import datetime
import re
from collections.abc import Callable, Sequence

import msgspec

from switchgear import __version__
from switchgear.core.ids import attempt_id, deployment_id
from switchgear.core.money import NANO_PER_USD
from switchgear.core.text import clean
from switchgear.core.usage import TokenUsage
from switchgear.ledger.record import (
    Attempt,
    Client,
    CostLine,
    EndUser,
    Error,
    Named,
    Outcome,
    Record,
    Timings,
    Tokens,
    decode,
)
from switchgear.pricing import price as cost_of
from switchgear.pricing.price import UNITS, Cost, Price, as_charged, cost, is_believed, together
from switchgear.wire import records

RECORD_VERSION = 2
TEXT_MAX = 512
UNITS_MAX = 10**7
TRIES_MAX = 16
"""Attempts of a request that are believed: more than an edge makes."""
SAVED_NANOUSD_MAX = 10**13
"""Ten thousand USD for one answer that was kept: nobody's (docs/invariants.md L5)."""
NOT_THE_PROVIDERS = frozenset(
    {"client_gone", "interrupted", "vault_lost", "frozen", "overloaded", "refused", "hedged", "overrun"}
)
"""Ends of attempts that say nothing of the provider."""

FindPrice = Callable[[str, str, str, int], Price | None]
"""(price id, provider, upstream model, time in ms) → the price with that id, or None when no such price was published."""


class OpenRequest(msgspec.Struct):
    """A reservation whose settlement has not come."""

    reserve: records.Reserve
    caller: records.Caller
    callee: records.Callee
    raw: bytes
    """The reservation's payload."""
    attempts: list[records.Attempt]
    checkpoint: records.Checkpoint | None = None


class StoredRecord(msgspec.Struct, array_like=True):
    """What the store keeps of a settled request: the spool's payloads. Its encoding never begins with "{", so a row is
    either this or a whole Record in JSON."""

    reserve: msgspec.Raw
    attempts: list[records.Attempt]
    settle: msgspec.Raw
    version: int = 1


encode_stored = msgspec.msgpack.Encoder().encode
_decode_stored = msgspec.msgpack.Decoder(StoredRecord).decode
_decode_reserve = msgspec.msgpack.Decoder(records.Reserve).decode
_decode_settle = msgspec.msgpack.Decoder(records.Settle).decode


def tries_of(row: bytes) -> int:
    """Return how many attempts a stored request names."""
    if row[:1] == b"{":
        return max((int(attempt.id.rpartition("-")[2]) for attempt in decode(row).attempts), default=0)
    return 1 + len(_decode_stored(row).attempts)


def opened_of(row: bytes) -> tuple[OpenRequest, records.Settle] | None:
    """Return a stored row's reservation and settlement; None for a record that is kept whole. Raises msgspec.DecodeError."""
    if row[:1] == b"{":
        return None
    stored = _decode_stored(row)
    reserve = _decode_reserve(stored.reserve)
    callee = records.decode_callee(reserve.callee)
    opened = OpenRequest(reserve, records.decode_caller(reserve.caller), callee, b"", stored.attempts)
    return opened, _decode_settle(stored.settle)


def from_row(row: bytes, find_price: FindPrice) -> Record:
    """Build the record of a stored row."""
    found = opened_of(row)
    return _current(decode(row)) if found is None else settled(*found, find_price)


def _current(record: Record) -> Record:
    """Return a record that was kept whole as this version writes it."""
    if record.record_version >= RECORD_VERSION:
        return record
    attempts = [
        msgspec.structs.replace(one, deployment=deployment_id(one.provider, one.upstream_model, one.credential))
        for one in record.attempts
    ]
    deployment = None
    if record.provider is not None and record.credential is not None:
        deployment = deployment_id(record.provider, record.upstream_model or "", record.credential)
    return msgspec.structs.replace(record, record_version=RECORD_VERSION, deployment=deployment, attempts=attempts)


def saved_of(settle: records.Settle) -> int | None:
    """Return what an answer that was kept cost when it was made, as its edge says; None where nobody knows."""
    saved = settle.saved_nanousd
    return saved if settle.is_cached and saved is not None and saved <= SAVED_NANOUSD_MAX else None


def units_of(said: records.Settle | records.AttemptOutcome) -> dict[str, int] | None:
    """Return what was counted otherwise than in tokens, as far as it is believed."""
    if not said.units:
        return None
    return {name: count for name, count in said.units.items() if name in UNITS and 0 <= count <= UNITS_MAX} or None


def tries(settle: records.Settle) -> list[records.AttemptOutcome]:
    """Return the attempts of a settlement that are believed: the last ones."""
    return settle.attempts[-TRIES_MAX:]


def is_failure(status: int | None, error: str | None) -> bool:
    """Tell whether an attempt failed at its provider."""
    return (error is not None and error not in NOT_THE_PROVIDERS) or (status is not None and status >= 400)


def estimate_reason(settle: records.Settle) -> str | None:
    """Return why some of a request's usage is an estimate; None when all was reported."""
    if settle.estimate_reason is not None or len(settle.attempts) < 2:
        return settle.estimate_reason
    guessed = next((one for one in tries(settle) if one.is_estimated), None)
    if guessed is None:
        return None
    return f"attempt {guessed.number} did not end with an answer ({clean(guessed.error or '', 64)}) and may be charged"


def callee_of(opened: OpenRequest, number: int) -> records.Callee | records.Attempt:
    """Return where an attempt went."""
    if number > 1:
        return next((attempt for attempt in opened.attempts if attempt.number == number), opened.callee)
    return opened.callee


def last_callee(opened: OpenRequest, settle: records.Settle | None = None) -> records.Callee | records.Attempt:
    """Return where the last attempt went: what the record and the sums name. The settlement says which one it was: of two that were
    under way at once the first may have answered."""
    if settle is not None and settle.attempts:
        return callee_of(opened, settle.attempts[-1].number)
    return opened.attempts[-1] if opened.attempts else opened.callee


class Part(msgspec.Struct, frozen=True):
    """One attempt with what it used and cost."""

    attempt: Attempt
    usage: TokenUsage | None = None
    computed: Cost | None = None


def settled(opened: OpenRequest, settle: records.Settle, find_price: FindPrice) -> Record:
    """Build the record of a settled request; the cost is computed again from usage and price."""
    callee = priced_callee(opened, settle)
    usage = _sane(settle.tokens)
    price = _price(opened, callee, find_price)
    units = units_of(settle)
    is_billed = usage is not None or (units is not None and settle.cost_nanousd != 0)
    computed = cost(price, usage, settle.service_tier, units) if price is not None and is_billed else None
    if computed is not None and settle.others:
        computed = together(computed, *(_other(opened, callee, other, find_price) for other in settle.others))
    charged = settle.charged_nanousd
    if charged is not None and is_believed(computed.nanousd if computed is not None else None, charged):
        computed = as_charged(computed, charged)
    amount = computed.nanousd if computed is not None else (0 if settle.cost_nanousd == 0 and usage is None else None)
    outcomes = tries(settle)
    before = [_part(opened, outcome, find_price) for outcome in outcomes[:-1]]
    error = None
    if settle.error_code is not None:
        error = Error(settle.error_code[:64], (settle.error_message or "")[:TEXT_MAX])
    ending = Ending(
        status=settle.status,
        outcome=outcome_of(settle.outcome),
        tokens=usage,
        computed=computed,
        cost_nanousd=amount,
        estimate_reason=estimate_reason(settle),
        before=before,
        last=outcomes[-1].number if outcomes else None,
        last_outcome=outcomes[-1] if outcomes else None,
        finish_reason=settle.finish_reason,
        response_id=settle.response_id,
        service_tier=settle.service_tier,
        bytes_out=max(0, settle.bytes_out),
        latency_ms=max(0, settle.latency_ms),
        ttft_ms=settle.ttft_ms,
        error=error,
        dropped=settle.dropped,
        passed_over=settle.passed_over,
        units=units,
        price_id=callee.price_id,
        upstream_ms=sum(o.end_ms - o.start_ms for o in settle.attempts) if settle.attempts else None,
        is_cached=settle.is_cached,
        saved_nanousd=saved_of(settle),
        queue_ms=settle.queue_ms,
    )
    return make(opened, price, ending)


def priced_callee(opened: OpenRequest, settle: records.Settle) -> records.Callee | records.Attempt:
    """Return where the last attempt went, under the model that the answer named where that is priced otherwise."""
    callee = last_callee(opened, settle)
    if settle.priced_as is not None:
        model, price_id = settle.priced_as
        return msgspec.structs.replace(callee, upstream_model=model[:256], price_id=price_id[:64])
    return callee


def other_callee(
    callee: records.Callee | records.Attempt, other: records.OtherModel
) -> records.Callee | records.Attempt:
    """Return a callee as it is for a further model of its provider."""
    return msgspec.structs.replace(callee, upstream_model=other.model[:256], price_id=other.price_id)


def _other(
    opened: OpenRequest, callee: records.Callee | records.Attempt, other: records.OtherModel, find_price: FindPrice
) -> Cost | None:
    price = _price(opened, other_callee(callee, other), find_price)
    return cost(price, other.tokens) if price is not None and other.tokens.is_sane() else None


def _sane(usage: TokenUsage | None) -> TokenUsage | None:
    return usage if usage is not None and usage.is_sane() else None


def _price(opened: OpenRequest, callee: records.Callee | records.Attempt, find_price: FindPrice) -> Price | None:
    if callee.price_id is None:
        return None
    return find_price(callee.price_id, callee.provider, callee.upstream_model, opened.reserve.time_ms)


def _part(opened: OpenRequest, outcome: records.AttemptOutcome, find_price: FindPrice) -> Part:
    usage = _sane(outcome.tokens)
    price = _price(opened, callee_of(opened, outcome.number), find_price)
    units = units_of(outcome)
    computed = cost(price, usage, outcome.service_tier, units) if price is not None and usage is not None else None
    return part(opened, outcome.number, outcome, usage, computed)


def part(
    opened: OpenRequest,
    number: int,
    outcome: records.AttemptOutcome | None,
    usage: TokenUsage | None,
    computed: Cost | None,
) -> Part:
    """Return an attempt with what it used; without usage it cost nothing."""
    amount = computed.nanousd if computed is not None else (0 if usage is None else None)
    listed = computed.list_nanousd if computed is not None else amount
    return Part(_attempt(opened, number, outcome, usage, amount, listed), usage, computed)


_OUTCOMES: dict[str, Outcome] = {
    "ok": "ok",
    "client_error": "client_error",
    "upstream_error": "upstream_error",
    "timeout": "timeout",
    "client_gone": "client_gone",
    "interrupted": "interrupted",
}


def outcome_of(text: str) -> Outcome:
    return _OUTCOMES.get(text, "interrupted")


def _named(name: str | None) -> Named | None:
    return Named(name, name) if name is not None else None


def time_text(ms: int) -> str:
    """RFC 3339, UTC, with milliseconds."""
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


# A version begins with a figure: `OpenAI/Python 3.3.0`, `GeminiCLI-tui/0.61.0/gemini-2.5-pro (linux; x64)`.
_NAMED_VERSION = re.compile(r"([^\s(;]+?)[/ ](v?[0-9][^\s/;,()]*)")


def _tool(text: str | None) -> Client | None:
    if text is None:
        return None
    found = _NAMED_VERSION.match(text)
    if found is not None:
        return Client(found[1], found[2])
    tool, slash, rest = text.partition("/")
    return Client(tool, rest.split(" ", 1)[0] if slash else None)


def _tokens(usage: TokenUsage | None) -> Tokens | None:
    if usage is None:
        return None
    return Tokens(**msgspec.structs.asdict(usage))


def _unit_price(line: cost_of.CostLine) -> str:
    """USD per million tokens, or for one of what is counted otherwise."""
    return _usd(line.unit_price if line.unit == "tokens" else line.unit_price // cost_of.MTOK)


def _usd(nano: int) -> str:
    whole, rest = divmod(nano, NANO_PER_USD)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".")


def _attempt(
    opened: OpenRequest,
    number: int,
    outcome: records.AttemptOutcome | None,
    usage: TokenUsage | None,
    amount: int | None,
    listed: int | None,
) -> Attempt:
    callee = callee_of(opened, number)
    timings = None
    if outcome is not None:
        timings = Timings(outcome.start_ms, outcome.first_byte_ms, outcome.end_ms, outcome.connect_ms)
    return Attempt(
        id=attempt_id(opened.reserve.id, number),
        provider=callee.provider,
        deployment=deployment_id(callee.provider, callee.upstream_model, callee.credential),
        credential=callee.credential,
        upstream_model=callee.upstream_model,
        status=outcome.status if outcome is not None else None,
        timings=timings,
        tokens=_tokens(usage),
        cost_nanousd=amount,
        upstream_request_id=outcome.upstream_request_id if outcome is not None else None,
        error=outcome.error if outcome is not None else None,
        list_cost_nanousd=listed,
    )


def _sum(usages: list[TokenUsage]) -> TokenUsage | None:
    """Add usages up; a count that none reports stays unknown."""
    if len(usages) < 2:
        return usages[0] if usages else None
    total: dict[str, int] = {}
    for usage in usages:
        for name, count in msgspec.structs.asdict(usage).items():
            if count is not None:
                total[name] = total.get(name, 0) + count
    return TokenUsage(**total)


def _end_user(caller: records.Caller, reserve: records.Reserve) -> EndUser | None:
    if caller.end_user is not None:
        return EndUser(caller.end_user, caller.end_user_source or "")
    return EndUser(reserve.end_user, "body.user") if reserve.end_user is not None else None


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a request ended. Tokens, cost and outcome are the last attempt's."""

    status: int
    outcome: Outcome
    cost_nanousd: int | None
    """None where it is not known."""
    tokens: TokenUsage | None = None
    computed: Cost | None = None
    estimate_reason: str | None = None
    before: Sequence[Part] = ()
    """The attempts before the last one."""
    last: int | None = None
    """The last attempt's number; None when nothing was sent."""
    last_outcome: records.AttemptOutcome | None = None
    finish_reason: str | None = None
    response_id: str | None = None
    service_tier: str | None = None
    bytes_out: int = 0
    latency_ms: int | None = None
    ttft_ms: int | None = None
    upstream_ms: int | None = None
    error: Error | None = None
    dropped: list[str] | None = None
    passed_over: list[str] | None = None
    units: dict[str, int] | None = None
    is_cached: bool = False
    saved_nanousd: int | None = None
    queue_ms: int | None = None
    price_id: str | None = None
    """Instead of that of the last attempt's callee."""


def make(opened: OpenRequest, price: Price | None, end: Ending) -> Record:
    """Build a record; its tokens and cost are the sums of all attempts. `price` is the last attempt's."""
    reserve, caller, first = opened.reserve, opened.caller, opened.callee
    callee = last_callee(opened) if end.last is None else callee_of(opened, end.last)
    cost_nanousd = end.cost_nanousd
    listed = end.computed.list_nanousd if end.computed is not None else cost_nanousd
    attempts = [part.attempt for part in end.before]
    if end.last is not None:
        attempts.append(_attempt(opened, end.last, end.last_outcome, end.tokens, cost_nanousd, listed))
    for part in end.before:
        known = part.computed
        if part.usage is not None:
            cost_nanousd = None if known is None or cost_nanousd is None else cost_nanousd + known.nanousd
            listed = None if known is None or listed is None else listed + known.list_nanousd
    tokens = _sum([usage for usage in (*(part.usage for part in end.before), end.tokens) if usage is not None])
    lines = [
        CostLine(line.meter, line.quantity, line.unit, _unit_price(line), line.cost_nanousd)
        for found in (*(part.computed for part in end.before), end.computed)
        if found is not None
        for line in found.lines
    ]
    return Record(
        record_version=RECORD_VERSION,
        id=reserve.id,
        time=time_text(reserve.time_ms),
        operation=first.operation,
        path=first.path,
        key=Named(caller.key_id, caller.key_name),
        team=Named(caller.team_scope or caller.team, caller.team) if caller.team is not None else None,
        user=_named(caller.user),
        project=_named(caller.project),
        end_user=_end_user(caller, reserve),
        session=caller.session or reserve.session,
        agent=caller.agent,
        tags=[*(caller.tags or []), *(reserve.tags or [])],
        client=_tool(caller.tool),
        client_ip=caller.client_ip,
        client_request_id=caller.client_request_id,
        trace_id=caller.trace_id,
        dialect=first.dialect,
        model=first.model,
        upstream_model=callee.upstream_model,
        provider=callee.provider,
        deployment=deployment_id(callee.provider, callee.upstream_model, callee.credential),
        credential=callee.credential,
        service_tier=end.service_tier,
        attempts=attempts,
        status=end.status,
        outcome=end.outcome,
        finish_reason=end.finish_reason,
        response_id=end.response_id,
        stream=reserve.stream,
        cached=end.is_cached,
        saved_nanousd=end.saved_nanousd,
        queue_ms=end.queue_ms,
        dropped=[text[:128] for text in end.dropped[:32]] if end.dropped else [],
        passed_over=[text[:512] for text in end.passed_over[:32]] if end.passed_over else [],
        client_retry=caller.client_retry,
        tokens=_tokens(tokens),
        units=end.units,
        cost_lines=lines,
        list_cost_nanousd=listed,
        cost_nanousd=cost_nanousd,
        cost_estimated=end.estimate_reason is not None,
        estimate_reason=end.estimate_reason[:TEXT_MAX] if end.estimate_reason is not None else None,
        price_source=price.source if price is not None else None,
        price_version=end.price_id if end.price_id is not None else callee.price_id,
        reserved_nanousd=reserve.expect_nanousd,
        bytes_in=max(0, reserve.bytes_in),
        bytes_out=end.bytes_out,
        latency_ms=end.latency_ms,
        ttft_ms=end.ttft_ms,
        upstream_ms=end.upstream_ms,
        error=end.error,
        key_version=caller.key_version,
        gateway_version=__version__,
    )


def denied(denial: records.Denial) -> Record:
    return Record(
        record_version=RECORD_VERSION,
        id=denial.id,
        time=time_text(denial.time_ms),
        operation=denial.operation,
        path=denial.path,
        key=Named(denial.key_id, denial.key_name),
        team=_named(denial.team),
        user=_named(denial.user),
        project=_named(denial.project),
        client=_tool(denial.tool),
        client_ip=denial.client_ip,
        dialect=denial.dialect,
        model=denial.model,
        status=denial.status,
        outcome="denied",
        count=max(1, denial.count),
        cost_nanousd=0,
        error=Error(denial.code[:64], denial.message[:TEXT_MAX]),
        key_version=denial.key_version,
        gateway_version=__version__,
    )
