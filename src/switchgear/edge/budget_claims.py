"""What an attempt wants of the budgets that hold for it, and what is said where one gives no more. Level 4 (docs/invariants.md
N4)."""

from collections.abc import Sequence

import msgspec

from switchgear.core import budget_rule, problems
from switchgear.core.iso_time import format_time
from switchgear.core.money import format_usd
from switchgear.core.problems import Problem
from switchgear.core.text import clean
from switchgear.counters.backend import Unknown
from switchgear.edge import budget_sets, reach
from switchgear.edge.budget_sets import Counted
from switchgear.edge.context import RequestContext
from switchgear.edge.limit_sets import Values
from switchgear.edge.reach import Reached
from switchgear.edge.resolver import PricedDeployment
from switchgear.edge.services import EdgeServices
from switchgear.edge.upstream_answers import FREE_OPERATIONS
from switchgear.policies.buckets import Hold, Reading
from switchgear.policies.budgets import Bound, Place, Spends, identity
from switchgear.pricing import dearest
from switchgear.wire.records import Held

_MONEY = Spends.NANOUSD
_TOKENS = frozenset({Spends.OUTPUT, Spends.TOTAL})
_NO_BOUND = Problem(
    problems.UNSUPPORTED,
    "what this request may cost at most is not known, and a budget holds for it: say `max_tokens`, and name nothing by URL or id",
)


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt wants of its budgets."""

    counted: tuple[Counted, ...]
    places: tuple[Place, ...]
    holds: tuple[Hold, ...]
    values: Values | None
    caps_tools: bool
    """Whether a cap of its provider's tools must be written into the body."""
    write_output: int | None
    """The output limit that must be written into the body; None: none."""
    bound: Bound | None
    is_single: bool = True
    """Whether one answer is asked for: how it ends says whether the limit cut it."""
    is_sized: bool = False
    """How much was asked for goes by what was left then: the request itself says no limit."""

    def recorded(self) -> list[Held]:
        """Return what the attempt's record says of them."""
        rows = zip(self.counted, self.holds, self.places, strict=True)
        return [budget_sets.recorded(one, hold, place, self.values) for one, hold, place in rows]


def of(
    services: EdgeServices,
    context: RequestContext,
    priced: PricedDeployment,
    values: Values,
    known: dict[str, Reached],
    routed: frozenset[str],
) -> Claims | Problem | Unknown | None:
    """Return what an attempt at a deployment wants; None: nothing. `known`: what was found of the request before, by
    deployment; `routed`: the identities of budgets whose `on_spent` it follows, which stop it no more."""
    resolution, request = context.resolution, context.request
    assert resolution is not None
    assert request is not None
    if request.operation in FREE_OPERATIONS:
        return None
    counted = (*resolution.budgets.of(priced.names), *priced.budgets.of(priced.names))
    pricer = priced.pricer
    if any(one.budget.unit == _MONEY for one in counted):
        is_refused = context.snapshot is None or context.snapshot.unpriced != "allow"
        if pricer is None and is_refused and any(one.budget.is_hard and one.budget.unit == _MONEY for one in counted):
            text = f"the model {request.model[:128]!r} has no known price, and a budget holds for it; an admin can set a price"
            return Problem(problems.MODEL_UNPRICED, text, "model")
        if pricer is None or dearest.is_free(pricer.price):
            counted = tuple(one for one in counted if one.budget.unit != _MONEY)
    if not counted:
        return None
    now_ms, boot_us = services.budget_time.now()
    places = tuple(services.budget_time.place(one.budget, now_ms, boot_us) for one in counted)
    raises = context.snapshot.raises if context.snapshot is not None else None
    buckets = [one.bucket(place, values, raises) for one, place in zip(counted, places, strict=True)]
    for at, one in enumerate(counted):
        if routed and one.budget.on_spent is not None and identity(one.budget) in routed:
            buckets[at] = msgspec.structs.replace(buckets[at], is_hard=False)
    found = known.get(priced.deployment.id)
    if found is None:
        found = known[priced.deployment.id] = _reached(services, context, priced)
    money = tokens = None
    hard = [at for at, bucket in enumerate(buckets) if bucket.is_hard]
    if found.reach.output_asked is None and hard:
        readings = services.counters.read([buckets[at] for at in hard])
        if isinstance(readings, Unknown):
            return readings
        units = [counted[at].budget.unit for at in hard]
        money = _least(readings, units, {_MONEY}, 0)
        tokens = _least(readings, units, {Spends.OUTPUT}, 0)
        whole = _least(readings, units, {Spends.TOTAL}, found.reach.body_bytes)
        tokens = whole if tokens is None else tokens if whole is None else min(tokens, whole)
    if found.unbounded is not None and any(counted[at].budget.unit == _MONEY for at in hard):
        return _unbounded(found.unbounded)
    bound = reach.bound(found, money, tokens)
    if bound is None or (found.rates is None and any(counted[at].budget.unit == _MONEY for at in hard)):
        if any(counted[at].budget.unit != Spends.REQUESTS for at in hard):
            return _NO_BOUND
        bound = None
    amounts = [budget_sets.amount(one.budget.unit, bound) for one in counted]
    write, most = None if bound is None else bound.write_output, found.reach.output_max
    return Claims(
        counted=counted,
        places=places,
        holds=tuple(Hold(bucket, amount) for bucket, amount in zip(buckets, amounts, strict=True)),
        values=values,
        caps_tools=found.caps_tools and bool(hard),
        write_output=write if write is not None and hard and (most is None or write < most) else None,
        bound=bound,
        is_single=found.reach.choices == 1,
        is_sized=found.reach.output_asked is None and bool(hard),
    )


def _unbounded(what: str) -> Problem:
    text = f"nobody knows what {clean(what, 64)} may cost at most, and a budget holds for this request: leave it out"
    return Problem(problems.UNSUPPORTED, text)


def _least(readings: Sequence[Reading], units: Sequence[Spends], of: set[Spends], less: int) -> int | None:
    found = (max(0, one.remaining - less) for one, unit in zip(readings, units, strict=True) if unit in of)
    return min(found, default=None)


def _reached(services: EdgeServices, context: RequestContext, priced: PricedDeployment) -> Reached:
    request, snapshot, translation = context.request, context.snapshot, context.translation
    assert request is not None
    assert snapshot is not None
    size, sent = 0, None
    if translation is not None:
        body = translation.body
        size = len(body) if isinstance(body, bytes) else sum(map(len, body))
        sent = translation.provider_dialect, body
    window = services.resolver.context_window(snapshot, priced.deployment)
    return reach.reached(request, priced, max(context.bytes_in, size), context.media, window, sent)


def overrun(one: Counted) -> Problem:
    """Return what is told where a stream costs more than its request holds."""
    text = f"Budget has been exceeded: this answer costs more than it was bounded by, and the budget of {whose(one)} is hard"
    return Problem(problems.BUDGET_SPENT, text, rule=label(one))


_WHOSE = {
    "key": "this API key",
    "team": "your team",
    "user": "your user",
    "project": "your project",
    "profile": "your profile",
    "organisation": "all keys together",
    "model": "this model",
}
_OF_PLACE = "every deployment of this model"


def whose(one: Counted) -> str:
    """Return whose budget it is in the words that clients are told: no name of a provider, and no other tenant's."""
    return _WHOSE.get(kind_of(one), _OF_PLACE)


def kind_of(one: Counted) -> str:
    """Return the kind of a budget's subject."""
    return one.budget.subject.partition(":")[0]


def label(one: Counted) -> str:
    """Return what a refusal is counted by."""
    return f"{kind_of(one)} budget/{one.rule.period}"


def spent(one: Counted, hold: Hold, reading: Reading, place: Place) -> Problem:
    """Return what a client is told of a budget that gives no more in this period."""
    resets_ms = place.period.ends_ms if place.period is not None else None
    until = f", resets {format_time(resets_ms)}" if resets_ms is not None else ""
    if one.is_of_place:
        text = f"Budget has been exceeded: {_OF_PLACE}{until}"
    else:
        text = f"Budget has been exceeded: {whose(one)}, {_amounts(one, reading)}{until}"
        if reading.settled < reading.limit:
            text += f"; this request may take {_amount(one, hold.amount)}: a smaller max_tokens or input may fit"
    resets_in_s = None if resets_ms is None else max(1, -(-(resets_ms - place.now_ms) // 1_000))
    return Problem(problems.BUDGET_SPENT, text, rule=label(one), resets_ms=resets_ms, resets_in_s=resets_in_s)


def held(one: Counted) -> Problem:
    """Return what a client is told of a budget that other requests hold."""
    text = f"the budget of {whose(one)} is held by requests that are under way; try again in 1s"
    return Problem(problems.RATE_LIMITED, text, None, 1, label(one))


def _amounts(one: Counted, reading: Reading) -> str:
    period = budget_rule.period_text(one.rule)
    per = "in all" if period == budget_rule.TOTAL else f"per {period}"
    unit = one.rule.unit
    if unit == "nanousd":
        return f"{_usd(reading.settled)} of {_usd(reading.limit)} USD {per}"
    what = "requests" if unit == "requests" else "tokens" if unit == "total" else f"{unit} tokens"
    return f"{reading.settled} of {reading.limit} {what} {per}"


def _amount(one: Counted, amount: int) -> str:
    unit = one.rule.unit
    if unit == "nanousd":
        return f"{_usd(amount)} USD"
    return f"{amount} {'requests' if unit == 'requests' else 'tokens'}"


def _usd(nano: int) -> str:
    whole, dot, rest = format_usd(nano).partition(".")
    return f"{whole}.{rest.rstrip('0').ljust(2, '0')}" if dot else f"{whole}.00"
