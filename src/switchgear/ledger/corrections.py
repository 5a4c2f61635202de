"""What is known late: the record that corrects another one. Level 3. Pure.

An answer that is made in the background is booked as an estimate, since nobody knows its usage when its request is settled. Whoever
asks for it later, its client or the gateway itself, is told. The record stays what it was; a second one holds the difference, in
the hour of the first, so that sums over both are what the provider charges.
"""

import hashlib

import msgspec

from switchgear.core.usage import TokenUsage
from switchgear.ledger import build
from switchgear.ledger.batch import Told
from switchgear.ledger.build import FindPrice, OpenRequest
from switchgear.ledger.record import CostLine, Record, Tokens
from switchgear.replica.entries import Pending, scope_of
from switchgear.wire import records

NO_USAGE = "the answer was made in the background and ended without usage"


def pending_of(opened: OpenRequest) -> Pending:
    """Return what has to be known of a request whose answer is made in the background."""
    callee, caller = build.last_callee(opened), opened.caller
    return Pending(
        opened.reserve.id,
        scope_of(caller.key_id, caller.team_scope),
        bytes(opened.reserve.caller),
        opened.callee.model,
        callee.provider,
        callee.credential,
        callee.credential_id,
        callee.upstream_model,
        opened.reserve.time_ms,
    )


def id_of(request_id: str) -> str:
    """Return the id of a record's one correction: its time is the record's, so both are of the same hour."""
    return request_id[:12] + hashlib.blake2b(f"correction of {request_id}".encode(), digest_size=10).hexdigest()


def is_told(late: records.Late) -> bool:
    """Tell whether an answer's provider told its usage: zeros are none."""
    usage = late.tokens
    return usage is not None and bool(usage.input or usage.output or usage.input_total or usage.output_total)


def estimated(opened: OpenRequest, settle: records.Settle, late: records.Late) -> TokenUsage:
    """Return what is booked for an answer that ended without usage: what was booked for its input, and of output what it shows,
    else as much as was asked for at most."""
    before = settle.tokens if settle.tokens is not None else TokenUsage(input=opened.reserve.input_estimate)
    output, bound = late.output_tokens_estimate, opened.reserve.output_max
    if output is None or (bound is not None and output > bound):
        output = bound
    return msgspec.structs.replace(before, output=max(before.output or 0, output or 0))


def correction(opened: OpenRequest, settle: records.Settle, told: Told, find_price: FindPrice) -> Record:
    """Return the record of what a request costs more, or less, than it was booked for. Without usage it stays an estimate."""
    late = told.late
    has_usage = is_told(late)
    known = msgspec.structs.replace(
        settle,
        tokens=late.tokens if has_usage else estimated(opened, settle, late),
        units=late.units,
        others=late.others,
        charged_nanousd=late.charged_nanousd,
        priced_as=late.priced_as if late.priced_as is not None else settle.priced_as,
        service_tier=late.service_tier if late.service_tier is not None else settle.service_tier,
        finish_reason=late.finish_reason,
        estimate_reason=None if has_usage else NO_USAGE,
        cost_nanousd=None,
    )
    before, after = build.settled(opened, settle, find_price), build.settled(opened, known, find_price)
    return msgspec.structs.replace(
        after,
        kind="correction",
        corrects=before.id,
        id=id_of(before.id),
        time=build.time_text(told.time_ms),
        attempts=[],
        count=0,
        status=200,
        outcome="ok",
        tokens=_difference(before.tokens, after.tokens),
        cost_lines=[*after.cost_lines, *map(_negative, before.cost_lines)],
        cost_nanousd=_more(before.cost_nanousd, after.cost_nanousd),
        list_cost_nanousd=_more(before.list_cost_nanousd, after.list_cost_nanousd),
        dropped=[],
        error=None,
        reserved_nanousd=None,
        bytes_in=0,
        bytes_out=0,
        latency_ms=None,
        ttft_ms=None,
        upstream_ms=None,
    )


def _more(before: int | None, after: int | None) -> int | None:
    return None if after is None else after - (before or 0)


def _difference(before: TokenUsage | None, after: TokenUsage | None) -> Tokens:
    found: dict[str, int | None] = {}
    for name in TokenUsage.__struct_fields__:
        one, other = getattr(before, name, None), getattr(after, name, None)
        found[name] = None if one is None and other is None else (other or 0) - (one or 0)
    return Tokens(**found)


def _negative(line: CostLine) -> CostLine:
    return msgspec.structs.replace(line, quantity=-line.quantity, cost_nanousd=-line.cost_nanousd)
