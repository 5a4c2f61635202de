"""What becomes of a request that nobody settled: the vault's journal is the witness. Level 3. Pure (docs/invariants.md L6).

What was seen of it is charged, marked as an estimate, and never silently nothing.
"""

from collections.abc import Mapping, Sequence

import msgspec

from switchgear.core.ids import attempt_id
from switchgear.core.usage import TOKENS_MAX, TokenUsage
from switchgear.ledger import build
from switchgear.ledger.build import Ending, OpenRequest
from switchgear.ledger.charges import COST_NANOUSD_MAX, Charges
from switchgear.ledger.journal import Evidence
from switchgear.ledger.record import Error, Record
from switchgear.pricing.price import cost
from switchgear.wire import records


def orphaned(opened: OpenRequest, evidence: Mapping[str, Evidence], charges: Charges) -> Record:
    """Decide what became of a reservation whose edge died. `evidence`: what the journal has of it, by attempt id."""
    reserve = opened.reserve
    tries = 1 + len(opened.attempts)
    dispatched = [n for n in range(1, tries + 1) if attempt_id(reserve.id, n) in evidence]
    if not dispatched:
        error = Error("interrupted", "the edge died before the request was sent")
        return build.make(opened, None, Ending(status=503, outcome="not_sent", cost_nanousd=0, error=error))
    ends = [evidence[attempt_id(reserve.id, number)].done for number in dispatched]
    before = [_try(opened, number, done, charges) for number, done in zip(dispatched[:-1], ends, strict=False)]
    return _interrupted(opened, dispatched[-1], ends[-1], before, "the edge died", charges)


def unreadable(opened: OpenRequest, charges: Charges) -> Record:
    """Book a request whose settlement cannot be read."""
    return _interrupted(opened, 1, None, [], "its settlement got lost", charges)


def _interrupted(
    opened: OpenRequest,
    last: int,
    done: records.AttemptEnd | None,
    before: Sequence[build.Part],
    why: str,
    charges: Charges,
) -> Record:
    """Book a request whose `last` attempt ended as the journal says, if it does."""
    refused = done is not None and done.status is not None and done.status >= 400
    checkpoint = opened.checkpoint
    usage: TokenUsage | None = None
    if checkpoint is not None and checkpoint.tokens is not None and checkpoint.tokens.is_sane():
        usage, seen = checkpoint.tokens, min(checkpoint.output_tokens_estimate, TOKENS_MAX)
        if usage.output_total < seen:
            usage = msgspec.structs.replace(usage, output=seen - usage.output_total + (usage.output or 0))
    elif not refused:
        seen = checkpoint.output_tokens_estimate if checkpoint is not None else 0
        if done is not None and done.reason is None:
            seen = max(seen, min(done.bytes_in // 8, TOKENS_MAX))
        usage = TokenUsage(input=opened.reserve.input_estimate, output=seen)
    price = charges.price(opened, build.last_callee(opened))
    computed = (
        cost(price, usage, checkpoint.service_tier if checkpoint is not None else None)
        if price is not None and usage is not None
        else None
    )
    if computed is not None and computed.nanousd > COST_NANOUSD_MAX:
        computed = None
    ending = Ending(
        status=503,
        outcome="interrupted",
        tokens=usage,
        computed=computed,
        cost_nanousd=0 if refused else (computed.nanousd if computed is not None else None),
        estimate_reason=f"{why}; counted from what was seen" if usage is not None else None,
        before=list(before),
        last=last,
        error=Error("interrupted", f"{why} before the answer was complete"),
    )
    return build.make(opened, price, ending)


def _try(opened: OpenRequest, number: int, done: records.AttemptEnd | None, charges: Charges) -> build.Part:
    """Return an attempt before the last one, of which only the journal tells: it may be charged unless it was refused."""
    usage = computed = None
    if done is None or done.status is None or done.status < 400:
        usage = TokenUsage(input=opened.reserve.input_estimate, output=0)
        price = charges.price(opened, build.callee_of(opened, number))
        computed = cost(price, usage) if price is not None else None
    return build.part(opened, number, None, usage, computed)
