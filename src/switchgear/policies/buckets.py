"""What limits and budgets are counted in, whoever counts. Level 1.

A bucket is one rule for one subject or one value of a dimension: "requests per minute of key 4fK", "USD of team research in
November". A hold is what one request wants of it. Backends (`switchgear.counters`) know buckets and holds and nothing of rules;
rules (`policies.limits`, `policies.budgets`) make buckets and read the answers.
"""

from enum import IntEnum

import msgspec

VALUE_CHARS_MAX = 256
"""Of a dimension's value, which clients may choose: what is longer is counted with what begins the same."""


class Kind(IntEnum):
    """How a bucket counts."""

    WINDOW = 1
    """At most `limit` in any window of `window_us`: rates, and rolling budgets. A hold is corrected in its own sub-window."""
    SLOTS = 2
    """At most `limit` at once."""
    BALANCE = 3
    """Settled and held together at most `limit`, for one period of a budget."""


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """One counter. Amounts are whole numbers of the rule's unit: requests, tokens, nano-USD."""

    key: str
    """Its identity: a change of the limit leaves the counts; a balance's names its period."""
    kind: Kind
    limit: int
    window_us: int = 0
    """Of a window; at least 1 s."""
    keep_until_us: int | None = None
    """Of a balance: until when it stays though nobody uses it, in the counters' time; None: for ever."""
    is_hard: bool = True
    """False: it counts and refuses nothing."""
    is_budget: bool = False
    """Of a budget, not of a limit: what is refused is *spent* or *held*."""
    share: str = ""
    """The key whose values may fill a part of the counters only; empty: the bucket is none of many values."""
    overflow: "Bucket | None" = None
    """What counts instead where that part is full: the key's one bucket for it."""


class Hold(msgspec.Struct, frozen=True):
    """What one request wants of a bucket: 1 request or slot, the tokens that are expected, the proven bound of its cost."""

    bucket: Bucket
    amount: int


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket at one moment."""

    settled: int
    """What was used."""
    held: int
    """What open requests hold; a limit's window tells no difference, there everything is settled."""
    limit: int
    uncertain: int = 0
    """What of `held` belongs to requests whose process died after they were sent: until a correction or their expiry."""
    fits_us: int | None = None
    """When the amount that was asked for will fit if nobody else asks, in the counters' time; None: no time can be told."""

    @property
    def used(self) -> int:
        """What counts against the limit."""
        return self.settled + self.held

    @property
    def remaining(self) -> int:
        """What is left, never below 0."""
        return max(0, self.limit - self.settled - self.held)
