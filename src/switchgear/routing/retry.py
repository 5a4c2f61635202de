"""What to do after an attempt failed, as a pure function. Level 1.

CONTRACT.md §4: one retry for connect failures, 408, 429 and 5xx while nothing was sent to the client, within the total
deadline, honouring `retry-after` up to 10 s; none when the client itself is retrying; then the next deployment.
"""

from typing import Literal

Step = Literal["retry", "fallback", "give_up"]

RETRY_AFTER_MAX_S = 10.0
RETRYABLE = frozenset({408, 429, 500, 502, 503, 504, 529})
OUR_FAULT = frozenset({401, 402, 403, 407})
"""Statuses that concern our credential, not the client's request."""
FALLBACK_ALSO = frozenset({404})
"""A deployment that does not know its model is misconfigured here; another may know it."""


def next_step(
    *, status: int | None, retries_left: int, has_next: bool, may_retry: bool, retry_after_s: float | None
) -> Step:
    """Decide after a failed attempt.

    `status` is the upstream's, None when there was none (connect failure, cut connection); `may_retry` is False when
    the client announced a retry of its own, or when time is up. The same deployment is retried before the next one,
    unless it asked for more patience than we have.
    """
    if status is not None and status not in RETRYABLE and status not in OUR_FAULT and status not in FALLBACK_ALSO:
        return "give_up"
    if status is None or status in RETRYABLE:
        patient = retry_after_s is None or retry_after_s <= RETRY_AFTER_MAX_S
        if may_retry and retries_left > 0 and patient and not (has_next and status == 429):
            return "retry"
    return "fallback" if has_next else "give_up"


def parse_retry_after(value: bytes | None) -> float | None:
    """Read delta-seconds (RFC 9110 §10.2.3). A date or garbage counts as "not given"."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if 0 <= seconds <= 86_400 else None
