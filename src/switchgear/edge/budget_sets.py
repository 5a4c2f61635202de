"""The budgets that hold for an attempt, made ready once for each key, model and deployment. Level 4; pure.

Budgets are of the same chain as limits (`edge.holders`), of the model that is asked for, and of the deployment, its provider and
its credential. One that names models counts what is served, whatever name was asked for.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from switchgear.core import budget_rule, pattern
from switchgear.core.budget_rule import BudgetRule
from switchgear.edge.holders import ORGANISATION, holders_of
from switchgear.edge.limit_sets import Values
from switchgear.policies import budgets, windows
from switchgear.policies.buckets import Bucket, Hold
from switchgear.policies.budgets import Bound, Budget, Place, Raise, Spends
from switchgear.replica.entries import KeyEntry, Snapshot
from switchgear.routing.limited import Limited
from switchgear.routing.table import Deployment, ModelEntry, ProviderEntry, Route
from switchgear.wire import records
from switchgear.wire.records import Held

OF_PLACES = ("deployment", "provider", "credential")
"""Kinds of subjects whose budget that is spent passes a deployment over; others refuse the request."""


class Counted:
    """One budget with the bucket of its running period."""

    __slots__ = ("_bucket", "_number", "budget", "is_of_place", "rule")

    def __init__(self, budget: Budget, rule: BudgetRule) -> None:
        self.budget = budget
        self.rule = rule
        """As it is written."""
        self.is_of_place = budget.subject.partition(":")[0] in OF_PLACES
        self._bucket: Bucket | None = None
        self._number: int | None = None

    def bucket(self, place: Place, values: Values | None, raises: Mapping[str, Raise] | None = None) -> Bucket:
        """Return what counts it now, for who asks. `raises`: by how much limits are raised for a while."""
        found = self._counted_now(place, values)
        if not raises:
            return found
        value = values.of(self.budget.per) if self.budget.per is not None and values is not None else ""
        name, number = budgets.name_of(self.budget, value), None if place.period is None else place.period.number
        more = budgets.raised(raises, name, number, place.now_ms)
        found = budgets.begun(raises, name, found)
        return found if not more else msgspec.structs.replace(found, limit=found.limit + more)

    def _counted_now(self, place: Place, values: Values | None) -> Bucket:
        budget = self.budget
        if budget.per is not None:
            assert values is not None
            return budgets.bucket_of(budget, place, values.of(budget.per), values.key_id)
        number = None if place.period is None else place.period.number
        if self._bucket is None or number != self._number:
            self._bucket, self._number = budgets.bucket_of(budget, place), number
        return self._bucket


class BudgetSet(msgspec.Struct, frozen=True):
    """Budgets that are looked at together."""

    budgets: tuple[Counted, ...] = ()

    def of(self, names: frozenset[str]) -> tuple[Counted, ...]:
        """Return those that count a deployment which is known by these names."""
        if not any(one.budget.models for one in self.budgets):
            return self.budgets
        return tuple(one for one in self.budgets if counts(one.budget.models, names))


NONE = BudgetSet()


def counts(models: tuple[str, ...], names: frozenset[str]) -> bool:
    """Tell whether a budget's models are those of a deployment, in letters of either case: many providers take `GPT-4o` for
    `gpt-4o`."""
    return not models or any(pattern.matches(wanted.lower(), name.lower()) for wanted in models for name in names)


def of_key(key: KeyEntry, snapshot: Snapshot, route: Route | None, also: Iterable[ModelEntry] = ()) -> BudgetSet:
    """Return the budgets of who asks and of the model that is asked for; `also`: of models as which it is counted, too."""
    found = list(_of(ORGANISATION, snapshot.budgets, snapshot))
    for holder in holders_of(key, snapshot):
        found += _of(holder.subject, budget_rule.rules_of(holder.policy), snapshot)
    if route is not None and route.budgets:
        found += _of(f"model:{route.entry}", route.budgets, snapshot)
    for model in also:
        found += _of(f"model:{model.name}", model.budgets, snapshot)
    return BudgetSet(tuple(found)) if found else NONE


def of_deployment(
    provider: ProviderEntry, deployment: Deployment, limited: Limited, entry: str, snapshot: Snapshot
) -> BudgetSet:
    """Return the budgets of a deployment, its provider and its credential."""
    found = [
        one
        for subject, rules in limited.budgets_of_deployment(deployment, entry)
        for one in _of(f"deployment:{subject}", rules, snapshot)
    ]
    found += _of(f"provider:{provider.name}", provider.budgets, snapshot)
    own = provider.credential_budgets.get(deployment.credential, ())
    found += _of(f"credential:{deployment.credential_id}", own, snapshot)
    return BudgetSet(tuple(found)) if found else NONE


def names_of(deployment: Deployment, limited: Limited) -> frozenset[str]:
    """Return the names by which budgets of some models know what is served."""
    upstream = deployment.upstream_model
    return frozenset({upstream, f"{deployment.provider.name}/{upstream}", *limited.models_at(deployment)})


def _of(subject: str, rules: Iterable[BudgetRule], snapshot: Snapshot) -> Iterator[Counted]:
    for rule in rules:
        yield Counted(budgets.of_rule(subject, rule, snapshot.timezone, snapshot.model_sets), rule)


def amount(unit: Spends, bound: Bound | None) -> int:
    """Return what an attempt holds of a budget. None: nothing bounds it, and no hard budget of it holds."""
    if bound is None:
        return int(unit == Spends.REQUESTS)
    return {
        Spends.NANOUSD: bound.cost_nanousd,
        Spends.REQUESTS: 1,
        Spends.INPUT: bound.input,
        Spends.OUTPUT: bound.output,
        Spends.TOTAL: bound.input + bound.output,
    }[unit]


def recorded(counted: Counted, hold: Hold, place: Place, values: Values | None) -> Held:
    """Return what an attempt's record says of a hold."""
    budget, period = counted.budget, place.period
    value = values.of(budget.per) if budget.per is not None and values is not None else ""
    name, most = budgets.name_of(budget, value), min(hold.amount, records.NUMBER_MAX)
    if period is None:
        width_ms = width_ms_of(budget)
        number = place.now_ms // width_ms
        ends_ms = (number + windows.SUBWINDOWS + 1) * width_ms
        return Held(name, number, most, budget.unit.value, ends_ms, width_ms, hold.bucket.is_hard)
    return Held(name, period.number, most, budget.unit.value, period.ends_ms, is_hard=hold.bucket.is_hard)


def width_ms_of(budget: Budget) -> int:
    """Return how long a rolling budget's sub-windows are."""
    return max(1, windows.width_us((budget.rolling_s or 0) * 1_000_000) // 1_000)
