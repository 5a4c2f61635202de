"""Books a settled request: its row, its sums, what follows for credentials and for what providers keep. Level 3. Pure."""

from collections.abc import Iterable

import msgspec

from switchgear.core.errors import RecordError
from switchgear.dialects.kept_things import UNFINISHED, is_id, is_response_id, is_stored_answer
from switchgear.ledger import build, corrections, tidy
from switchgear.ledger.balances import Used
from switchgear.ledger.batch import Batch, Told
from switchgear.ledger.build import OpenRequest
from switchgear.ledger.charges import COST_NANOUSD_MAX, Charges, Find
from switchgear.ledger.claims import SPOKEN, claims_of
from switchgear.replica.entries import STORED_MS, StoredThing, scope_of
from switchgear.wire import records

RAW = "passthrough"


def book(
    batch: Batch, opened: OpenRequest, settle: records.Settle, payload: bytes, charges: Charges, find: Find
) -> None:
    """Add a settlement to a batch. `payload` is the settlement's encoding; `find` is told what is wrong with it."""
    usage, callee, caller = settle.tokens, build.last_callee(opened, settle), opened.caller
    if usage is not None and not usage.is_sane():
        find(f"absurd usage in {settle.id[:40]}")
        usage = None
    amount: int | None = None
    listed: int | None = None
    if usage is None and settle.cost_nanousd == 0 and settle.charged_nanousd is None:
        amount = listed = 0
    else:
        amount, listed = charges.bill(opened, usage, settle, find)
    if amount is not None and amount > COST_NANOUSD_MAX:
        find(f"absurd cost of {settle.id[:40]}")
        amount = listed = None
    if amount != settle.cost_nanousd and settle.cost_nanousd is not None:
        find(f"the cost of {settle.id[:40]} does not follow from its usage")
    if settle.states_cost:
        find(f"{callee.provider} states what it charges, and its row does not say how to read that: not booked")
    if not settle.is_cached:
        batch.timings.append((callee.provider, opened.callee.model, settle.status, settle.latency_ms, settle.ttft_ms))
    batch.attempts.update(claims_of(opened, settle))
    dimensions = (
        caller.key_id,
        caller.key_name,
        caller.team or "",
        caller.user or "",
        caller.project or "",
        opened.callee.model,
        callee.upstream_model,
        callee.provider,
        callee.credential_id,
    )
    last = settle.attempts[-1] if settle.attempts else None
    before = charges.tries_before(opened, settle, find) if len(settle.attempts) > 1 else []
    is_new = batch.add(
        settle.id,
        dimensions,
        build.encode_stored(build.StoredRecord(msgspec.Raw(opened.raw), opened.attempts, msgspec.Raw(payload))),
        status=settle.status,
        outcome=build.outcome_of(settle.outcome),
        cost_nanousd=amount,
        list_nanousd=listed,
        latency_ms=max(0, settle.latency_ms),
        usage=usage,
        attempts=0 if last is None else 1,
        failed=last is not None and build.is_failure(last.status, last.error),
        estimated=build.estimate_reason(settle) is not None,
        before=before,
    )
    if is_new:
        batch.deployments.settled(opened, settle)
        if opened.reserve.budgets or opened.attempts:
            numbers = [outcome.number for outcome in build.tries(settle)]
            tried = [Used(number, one.usage, one.cost_nanousd) for number, one in zip(numbers, before, strict=False)]
            final = [] if last is None else [Used(last.number, usage, amount, 1, not settle.is_untold)]
            settled_ms = opened.reserve.time_ms + settle.latency_ms
            open_until = {one.number: settled_ms + one.lasts_s * 1_000 for one in settle.still_charged or ()}
            batch.booked.settled(opened, [*tried, *final], open_until)
    for outcome in build.tries(settle):
        if outcome.status is not None:
            at_ms = opened.reserve.time_ms + outcome.end_ms
            batch.heard[build.callee_of(opened, outcome.number).credential_id] = (outcome.status, at_ms)
    if settle.response_id is not None and is_stored_answer(opened.callee.dialect, settle.response_id):
        note_kept(batch, opened, [settle.response_id])
        is_begun = settle.finish_reason in UNFINISHED and opened.callee.operation in SPOKEN  # not only asked for
        if is_begun and is_id(settle.response_id):
            batch.pending[settle.response_id] = corrections.pending_of(opened)
    elif opened.callee.operation == RAW and settle.finish_reason in UNFINISHED and is_response_id(settle.response_id):
        assert settle.response_id is not None
        if is_id(settle.response_id):  # made on a raw path; who only asks for one says no state
            note_kept(batch, opened, [settle.response_id])
            batch.pending[settle.response_id] = corrections.pending_of(opened)


def note_kept(batch: Batch, opened: OpenRequest, ids: Iterable[str]) -> None:
    """Note whose the things are that a provider keeps since it answered a request."""
    caller, callee = opened.caller, build.last_callee(opened)
    until_ms = opened.reserve.time_ms + STORED_MS
    entry = StoredThing(scope_of(caller.key_id, caller.team_scope), callee.credential_id, opened.callee.model, until_ms)
    batch.stored.update(dict.fromkeys(ids, entry))


def note_late(batch: Batch, opened: OpenRequest | None, late: records.Late) -> None:
    """Take what an open request was told of an answer that was made in the background. Raises RecordError."""
    if opened is None:
        raise RecordError(f"late usage of a request that is not open: {late.id[:40]}")
    if not is_id(late.response_id):
        raise RecordError(f"what {late.id[:40]} was told is of no answer")
    usages = [late.tokens, *(other.tokens for other in late.others or ())]
    if not all(usage is None or usage.is_sane() for usage in usages):
        raise RecordError(f"absurd usage in {late.id[:40]}")
    caller, callee = opened.caller, build.last_callee(opened)
    scope = scope_of(caller.key_id, caller.team_scope)
    batch.late.append(Told(tidy.tidy(late, tidy.LATE), scope, callee.credential_id, opened.reserve.time_ms))
