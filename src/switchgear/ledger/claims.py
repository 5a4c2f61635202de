"""What an edge claims of an attempt, beside what the vault journalled of it. Level 3. Pure (docs/invariants.md C8).

An edge that keeps false books calls providers and writes that they failed, or that the answer was nothing. The vault does not
parse what it passes on, but it knows the status and the bytes. What follows here holds for every honest edge, whichever way
a request ended: clients that go away, streams that break, time-outs that race with the answer, providers that put an error under
status 200. Where an honest edge and a false one look alike once, `is_free` counts, and many are told (control/double_entry).
Few tokens for many bytes prove nothing: images, sources and results of tools stand in answers and are no tokens of theirs.
`is_thin` counts them, and no alarm comes of it.
"""

from typing import NamedTuple

from switchgear.core.ids import attempt_id
from switchgear.core.usage import TokenUsage
from switchgear.ledger.build import OpenRequest
from switchgear.wire import records

SPOKEN = frozenset(
    {"chat", "completions", "responses", "messages", "generateContent", "streamGenerateContent", "converse"}
)
"""Operations whose answers are words: paid by tokens, of which every edge books some (as reported, or estimated)."""
RACES = frozenset({"client_gone", "timeout", "interrupted"})
"""Outcomes where the answer may have come while the edge gave up on it."""
BYTES_PER_TOKEN_MAX = 4_096
"""A streamed token with twenty alternatives and their probabilities takes 3,500 bytes."""
ENVELOPE_BYTES = 16 * 1024
"""The least that an answer of one token takes is 8 KiB (a Responses stream)."""
PLENTY = 1 << 40
"""Tokens of answers that are not only words: bytes prove nothing there."""


TOOLS = frozenset({"web_searches", "file_searches", "containers", "maps_searches"})
"""Units beside words: what a provider's tools did for an answer."""


class Claim(NamedTuple):
    """What a settlement says of one attempt."""

    status: int | None
    """None: the edge says that it saw no head."""
    is_last: bool
    outcome: str
    tokens: int | None
    """Of the request, all together; None without usage."""
    cost_nanousd: int | None
    is_spoken: bool


def claims_of(opened: OpenRequest, settle: records.Settle | None) -> dict[str, Claim | None]:
    """Return the claims of a request by attempt id; None for each where nobody settled it (its edge died)."""
    request_id = opened.reserve.id
    if settle is None:
        return dict.fromkeys([attempt_id(request_id, 1), *(attempt_id(request_id, a.number) for a in opened.attempts)])
    if settle.is_cached and not settle.attempts:
        return {}  # nobody was asked: what the vault journals of it all the same stands in no book
    is_spoken = opened.callee.operation in SPOKEN
    tokens = _tokens(settle.tokens) if settle.tokens is not None else None
    if settle.units and not settle.units.keys() <= TOOLS:
        tokens = PLENTY
    if not opened.attempts:
        status = settle.attempts[-1].status if settle.attempts else None
        return {attempt_id(request_id, 1): Claim(status, True, settle.outcome, tokens, settle.cost_nanousd, is_spoken)}
    statuses = {outcome.number: outcome.status for outcome in settle.attempts}
    last = settle.attempts[-1].number if settle.attempts else opened.attempts[-1].number
    return {
        attempt_id(request_id, number): Claim(
            statuses.get(number), number == last, settle.outcome, tokens, settle.cost_nanousd, is_spoken
        )
        for number in (1, *(attempt.number for attempt in opened.attempts))
    }


def _tokens(usage: TokenUsage) -> int:
    simple = usage.simple()
    if simple is not None:
        return simple[0] + simple[1]
    if usage.image or usage.audio_out or usage.video_out:
        return PLENTY
    return usage.input_total + usage.output_total


def is_free(claim: Claim, done: records.AttemptEnd) -> bool:
    """Tell whether a provider answered in full and the edge booked nothing for it. No prompt has no tokens: what a provider
    reports as none is estimated (edge/settle.reported)."""
    return (
        claim.is_last
        and claim.is_spoken
        and done.reason is None
        and done.status is not None
        and 200 <= done.status < 300
        and not claim.tokens
        and not claim.cost_nanousd
    )


def is_thin(claim: Claim, done: records.AttemptEnd) -> bool:
    """Tell whether an answer is far larger than the words that were booked for it."""
    return (
        claim.is_last
        and claim.is_spoken
        and claim.outcome == "ok"
        and done.reason is None
        and bool(claim.tokens)
        and done.bytes_in > ENVELOPE_BYTES + (claim.tokens or 0) * BYTES_PER_TOKEN_MAX
    )


def contradiction(claim: Claim, done: records.AttemptEnd) -> str | None:
    """Return what an edge's claim and the vault's journal do not agree on, None where they may both be true."""
    status, is_last, outcome, tokens, _, is_spoken = claim
    if status is not None and done.status is not None and status != done.status:
        return f"booked as status {status}, the provider answered {done.status}"
    if tokens is None and is_last and is_spoken and is_free(claim, done):
        may_race = outcome in RACES or (status is not None and outcome != "ok")
        if not may_race:
            return f"the provider answered {done.status} with {done.bytes_in} bytes, booked as nothing"
    return None
