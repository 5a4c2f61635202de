"""Whose limits hold for a place that a request goes to, by whatever name it is asked for. Level 1, pure.

A deployment's limits are of its provider's model and credential: another configured model with the same deployment,
`provider/model` and a raw path are counted in the same. What is asked for by `provider/model` or a raw path is also counted as the
configured models that have it, and by the limits of deployments with a `*` that stand for it: else each name that a
client invents would have limits of its own.
"""

from collections.abc import Iterable, Iterator

from switchgear.core import pattern
from switchgear.core.budget_rule import BudgetRule
from switchgear.core.limit_rule import LimitRule
from switchgear.routing.table import Deployment, DeploymentEntry, ModelEntry, RouteTable, counted_as

Rules = tuple[LimitRule, ...]
Budgets = tuple[BudgetRule, ...]


class Limited:
    """The limits of a table by places. Made once for each table."""

    def __init__(self, table: RouteTable) -> None:
        self._exact: dict[tuple[str, str], list[tuple[ModelEntry, DeploymentEntry]]] = {}
        self._patterns: dict[str, list[tuple[ModelEntry, DeploymentEntry]]] = {}
        self._models = table.models
        for model in table.models.values():
            for entry in model.deployments:
                if pattern.is_pattern(entry.model):
                    self._patterns.setdefault(entry.provider, []).append((model, entry))
                else:
                    self._exact.setdefault((entry.provider, entry.model), []).append((model, entry))

    def of_deployment(self, deployment: Deployment, name: str) -> list[tuple[str, Rules]]:
        """Return (what is counted, rules) of a deployment of the model `name`; a rule of one kind that stands several times is the
        strictest of them."""
        found: dict[str, list[LimitRule]] = {}
        if deployment.limits:
            found[deployment.counted_as or deployment.id] = list(deployment.limits)
        for model, entry in self._at(deployment, name not in self._models):
            if entry.limits and entry.credential in {None, deployment.credential}:
                found.setdefault(counted_as(model, entry, deployment.credential) or deployment.id, []).extend(
                    entry.limits
                )
        return [(subject, tuple(_strictest(rules))) for subject, rules in found.items()]

    def shares_of(self, deployment: Deployment, name: str) -> dict[str, dict[str, float]]:
        """Return who has which share of a deployment's limits, by what is counted; the first to say it counts."""
        found: dict[str, dict[str, float]] = {}
        if deployment.share:
            found[deployment.counted_as or deployment.id] = deployment.share
        for model, entry in self._at(deployment, name not in self._models):
            if entry.share and entry.credential in {None, deployment.credential}:
                found.setdefault(counted_as(model, entry, deployment.credential) or deployment.id, entry.share)
        return found

    def models_of(self, deployments: Iterable[Deployment], name: str) -> list[ModelEntry]:
        """Return the configured models as which a request is counted that asks for `name`, which is none of them."""
        if name in self._models:
            return []
        found = {model.name: model for deployment in deployments for model, _ in self._at(deployment, True)}
        return list(found.values())

    def budgets_of_deployment(self, deployment: Deployment, name: str) -> list[tuple[str, Budgets]]:
        """As `of_deployment`, of budgets."""
        found: dict[str, list[BudgetRule]] = {}
        if deployment.budgets:
            found[deployment.counted_as or deployment.id] = list(deployment.budgets)
        for model, entry in self._at(deployment, name not in self._models):
            if entry.budgets and entry.credential in {None, deployment.credential}:
                found.setdefault(counted_as(model, entry, deployment.credential) or deployment.id, []).extend(
                    entry.budgets
                )
        return [(subject, tuple(_least(rules))) for subject, rules in found.items()]

    def models_at(self, deployment: Deployment) -> list[str]:
        """Return the names of the configured models that have a deployment's place, whoever asked for it by which name."""
        return [model.name for model, _ in self._at(deployment, True)]

    def _at(self, deployment: Deployment, is_direct: bool) -> Iterator[tuple[ModelEntry, DeploymentEntry]]:
        provider, upstream = deployment.provider.name, deployment.upstream_model
        yield from self._exact.get((provider, upstream), ())
        if is_direct:
            for model, entry in self._patterns.get(provider, ()):
                if pattern.matches(entry.model, upstream):
                    yield model, entry


def _least(rules: Iterable[BudgetRule]) -> Iterable[BudgetRule]:
    """Return the smallest of the budgets that are counted as one."""
    least: dict[str, BudgetRule] = {}
    for rule in rules:
        known = least.get(rule.label)
        if known is None or rule.amount < known.amount:
            least[rule.label] = rule
    return least.values()


def _strictest(rules: Iterable[LimitRule]) -> Iterator[LimitRule]:
    least: dict[tuple[str, str, str | None], LimitRule] = {}
    for rule in rules:
        kind = (rule.unit, rule.window, rule.per)
        known = least.get(kind)
        if known is None or rule.amount < known.amount:
            least[kind] = rule
    yield from least.values()
