"""Stage: may this key call this model, and where would it go? Level 4.

The answer is the same for every request of one key version and model under one snapshot, so it is kept. Prices may depend
on the time of day, so a resolution lives for a minute.
"""

import msgspec

from switchgear.core import cache_rule, ceilings, problems
from switchgear.core.ceilings import Ceilings
from switchgear.core.key_policy import DEPLOYMENT
from switchgear.core.problems import Problem
from switchgear.core.text import header_value
from switchgear.counters.backend import HOLDS_MAX
from switchgear.dialects.model_lists import Card
from switchgear.edge import budget_sets, limit_sets, litellm, model_cards
from switchgear.edge.budget_sets import BudgetSet
from switchgear.edge.holders import holders_of
from switchgear.edge.limit_sets import Limits
from switchgear.policies import access
from switchgear.pricing.catalog import Catalog, Load
from switchgear.pricing.price import Pricer, per_mtok
from switchgear.replica.entries import KeyEntry, Snapshot
from switchgear.routing import conditions, strategies, table
from switchgear.routing.frozen import FrozenModels, frozen_models
from switchgear.routing.limited import Limited
from switchgear.routing.retry import RetryRules
from switchgear.routing.states import StateBook
from switchgear.routing.strategies import Candidate, Order
from switchgear.routing.table import Deployment, Route, RouteTable

RESOLUTION_MS = 60_000
RESOLUTIONS_MAX = 20_000
CALLABLE_MAX = 256
SEEN_MAX = 64
"""Tables as keys of some teams see them."""


class PricedDeployment(msgspec.Struct, frozen=True):
    """One deployment with its price."""

    deployment: Deployment
    credential_id: str
    pricer: Pricer | None
    headers: bytes
    """The response headers that name where the answer came from."""
    callees: dict[tuple[str, str], msgspec.Raw]
    """Encoded records.Callee by operation and path, filled as needed."""
    opens: dict[object, msgspec.Raw]
    """Encoded frames.UpstreamRoute by path and headers, filled as needed."""
    named: dict[str, Pricer | None] = {}
    """Prices of models that answered under another name, filled as needed."""
    limits: Limits | None = None
    """Of the deployment and its provider."""
    budgets: BudgetSet = budget_sets.NONE
    """Of the deployment, its provider and its credential."""
    names: frozenset[str] = frozenset()
    """By which budgets of some models know it."""
    candidate: Candidate | None = None
    """As strategies see it; None where nothing is to be decided per request."""


class Resolution(msgspec.Struct, frozen=True):
    """What to do with a model for a key: its deployments in order, or a refusal."""

    made_ms: int
    route: Route | None
    deployments: tuple[PricedDeployment, ...]
    problem: Problem | None
    order: Order | None = None
    """Orders the deployments for each request; None where they are asked as they stand."""
    limits: Limits | None = None
    """Of who asks and the model that is asked for."""
    budgets: BudgetSet = budget_sets.NONE
    """Of the same."""
    counted_as: str = ""
    """The configured model that was asked for, by whatever name: what limits per model count."""
    is_free: bool = False
    """Nothing is limited, counted or kept of its requests, wherever they go: True saves them every look."""
    ceilings: Ceilings | None = None
    """What one request may ask at most; None: there is no ceiling."""
    cache_s: int | None = None
    """How long answers are kept (core.cache_rule); 0: never, None: neither key nor model say anything."""


class Resolver:
    """Resolves models to deployments, and keeps what it found. `load` gives the price files."""

    def __init__(self, load_prices: Load, states: StateBook | None = None) -> None:
        self._load = load_prices
        self.states = states or StateBook()
        """What this edge knows of deployments."""
        self._snapshot: Snapshot | None = None
        self._resolutions: dict[tuple[str, int, str], Resolution] = {}
        self._catalog: Catalog | None = None
        self._callable: dict[tuple[str, int], tuple[int, dict[str, Card]]] = {}
        self._frozen: tuple[tuple[str, ...], FrozenModels] = ((), FrozenModels())
        self._limits: dict[tuple[str, int], Limits | None] = {}
        self._budgets: dict[tuple[str, int], BudgetSet] = {}
        self._open: dict[str, KeyEntry] = {}
        """Keys of which nothing is looked at when a head comes."""
        self._renewed: dict[tuple[int, str, int], tuple[Resolution, Resolution]] = {}
        """By the id of what was renewed, which stands beside so that no other has its id."""
        self._keeps: bool | None = None
        self._limited: Limited | None = None
        self._owners: frozenset[str] = frozenset()
        self._seen: dict[frozenset[str], RouteTable] = {}

    def resolve(self, snapshot: Snapshot, key: KeyEntry, model: str, now_ms: int) -> Resolution:
        """Return the resolution of a key's call of a model."""
        if snapshot is not self._snapshot:
            self._take(snapshot)
        name = (key.id, key.version, model)
        resolution = self._resolutions.get(name)
        if (
            resolution is None
            or now_ms - resolution.made_ms > RESOLUTION_MS
            or (snapshot.freezes and _has_thawed(snapshot, resolution.made_ms, now_ms))
        ):
            if len(self._resolutions) >= RESOLUTIONS_MAX:
                self._resolutions.clear()
            resolution = self._resolutions[name] = self._make(snapshot, key, model, now_ms)
        return resolution

    def _take(self, snapshot: Snapshot) -> None:
        """Forget what was derived from another snapshot."""
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._resolutions.clear()
            self._callable.clear()
            self._limits.clear()
            self._budgets.clear()
            self._open.clear()
            self._renewed.clear()
            self._keeps = None
            self._limited = None
            self._seen.clear()
            self._owners = table.owners(snapshot.table)
            self._frozen = ((), FrozenModels())
            known = self._catalog
            if known is not None and not known.is_of(
                snapshot.price_snapshot, snapshot.price_overrides, snapshot.discounts_bp
            ):
                self._catalog = None  # a freeze changes no price, and finding prices anew is slow

    def catalog(self, snapshot: Snapshot) -> Catalog:
        """Return the prices of a snapshot."""
        self._take(snapshot)
        if self._catalog is None:
            self._catalog = Catalog(
                self._load, snapshot.price_snapshot, snapshot.price_overrides, snapshot.discounts_bp
            )
        return self._catalog

    def callable_models(self, snapshot: Snapshot, key: KeyEntry, now_ms: int) -> dict[str, Card]:
        """Return the models that a key may call, by name: configured ones, and priced models of wildcards and providers."""
        self._take(snapshot)
        known = self._callable.get((key.id, key.version))
        if known is not None and now_ms - known[0] <= RESOLUTION_MS:
            return known[1]

        def may_go(route: Route) -> bool:
            if snapshot.freezes and isinstance(self._without_frozen(snapshot, route, now_ms), Problem):
                return False
            if snapshot.unpriced != "refuse_all":
                return True
            return self._priced(snapshot, route, now_ms).problem is None

        seen = msgspec.structs.replace(snapshot, table=self.table_of(snapshot, key))
        cards = model_cards.cards_of(seen, key, self.catalog(snapshot), may_go)
        if len(self._callable) >= CALLABLE_MAX:
            self._callable.clear()
        self._callable[key.id, key.version] = (now_ms, cards)
        return cards

    def priced(self, snapshot: Snapshot, card: Card, now_ms: int) -> Card:
        """Return a card with the list price of its model's first deployment."""
        route = table.resolve(snapshot.table, card.name)
        if route is None:
            return card
        first = route.deployments[0]
        price = first.price or self.catalog(snapshot).find(
            first.provider.name, first.provider.pricing_id, first.upstream_model, now_ms
        )
        return card if price is None else msgspec.structs.replace(card, pricing=per_mtok(price))

    def _make(self, snapshot: Snapshot, key: KeyEntry, model: str, now_ms: int) -> Resolution:
        seen = self.table_of(snapshot, key)
        route = table.resolve(seen, model) if access.may_call_all(model, key.model_lists) else None
        if route is not None and (route.require or key.require):
            allowed = _with_labels(route, key.require or {})
            if isinstance(allowed, Problem):
                return Resolution(now_ms, None, (), allowed)
            route = allowed
        if route is not None and snapshot.freezes:
            left = self._without_frozen(snapshot, route, now_ms)
            if isinstance(left, Problem):
                return Resolution(now_ms, None, (), left)
            route = left
        if route is None:
            problem = access.model_not_found(model, list(self.callable_models(snapshot, key, now_ms)))
            return Resolution(now_ms, None, (), problem)
        return self.with_limits(snapshot, key, self._priced(snapshot, route, now_ms))

    def with_limits(self, snapshot: Snapshot, key: KeyEntry, resolution: Resolution) -> Resolution:
        """Return a resolution with the limits of a key and of the model that it asks for."""
        self._take(snapshot)
        route = resolution.route
        if route is None:
            return resolution
        also = self._limited_of(snapshot).models_of(route.deployments, route.entry)
        limits = limit_sets.of_key(key, snapshot, route, also)
        name = also[0].name if also else route.entry or route.model
        budgets = budget_sets.of_key(key, snapshot, route, also)
        most = max((_holds_of(one) for one in resolution.deployments), default=0)
        is_over = len(budgets.budgets) > HOLDS_MAX // 2 or len(budgets.budgets) + most > HOLDS_MAX
        if is_over or (limits is not None and len(limits.paid.limits) > HOLDS_MAX):
            text = "more limits or budgets hold for this API key and what it belongs to than can be counted at once"
            return Resolution(
                resolution.made_ms, None, (), Problem(problems.FORBIDDEN, f"{text}; an admin can change that")
            )
        holders = holders_of(key, snapshot)
        cache_s = cache_rule.tightest(
            route.cache_s, *(cache_rule.seconds_of(holder.policy.cache) for holder in holders)
        )
        found = ceilings.tightest([route.ceilings, *(ceilings.parse(holder.policy.ceilings) for holder in holders)])
        return msgspec.structs.replace(
            resolution,
            limits=limits,
            budgets=budgets,
            counted_as=name,
            cache_s=cache_s,
            ceilings=found,
            is_free=limits is None
            and not budgets.budgets
            and cache_s is None
            and found is None
            and all(one.limits is None and not one.budgets.budgets for one in resolution.deployments),
        )

    def renewed(self, snapshot: Snapshot, key: KeyEntry, resolution: Resolution, now_ms: int) -> Resolution:
        """Return the resolution of a request that waited, with the limits, budgets and ceilings that hold for it by now; the places
        that it goes to stay. What was renewed for this key and snapshot is returned as it is."""
        self._take(snapshot)
        name = (id(resolution), key.id, key.version)
        known = self._renewed.get(name)
        if known is not None:
            return known[1]
        found, route = resolution, resolution.route
        if route is not None:
            now = table.resolve(self.table_of(snapshot, key), route.model)
            now = now if now is not None and now.entry == route.entry else None
            if now is not None:
                route = msgspec.structs.replace(
                    route, limits=now.limits, budgets=now.budgets, cache_s=now.cache_s, ceilings=now.ceilings
                )
            places = {one.id: one for one in now.deployments} if now is not None else {}
            deployments = tuple(
                self._renewed_place(snapshot, route, priced, places.get(priced.deployment.id), now_ms)
                for priced in resolution.deployments
            )
            found = msgspec.structs.replace(resolution, route=route, deployments=deployments)
            found = self.with_limits(snapshot, key, found)
        if len(self._renewed) >= RESOLUTIONS_MAX:
            self._renewed.clear()
        self._renewed[name] = resolution, found
        self._renewed[id(found), key.id, key.version] = found, found
        return found

    def _renewed_place(
        self, snapshot: Snapshot, route: Route, priced: PricedDeployment, place: Deployment | None, now_ms: int
    ) -> PricedDeployment:
        if place is None:
            provider = snapshot.table.providers.get(priced.deployment.provider.name, priced.deployment.provider)
            place = msgspec.structs.replace(priced.deployment, provider=provider)
        now = self._price(snapshot, route, place, now_ms)
        return msgspec.structs.replace(priced, limits=now.limits, budgets=now.budgets, names=now.names)

    def table_of(self, snapshot: Snapshot, key: KeyEntry) -> RouteTable:
        """Return the models and providers that a key sees: all but those of teams that it does not belong to."""
        self._take(snapshot)
        if not self._owners:
            return snapshot.table
        teams = self._owners.intersection(one.id for one in key.held_by if one.kind == "team")
        found = self._seen.get(teams)
        if found is None:
            if len(self._seen) >= SEEN_MAX:
                self._seen.clear()
            found = self._seen[teams] = table.seen_by(snapshot.table, teams)
        return found

    def _limited_of(self, snapshot: Snapshot) -> Limited:
        if self._limited is None:
            self._limited = Limited(snapshot.table)
        return self._limited

    def limits_of_key(self, snapshot: Snapshot, key: KeyEntry) -> Limits | None:
        """Return the limits that hold whatever a key asks for."""
        self._take(snapshot)
        name = (key.id, key.version)
        if name not in self._limits:
            if len(self._limits) >= RESOLUTIONS_MAX:
                self._limits.clear()
            self._limits[name] = limit_sets.of_key(key, snapshot, None)
        return self._limits[name]

    def budgets_of_key(self, snapshot: Snapshot, key: KeyEntry) -> BudgetSet:
        """Return the budgets that hold whatever a key asks for."""
        self._take(snapshot)
        name = (key.id, key.version)
        if name not in self._budgets:
            if len(self._budgets) >= RESOLUTIONS_MAX:
                self._budgets.clear()
            self._budgets[name] = budget_sets.of_key(key, snapshot, None)
        return self._budgets[name]

    def is_open(self, snapshot: Snapshot | None, key: KeyEntry | None) -> bool:
        """Tell whether a key has neither limits nor budgets, whatever it asks for: found once for each key and snapshot."""
        assert key is not None
        if snapshot is self._snapshot and self._open.get(key.id) is key:
            return True
        assert snapshot is not None
        if self.limits_of_key(snapshot, key) is not None or self.budgets_of_key(snapshot, key).budgets:
            return False
        if len(self._open) >= RESOLUTIONS_MAX:
            self._open.clear()
        self._open[key.id] = key
        return True

    def keeps_answers(self, snapshot: Snapshot) -> bool:
        """Tell whether answers of any model are kept."""
        self._take(snapshot)
        if self._keeps is None:
            self._keeps = any(model.cache_s for model in snapshot.table.models.values())
        return self._keeps

    def context_window(self, snapshot: Snapshot, deployment: Deployment) -> int | None:
        """Return how many tokens a deployment's model reads at most; None: that is not known."""
        pricing_id = deployment.provider.pricing_id
        info = self.catalog(snapshot).info(pricing_id, deployment.upstream_model) if pricing_id else None
        return info.context_window if info is not None else None

    def _priced(self, snapshot: Snapshot, route: Route, now_ms: int) -> Resolution:
        """Return the resolution of a route, or the refusal of one that has no known price."""
        deployments = tuple(self._price(snapshot, route, deployment, now_ms) for deployment in route.deployments)
        if snapshot.unpriced == "refuse_all" and any(priced.pricer is None for priced in deployments):
            text = f"the model {route.model[:128]!r} has no known price; an admin can set one"
            return Resolution(now_ms, None, (), Problem(problems.MODEL_UNPRICED, text, "model"))
        order = strategies.order_of(route.strategy, route.deployments)
        if order is None and (route.retry != RetryRules() or route.hedge_s is not None):
            order = strategies.ordered
        if order is not None:
            deployments = tuple(self._watched(snapshot, priced, route) for priced in deployments)
        return Resolution(now_ms, route, deployments, None, order)

    def _watched(self, snapshot: Snapshot, priced: PricedDeployment, route: Route) -> PricedDeployment:
        deployment = priced.deployment
        state, window = self.states.of(deployment.id), None
        pricing_id = deployment.provider.pricing_id
        if pricing_id is not None and any(conditions.names_context(one.when) for one in route.deployments):
            info = self.catalog(snapshot).info(pricing_id, deployment.upstream_model)
            window = info.context_window if info is not None else None
        candidate = strategies.candidate_of(deployment, state, priced.pricer, route.breaker, window)
        return msgspec.structs.replace(priced, candidate=candidate)

    def resolve_one(
        self, snapshot: Snapshot, route: Route, now_ms: int, required: dict[str, str] | None = None
    ) -> Resolution:
        """Return the resolution of a route that no model's name leads to: its first deployment is asked, and no other.
        `required`: labels that it must have."""
        self._take(snapshot)
        left = _with_labels(route, required) if required else route
        if snapshot.freezes and isinstance(left, Route):
            left = self._without_frozen(snapshot, left, now_ms)
        if isinstance(left, Problem):
            return Resolution(now_ms, None, (), left)
        resolution = self._priced(snapshot, left, now_ms)
        return (
            msgspec.structs.replace(resolution, order=strategies.first)
            if len(resolution.deployments) > 1
            else resolution
        )

    def _without_frozen(self, snapshot: Snapshot, route: Route, now_ms: int) -> "Route | Problem":
        models = self._frozen_models(snapshot, now_ms)
        if models.stops_name(table.trace(snapshot.table, route.model)[0]):
            return access.FROZEN_MODEL
        problem, left = None, []
        for deployment in route.deployments:
            found = self.check_deployment(snapshot, deployment, now_ms)
            problem = found or problem
            if found is None:
                left.append(deployment)
        if not left and problem is not None:
            return problem
        return msgspec.structs.replace(route, deployments=tuple(left))

    def check_deployment(self, snapshot: Snapshot, deployment: Deployment, now_ms: int) -> Problem | None:
        """Deny a deployment that is frozen itself, or whose provider, credential or model is."""
        self._take(snapshot)
        problem = access.check_frozen(snapshot.freezes, deployment.subjects, now_ms)
        if problem is None and self._frozen_models(snapshot, now_ms).stops_deployment(deployment):
            return access.FROZEN_MODEL
        return problem

    def check_model(self, snapshot: Snapshot, model: str, now_ms: int) -> Problem | None:
        """Deny a model one of whose names is frozen."""
        self._take(snapshot)
        models = self._frozen_models(snapshot, now_ms)
        return access.FROZEN_MODEL if models.stops_name(table.trace(snapshot.table, model)[0]) else None

    def _frozen_models(self, snapshot: Snapshot, now_ms: int) -> FrozenModels:
        names = access.frozen_names(snapshot.freezes, "model", now_ms)
        if names != self._frozen[0]:
            self._frozen = (names, frozen_models(snapshot.table, names))
        return self._frozen[1]

    def price_of(self, snapshot: Snapshot, deployment: Deployment, model: str, now_ms: int) -> Pricer | None:
        """Return the price of another model of a deployment's provider, as an answer names it; None where it is unknown."""
        provider = deployment.provider
        price = self.catalog(snapshot).find(provider.name, provider.pricing_id, model, now_ms)
        return Pricer(price) if price is not None else None

    def _price(self, snapshot: Snapshot, route: Route, deployment: Deployment, now_ms: int) -> PricedDeployment:
        provider, limited = deployment.provider, self._limited_of(snapshot)
        price = deployment.price or self.catalog(snapshot).find(
            provider.name, provider.pricing_id, deployment.upstream_model, now_ms
        )
        headers = b"x-switchgear-model: %b\r\nx-switchgear-provider: %b\r\nx-switchgear-upstream-model: %b\r\n" % (
            header_value(route.model),
            header_value(provider.name),
            header_value(deployment.upstream_model),
        )
        if "litellm" in snapshot.compat:
            headers += litellm.deployment_headers(route.model, deployment.id)
        limited = self._limited_of(snapshot)
        return PricedDeployment(
            deployment,
            deployment.credential_id,
            Pricer(price) if price is not None else None,
            headers,
            {},
            {},
            limits=limit_sets.of_deployment(
                provider, limited.of_deployment(deployment, route.entry), limited.shares_of(deployment, route.entry)
            ),
            budgets=budget_sets.of_deployment(provider, deployment, limited, route.entry, snapshot),
            names=budget_sets.names_of(deployment, limited),
        )


def _with_labels(route: Route, required: dict[str, str]) -> "Route | Problem":
    """Leave the deployments of a route that have the labels that its model and a key require."""
    whole = (route.require, required)
    left = tuple(
        deployment
        for deployment in route.deployments
        if all(conditions.lacks(one, deployment.labels) is None for one in whole)
    )
    if not left:
        said = ", ".join(sorted({f"{name}: {value}" for one in whole for name, value in one.items()}))
        text = f"no deployment of {route.model[:128]!r} has the labels that are required ({said}); an admin can change that"
        return Problem(problems.FORBIDDEN, text, "model")
    if DEPLOYMENT in required:
        left = tuple(one.unconditional() for one in left)
    return msgspec.structs.replace(route, deployments=left)


def _holds_of(priced: PricedDeployment) -> int:
    """Return how much an attempt at a deployment holds at most, beside the budgets of who asks."""
    rules = priced.limits.paid if priced.limits is not None else None
    more = 0 if rules is None else len(rules.limits) + sum(len(rule.more) for rule in rules.shared)
    return len(priced.budgets.budgets) + more


def _has_thawed(snapshot: Snapshot, since_ms: int, now_ms: int) -> bool:
    """Tell whether a freeze ended by itself since a resolution was made."""
    return any(end is not None and since_ms < end <= now_ms for end in snapshot.freezes.values())
