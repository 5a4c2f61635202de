"""What to do after an attempt failed before its client got a byte, as a pure function. Level 1.

docs/contract.md §4: one retry for connect failures, 408, 429 and 5xx while nothing was sent to the client, within the total
deadline, honouring `retry-after` up to 10 s; none when the client itself is retrying; then the next deployment. Nothing is
sent again silently: each attempt has an id, a record and a charge of its own (docs/invariants.md H3).
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

Step = Literal["retry", "fallback", "give_up"]

RETRY_AFTER_MAX_S = 10.0
BACKOFF_S_MAX = 5.0
ATTEMPTS_MAX = 8
"""Of one request: a settlement tells of each, and must fit what its reservation kept free (docs/invariants.md L3)."""
OUR_FAULT = frozenset({401, 402, 403, 407})
"""Statuses that concern our credential, not the client's request."""
_TRANSIENT = frozenset({408, 429, *range(500, 600)})
_ELSEWHERE = OUR_FAULT | {404}
"""A deployment that does not know its model is misconfigured here; another may know it."""
_AGAIN_FIRST = frozenset({"connect"})
"""Failures that the same deployment is asked again for, before the next one: nothing was sent."""
_ELSEWHERE_FIRST = frozenset({"broken", "unfinished", "garbage", "error_200", "error_first"})
"""Failures that another deployment is asked for, and the same one again only where there is no other."""
_ONLY_ELSEWHERE = frozenset({"timeout", "overloaded", "refused"})
"""Waiting for the same deployment once more would take as long again; a ceiling of its credential will not be gone."""


class RetryRules(msgspec.Struct, frozen=True, kw_only=True):
    """What the same deployment is asked again for, and when."""

    on: tuple[str, ...] | None = None
    """Statuses (`503`, `5xx`) and failures (`connect`, `timeout`, `broken`); None: connect, 408, 429, 5xx."""
    backoff_s: float = 0.1
    """The first pause, which doubles with each further one; half of each is by lot."""


WORDS: dict[str, frozenset[str]] = {
    "connect": _AGAIN_FIRST,
    "timeout": frozenset({"timeout"}),
    "broken": _ELSEWHERE_FIRST,
}
"""Failures without a status, as a configuration names them."""


def is_named(on: Iterable[str], status: int | None, reason: str | None) -> bool:
    """Tell whether a list of statuses and failures has this one."""
    if status is not None:
        return str(status) in on or f"{status // 100}xx" in on
    return any(reason in WORDS.get(word, ()) for word in on)


def pause_s(rules: RetryRules, number: int, lot: float) -> float:
    """Return how long to wait before the retry of that number, from 1: half of it by `lot` (0 to 1), so that many clients that
    failed
    at once do not come back at once."""
    whole = min(rules.backoff_s * 2.0 ** (number - 1), BACKOFF_S_MAX)
    return whole * (0.5 + 0.5 * lot)


def next_step(
    *,
    status: int | None,
    reason: str | None,
    retries_left: int,
    has_next: bool,
    may_go_on: bool,
    retry_after_s: float | None = None,
    left_s: float = float("inf"),
    on: tuple[str, ...] | None = None,
) -> Step:
    """Decide after a failed attempt.

    `status` is the upstream's when it says how it failed (400 and above), else None, and `reason` is in the words of
    `frames.Fail` or of `edge.setback`. `may_go_on` is False when time is up or the client is gone.
    `left_s` is what is left of the time for all attempts: a `retry-after` beyond it is not waited for. `on`: see RetryRules.
    """
    if not may_go_on:
        return "give_up"
    onward: Step = "fallback" if has_next else "give_up"
    patient = retry_after_s is None or retry_after_s <= min(RETRY_AFTER_MAX_S, left_s)
    if on is not None:
        is_again = is_named(on, status, reason)
        if is_again and retries_left > 0 and patient and not (has_next and status == 429):
            return "retry"
        if is_again:
            return onward
        if status in _TRANSIENT or (status is None and reason in _AGAIN_FIRST | _ELSEWHERE_FIRST):
            return onward
    if status is not None:
        if status not in _TRANSIENT:
            return onward if status in _ELSEWHERE else "give_up"
        return "retry" if retries_left > 0 and patient and not (has_next and status == 429) else onward
    if reason in _AGAIN_FIRST:
        return "retry" if retries_left > 0 else onward
    if reason in _ELSEWHERE_FIRST:
        return "retry" if retries_left > 0 and not has_next else onward
    return onward if reason in _ONLY_ELSEWHERE else "give_up"


def parse_retry_after(value: bytes | None) -> float | None:
    """Read delta-seconds (RFC 9110 §10.2.3). A date or garbage counts as "not given"."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if 0 <= seconds <= 86_400 else None
