"""Budgets: what a request may cost, what a budget still gives, and what happens at its end. Level 1; pure, fails closed.

No admission lifts `settled + held` of a hard budget above its limit (docs/invariants.md N4). What a request holds is the smallest
bound of its cost that can be proven, since one agent's turn may hold a dollar and cost cents. *Spent* and *held* are two answers
(`limits.judge`): held waits a moment, only spent ends a client's day.

A budget's identity is its subject and its name (or its unit and period): a change of the limit keeps the balance. A request
belongs to the period of its reservation, and so do its corrections.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

import msgspec

from switchgear.core import pattern
from switchgear.core.budget_rule import ROLLING, SET, BudgetRule
from switchgear.core.limit_rule import is_dimension
from switchgear.core.text import clean
from switchgear.policies.buckets import VALUE_CHARS_MAX, Bucket, Kind, Reading
from switchgear.policies.periods import KINDS, Calendar, Period, zone

LIMIT_MAX = 10**18
"""A billion USD in nano-USD (`core.money.AMOUNT_USD_MAX`); below 2**63."""
OUTPUT_MIN = 1_024
"""Nothing useful comes of less, so an answer whose length nobody asked for gets at least so much."""
MTOK = 1_000_000
ROLLING_S_MIN, ROLLING_S_MAX = 60, 400 * 86_400


class Spends(StrEnum):
    """What a budget is of."""

    NANOUSD = "nanousd"
    REQUESTS = "requests"
    INPUT = "input"
    OUTPUT = "output"
    TOTAL = "total"


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """One budget of one subject: in a calendar's periods, or rolling."""

    subject: str
    limit: int
    """In nano-USD, tokens or requests."""
    unit: Spends = Spends.NANOUSD
    calendar: Calendar | None = None
    rolling_s: int | None = None
    """In any window of so many seconds. Exactly one of `calendar` and this is given."""
    name: str | None = None
    is_hard: bool = True
    soft: tuple[int, ...] = ()
    """Shares of the limit in percent that are told when they are passed."""
    on_spent: str | None = None
    """The route that is taken when it is spent. What that costs is still booked here, over 100 %, and bounded by other budgets
    only."""
    per: str | None = None
    """A dimension: one balance for each of its values."""
    models: tuple[str, ...] = ()
    """Names and patterns of the models that it counts, by what is served, named sets written out. Empty: all."""


def of_rule(
    subject: str, rule: BudgetRule, timezone: str = "UTC", model_sets: Mapping[str, Iterable[str]] | None = None
) -> Budget:
    """Return a written rule as a budget of a subject. `timezone` and `model_sets` are the gateway's; a set that it has not counts
    nothing, which nobody can write (`config.names`)."""
    calendar = None
    if rule.period != ROLLING:
        calendar = Calendar(
            kind=rule.period,
            timezone=rule.timezone or timezone,
            hour=rule.hour,
            weekday=rule.weekday,
            day=rule.day,
        )
    sets = model_sets or {}
    counted: dict[str, None] = {}
    for name in rule.models:
        counted |= dict.fromkeys(sets.get(name.removeprefix(SET), (name,)) if name.startswith(SET) else (name,))
    return Budget(
        subject=subject,
        limit=rule.amount,
        unit=Spends(rule.unit),
        calendar=calendar,
        rolling_s=rule.rolling_s,
        name=rule.name,
        is_hard=rule.is_hard,
        soft=rule.soft,
        on_spent=rule.on_spent,
        per=rule.per,
        models=tuple(counted),
    )


def counts(budget: Budget, served: Iterable[str]) -> bool:
    """Tell whether a budget counts a request. `served`: every name of the model that answers: the configured one that its route
    ended at, and `provider/model`. Letters count alike in both cases, as they do at many providers."""
    return not budget.models or any(
        pattern.matches(wanted.lower(), name.lower()) for wanted in budget.models for name in served
    )


def check(budget: Budget) -> Iterator[str]:
    """Return what is wrong with a budget, a sentence each."""
    if not 0 < budget.limit <= LIMIT_MAX:
        yield f"{budget.limit} is no budget: it must lie between 1 and {LIMIT_MAX}; `freeze` stops everything"
    if (budget.calendar is None) == (budget.rolling_s is None):
        yield "a budget has either a period of the calendar or a rolling window"
    if budget.rolling_s is not None and not ROLLING_S_MIN <= budget.rolling_s <= ROLLING_S_MAX:
        yield f"a rolling window has {ROLLING_S_MIN} to {ROLLING_S_MAX} seconds, not {budget.rolling_s}"
    if budget.calendar is not None:
        yield from _check_calendar(budget.calendar)
    yield from (f"{percent} % is no threshold: use 1 to 1000" for percent in budget.soft if not 0 < percent <= 1_000)


def _check_calendar(calendar: Calendar) -> Iterator[str]:
    if calendar.kind not in KINDS:
        yield f"{calendar.kind!r} is no period: use {', '.join(KINDS)}"
    for name, value, low, high in (
        ("hour", calendar.hour, 0, 23),
        ("weekday", calendar.weekday, 0, 6),
        ("day", calendar.day, 1, 31),
    ):
        if not low <= value <= high:
            yield f"{name} {value} is none: {low} to {high}"
    try:
        zone(calendar.timezone)
    except ValueError as exc:
        yield str(exc)


def identity(budget: Budget) -> str:
    """Return what a budget's balances are stored under: it stays the same when limit, thresholds or route change."""
    kind = budget.calendar.kind if budget.calendar is not None else f"rolling-{budget.rolling_s}"
    default = kind if budget.unit == Spends.NANOUSD else f"{budget.unit}/{kind}"
    name = budget.name if budget.name is not None else f"/{default}"
    return f"{len(budget.subject)}:{budget.subject}/{name}"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """When a hold is taken."""

    period: Period | None
    """Of the budget's calendar (`periods.Periods`); None: it is rolling."""
    now_ms: int
    """By `periods.TrustedTime`."""
    boot_us: int
    """The same moment by the counters' clock."""


def bucket_of(budget: Budget, place: Place, value: str = "", key: str = "", is_route_taken: bool = False) -> Bucket:
    """Return what counts a budget. `value` is the dimension's where it has one, `key` the id of the key that says so (as in
    `limits.bucket_of`). `is_route_taken`: the request takes the route of `on_spent`, which this budget counts and no longer
    stops. A balance stays until its period is over twice, so that a clock that is put back finds it."""
    kind = Kind.BALANCE if budget.calendar is not None else Kind.WINDOW
    period = place.period
    keep_until_us = None
    if period is not None and period.ends_ms is not None:
        keep_until_us = place.boot_us + (2 * period.ends_ms - period.starts_ms - place.now_ms) * 1_000
    number = None if period is None else period.number

    def bucket(name: str, share: str = "", overflow: Bucket | None = None) -> Bucket:
        return Bucket(
            key=key_of(name, number),
            kind=kind,
            limit=budget.limit,
            window_us=(budget.rolling_s or 0) * 1_000_000,
            keep_until_us=keep_until_us,
            is_hard=budget.is_hard and not is_route_taken,
            is_budget=True,
            share=share,
            overflow=overflow,
        )

    name = name_of(budget, value)
    if budget.per is None:
        return bucket(name)
    return bucket(name, f"key:{key}", bucket(f"rest/{identity(budget)}/{budget.per}/{key}"))


def name_of(budget: Budget, value: str = "") -> str:
    """Return what a budget's balances are called in records and in the store, whatever their period: its identity, and the value of
    its dimension where it has one."""
    if budget.per is None:
        return f"one/{identity(budget)}"
    return f"each/{identity(budget)}/{budget.per}/{clean(value, VALUE_CHARS_MAX)}"


def overflow_of(name: str) -> tuple[str, str] | None:
    """Return (key, name) of what counts a value that finds no room, by the name of its own balance: the key is that whose budget it
    is, empty where the budget is not one key's. None: it is no value's."""
    kind, _, rest = name.partition("/")
    size, _, rest = rest.partition(":")
    if kind != "each" or not size.isdigit():
        return None
    subject, after = rest[: int(size)], rest[int(size) + 1 :]
    if after.startswith("/"):  # its unit and period, or a period alone
        parts = after.split("/", 4)
        at = 2 if len(parts) > 2 and is_dimension(parts[2]) else 3
    else:
        parts, at = after.split("/", 2), 1
    if len(parts) <= at:
        return None
    pot = subject.rpartition("/")[2] if subject.startswith("profile:") else subject
    key = pot.removeprefix("key:") if pot.startswith("key:") else ""
    return key, f"rest/{size}:{subject}/{'/'.join(parts[: at + 1])}/{key}"


def key_of(name: str, period: int | None) -> str:
    """Return the key of the bucket of one balance. `period`: its number; None: it is rolling."""
    return f"budget/{'' if period is None else period}/{name}"


class Raise(msgspec.Struct, array_like=True, frozen=True):
    """By how much the limit of one balance is raised for a while."""

    period: int
    """In which period of its calendar; of a rolling budget 0."""
    amount: int
    until_ms: int | None
    """When that ends; None: never, of a total."""
    begun_ms: int = 0
    """When a rolling budget was reset: what was counted before counts no more; 0: never. Columns are each its process's own, so
    nobody takes off what others counted: the window begins in a bucket of its own."""


def raised(raises: Mapping[str, Raise], name: str, period: int | None, now_ms: int) -> int:
    """Return by how much the limit of a balance (`name_of`) is raised in a period. `period`: its number; None: it is rolling."""
    one = raises.get(name)
    if one is None or (one.until_ms is not None and now_ms >= one.until_ms) or one.period != (period or 0):
        return 0
    return one.amount


def begun(raises: Mapping[str, Raise], name: str, bucket: Bucket) -> Bucket:
    """Return the bucket of a balance as it is since its last reset, which moves a rolling one."""
    one = raises.get(name) if bucket.kind == Kind.WINDOW else None
    if one is None or not one.begun_ms:
        return bucket
    return msgspec.structs.replace(bucket, key=f"{key_of(name, None)}#{one.begun_ms}")


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """The dearest prices in a request's reach: of all deployments that it may come to, at their dearest tier. In nano-USD."""

    input_per_mtok: int
    output_per_mtok: int
    fixed: int = 0
    """What the request costs at most besides tokens: images, searches, calls of tools up to their caps."""


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """What bounds a request's use."""

    body_bytes: int
    context_window: int | None
    """Tokens that the model reads at most; None: not known."""
    output_max: int | None
    """Tokens that it writes at most; None: not known."""
    output_asked: int | None
    """What the request says; None: nothing."""
    choices: int = 1
    """How many answers it asks for."""
    has_references: bool = False
    """Something is named by its id or URL: a file, an earlier response. Its length is not in the body."""


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """What a request uses at most."""

    input: int
    output: int
    cost_nanousd: int
    write_output: int | None
    """The bound of output that must be written into the body, since it says none; None: leave it."""


def bound(reach: Reach, rates: Rates, remaining_nanousd: int | None) -> Bound | None:
    """Return the smallest proven bound of a request, or None where there is none: a hard budget refuses it then.

    A byte is at least one token, so input is at most min(bytes, context window), and what is named by id or URL may be the whole
    window. Output is what was asked; else what still fits `remaining_nanousd` (the least of the hard budgets; None: there is
    none), but at least 1,024 tokens and at most the model's.
    """
    if reach.has_references:
        read = reach.context_window
    elif reach.context_window is None:
        read = reach.body_bytes
    else:
        read = min(reach.body_bytes, reach.context_window)
    if read is None:
        return None
    written, output = None, reach.output_asked
    if output is None:
        written = output = _fitting(reach, rates, read, remaining_nanousd)
        if output is None:
            return None
    elif reach.output_max is not None:
        output = min(output, reach.output_max)
    cost = _cost(rates, read, output * reach.choices)
    return Bound(input=read, output=output * reach.choices, cost_nanousd=cost, write_output=written)


def _fitting(reach: Reach, rates: Rates, read: int, remaining_nanousd: int | None) -> int | None:
    """Return how much output fits, for each choice; None: nothing bounds it."""
    fits = None
    if remaining_nanousd is not None and rates.output_per_mtok > 0:
        left = (remaining_nanousd - rates.fixed) * MTOK - read * rates.input_per_mtok
        fits = max(OUTPUT_MIN, left // (rates.output_per_mtok * reach.choices))
    bounds = [most for most in (fits, reach.output_max) if most is not None]
    return min(bounds, default=None)


def _cost(rates: Rates, read: int, output: int) -> int:
    return rates.fixed + -(-(read * rates.input_per_mtok + output * rates.output_per_mtok) // MTOK)


def is_spent(reading: Reading) -> bool:
    """Tell whether nothing is left whatever the open requests turn out to cost: then `on_spent` holds, and only free models go
    on. Looked at without a hold, before a body is read."""
    return reading.settled >= reading.limit


def is_overrun(reading: Reading) -> bool:
    """Tell whether a balance is above its limit: by a correction, a lowered limit, or what a provider billed beyond a hold."""
    return reading.settled > reading.limit


def passed(limit: int, before: int, after: int, percents: Sequence[int]) -> tuple[int, ...]:
    """Return the thresholds that a balance passed on its way from `before` to `after`, ascending. Who tells of them remembers
    them by period: each is told once."""
    return tuple(sorted({p for p in percents if before * 100 < limit * p <= after * 100}))


def booked(unit: str, known: int | None, held: int, *, is_hard: bool, is_told: bool) -> int:
    """Return what a budget counts of an attempt that its provider answered. `known`: what it came to, None where nobody knows;
    `is_told`: its provider said so, it is no estimate of ours. Where it is not certain, a hard budget counts all that was
    held: what was given back then would be charged without ever being counted."""
    if unit == Spends.REQUESTS or not is_hard or (is_told and known is not None):
        return known or 0
    return max(known or 0, held)
