"""Rate limits: what a rule counts, what a request wants of it, and what a refusal says. Level 1; pure, fails closed.

A rule admits at most its amount in any window (`policies.windows`; docs/invariants.md N3). Requests count as they come; tokens are
reserved as expected and corrected at the settlement, in the window of the admission; parallel requests are slots.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum

import msgspec

from switchgear.policies import windows
from switchgear.policies.buckets import VALUE_CHARS_MAX, Bucket, Hold, Kind, Reading

WINDOWS_US = {"second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000, "day": 86_400_000_000}
AMOUNT_MAX = 10**15
"""Far above what any provider sells, far below 2**63."""
BYTES_PER_TOKEN = 4
"""Of English text: "1 token ~= 4 chars in English" (https://help.openai.com/en/articles/4936856, read 2026-11-27). An expectation,
no bound."""
OUTPUT_EXPECTED = 1_024
"""Of a model whose answers nobody has seen yet."""
RETRY_MS = 1_000
"""When a slot or another's hold becomes free, nobody knows: docs/contract.md §5 says 1 s."""


class Unit(StrEnum):
    """What a limit counts."""

    REQUESTS = "requests"
    INPUT = "input"
    OUTPUT = "output"
    TOTAL = "total"
    PARALLEL = "parallel"


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """One rule for one subject."""

    subject: str
    """Kind and id: `key:4fK…`, `team:research`, `model:fast`."""
    unit: Unit
    amount: int
    window: str = ""
    """`second`, `minute`, `hour` or `day`; empty for parallel requests."""
    per: str | None = None
    """A dimension (`end_user`, `user`, `tag:NAME`, `model`, `client`): one bucket for each of its values. None: one bucket."""


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens that a request will probably use."""

    input: int
    output: int

    def amount(self, unit: Unit) -> int:
        """Return what a rule that counts `unit` reserves of it."""
        return {Unit.INPUT: self.input, Unit.OUTPUT: self.output, Unit.TOTAL: self.input + self.output}.get(unit, 1)


def check(limit: Limit) -> Iterator[str]:
    """Return what is wrong with a rule, a sentence each."""
    if not 0 < limit.amount <= AMOUNT_MAX:
        yield f"{limit.amount} is no limit: it must lie between 1 and {AMOUNT_MAX}; `freeze` stops everything"
    if limit.unit == Unit.PARALLEL and limit.window:
        yield f"parallel requests are counted at once, not per {limit.window}"
    if limit.unit != Unit.PARALLEL and limit.window not in WINDOWS_US:
        yield f"{limit.window!r} is no window: use {', '.join(WINDOWS_US)}"


def bucket_of(limit: Limit, value: str = "", key: str = "") -> Bucket:
    """Return what counts a rule. `value` is the dimension's, where the rule has one; `key` the id of the key that says so: when
    the share of the counters that values have is full, or that key's part of it, its new values share one bucket of
    that key. A limit so large that it is counted in coarser units has other buckets than a small one: after such a change it begins
    anew."""
    unit = f"{limit.unit}*{scale}" if (scale := windows.scale(limit.amount)) > 1 else limit.unit
    rule = f"{unit}/{limit.window}/{limit.per or ''}/{len(limit.subject)}:{limit.subject}"
    if limit.per is None:
        return _bucket(limit, f"one/{rule}", "", None)
    overflow = _bucket(limit, f"rest/{rule}/{key}", "", None)
    return _bucket(limit, f"each/{rule}/{value[:VALUE_CHARS_MAX]}", f"key:{key}", overflow)


def _bucket(limit: Limit, key: str, share: str, overflow: Bucket | None) -> Bucket:
    kind = Kind.SLOTS if limit.unit == Unit.PARALLEL else Kind.WINDOW
    window_us = WINDOWS_US.get(limit.window, 0)
    return Bucket(key=key, kind=kind, limit=limit.amount, window_us=window_us, share=share, overflow=overflow)


def expected(
    input_counted: int | None, body_bytes: int, output_asked: int | None, output_usual: int | None
) -> Expected:
    """Return what a request will probably use: its input as counted, else bytes ÷ 4; its output as asked, but not more than the
    model usually gives (the 95th percentile; None: nobody has seen it answer yet)."""
    usual = OUTPUT_EXPECTED if output_usual is None else output_usual
    output = usual if output_asked is None else min(output_asked, usual)
    return Expected(input=-(-body_bytes // BYTES_PER_TOKEN) if input_counted is None else input_counted, output=output)


class Why(StrEnum):
    """Why a request is refused."""

    TOO_LARGE = "too large"
    """It is over a limit by itself: waiting helps nobody."""
    SPENT = "spent"
    """A budget's settled use and this request's own hold are over its limit."""
    RATE = "rate"
    PARALLEL = "parallel"
    HELD = "held"
    """Only other requests' holds stand in a budget's way."""


_FIRST = (Why.TOO_LARGE, Why.SPENT, Why.RATE, Why.PARALLEL, Why.HELD)
"""Which is told where several hold: that for which waiting is of no use, then the longest wait."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """What is told to the client."""

    why: Why
    at: int
    """Which hold decides, by its position."""
    retry_after_ms: int | None
    """A client that waits so long succeeds if nobody else asks; None: no waiting helps, `x-should-retry: false`."""


def judge(holds: Sequence[Hold], lacking: Sequence[int], readings: Sequence[Reading], now_us: int) -> Refusal:
    """Return why holds were not taken, of what a counter answered (`Full`). Waits are the longest of all holds that lack."""
    reasons = [(why_full(holds[at], readings[at]), at) for at in lacking]
    waits = [_wait_ms(why, readings[at], now_us) for why, at in reasons]
    why, at = min(reasons, key=lambda reason: _FIRST.index(reason[0]))
    if why in {Why.TOO_LARGE, Why.SPENT}:
        return Refusal(why=why, at=at, retry_after_ms=None)
    longest = max(waits)
    why, at = reasons[waits.index(longest)]
    return Refusal(why=why, at=at, retry_after_ms=longest)


def why_full(hold: Hold, reading: Reading) -> Why:
    """Return why one hold did not fit."""
    if hold.amount > hold.bucket.limit:
        return Why.TOO_LARGE
    if hold.bucket.is_budget:
        return Why.SPENT if reading.settled + hold.amount > reading.limit else Why.HELD
    return Why.PARALLEL if hold.bucket.kind == Kind.SLOTS else Why.RATE


def _wait_ms(why: Why, reading: Reading, now_us: int) -> int:
    if why != Why.RATE or reading.fits_us is None:
        return RETRY_MS
    return max(1, -(-(reading.fits_us - now_us) // 1_000))


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """What rate-limit headers say of one rule."""

    limit: int
    remaining: int
    reset_ms: int
    """Until nothing of the window counts any more, if nobody asks."""


def tightest(holds: Sequence[Hold], used: Sequence[int], units: Sequence[Unit | None], of: set[Unit]) -> Room | None:
    """Return the room of the rule that has the smallest share left among those that count one of some units; None: there is
    none. `units` are those of the rules behind the holds; None: a budget."""
    best: Room | None = None
    for hold, count, unit in zip(holds, used, units, strict=True):
        if unit not in of:
            continue
        bucket = hold.bucket
        left = max(0, bucket.limit - count)
        if best is None or left * best.limit < best.remaining * bucket.limit:
            best = Room(limit=bucket.limit, remaining=left, reset_ms=-(-bucket.window_us * 64 // 63_000))
    return best
