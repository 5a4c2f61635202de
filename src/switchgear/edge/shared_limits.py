"""Limits of a deployment that classes of requests share (`share: {prod: 60%}`): which class a request is of, and what it may take.
Level 4.

Each class has two counters beside the limit's own: what it uses, and whether it asked in the last minute. They are read before
the limit is taken, so two edges may both lend the last unit to a borrower; the limit itself is exact.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from switchgear.counters.backend import Answer, Counters, Taken, Unknown
from switchgear.policies import limits, shares, windows
from switchgear.policies.buckets import Bucket, Hold, Kind, Reading
from switchgear.policies.limits import Limit, Refusal, Unit

ASKED_US = limits.WINDOWS_US["minute"]
"""A class that asked for nothing for so long is owed nothing."""
ASKED_MAX = 1_000_000
"""Of requests per minute; it counts and refuses nothing."""


class _Class(msgspec.Struct, frozen=True):
    """The counters of one class."""

    used: Bucket
    asked: Bucket


class SharedLimit(msgspec.Struct, frozen=True):
    """One limit, with the classes that share it."""

    at: int
    """Its position among those that are taken together."""
    bucket: Bucket
    unit: Unit
    owed: dict[str, int]
    classes: dict[str, _Class]

    @property
    def more(self) -> tuple[Limit, Limit]:
        """What the holds of a class are settled by."""
        used = Limit(subject="", unit=self.unit, amount=self.bucket.limit)
        return used, Limit(subject="", unit=Unit.REQUESTS, amount=ASKED_MAX)

    def class_of(self, names: Iterable[str]) -> str:
        """Return the class of who has these names: the first one in the order of the configuration."""
        known = set(names)
        return next((name for name in self.owed if name in known), shares.OTHERS)

    def holds(self, hold: Hold, mine: str, counters: Counters) -> list[Hold]:
        """Return what a request takes: of the limit, of its class."""
        own = self.classes[mine]
        others = [name for name in self.owed if name != mine]
        read = [
            own.used,
            *(bucket for name in others for bucket in (self.classes[name].used, self.classes[name].asked)),
        ]
        readings = counters.read(read)
        bucket = hold.bucket
        if not isinstance(readings, Unknown):
            used = {mine: readings[0].used}
            used |= {name: readings[1 + 2 * place].used for place, name in enumerate(others)}
            wanting = {name for place, name in enumerate(others) if readings[2 + 2 * place].used}
            room = shares.room(bucket.limit, self.owed, used, wanting, mine, hold.amount)
            if room < bucket.limit:
                bucket = msgspec.structs.replace(bucket, limit=max(room, 0))
        return [Hold(bucket, hold.amount), Hold(own.used, hold.amount), Hold(own.asked, 1)]


def shared(
    found: Sequence[Limit], buckets: Sequence[Bucket | None], of: Mapping[str, Mapping[str, float]]
) -> list[SharedLimit]:
    """Return the limits that are shared. `of` are shares by the subject of a limit; a limit for each value of a dimension, and one
    that is counted in coarser units, is not shared."""
    made = []
    for at, (limit, bucket) in enumerate(zip(found, buckets, strict=True)):
        of_it = of.get(limit.subject)
        if of_it and bucket is not None and windows.scale(limit.amount) == 1:
            owed = shares.guarantees(limit.amount, of_it)
            classes = {name: _class(bucket, name) for name in (*owed, shares.OTHERS)}
            made.append(SharedLimit(at, bucket, limit.unit, owed, classes))
    return made


def _class(bucket: Bucket, name: str) -> _Class:
    key = f"class/{len(name)}:{name}/{bucket.key}"
    return _Class(
        msgspec.structs.replace(bucket, key=key, is_hard=False),
        Bucket(key=f"asked/{key}", kind=Kind.WINDOW, limit=ASKED_MAX, window_us=ASKED_US, is_hard=False),
    )


def with_classes(
    rules: Sequence[SharedLimit], holds: list[Hold], names: Sequence[str], counters: Counters
) -> list[Hold]:
    """Return what is taken for a request: `holds` of its limits, those that are shared up to what its class may take, and what its
    classes count behind them."""
    wanted = holds
    for rule in rules:
        bounded, *own = rule.holds(holds[rule.at], rule.class_of(names), counters)
        wanted = [*wanted[: rule.at], bounded, *wanted[rule.at + 1 :], *own]
    return wanted


def true_refusal(refusal: Refusal, holds: Sequence[Hold], readings: Sequence[Reading]) -> Refusal:
    """Return a refusal that tells how long it may take: what is kept for others is so for a minute after they asked."""
    at = refusal.at
    if refusal.retry_after_ms is None or readings[at].limit >= holds[at].bucket.limit:
        return refusal
    kept_ms = -(-ASKED_US * windows.SUBWINDOWS // (windows.SUBWINDOWS - 1) // 1_000)
    return msgspec.structs.replace(refusal, retry_after_ms=max(refusal.retry_after_ms, kept_ms))


def note_refused(rules: Iterable[SharedLimit], names: Sequence[str], attempt: str, counters: Counters) -> None:
    """A request found no room: what its class is owed is lent to nobody for a minute."""
    asked = [Hold(rule.classes[mine].asked, 1) for rule in rules if (mine := rule.class_of(names)) != shares.OTHERS]

    def done(answer: Answer) -> None:
        if isinstance(answer, Taken):
            counters.settle(answer.ticket, [1] * len(asked))

    if asked and (answer := counters.take(asked, attempt, done)) is not None:
        done(answer)
