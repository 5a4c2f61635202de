"""The routing table as the edges see it, and the look-up of a model name in it. Level 1."""

from collections.abc import Collection

import msgspec

from switchgear.core import pattern
from switchgear.core.budget_rule import BudgetRule
from switchgear.core.ceilings import Ceilings
from switchgear.core.ids import credential_id, deployment_id
from switchgear.core.key_policy import DEPLOYMENT
from switchgear.core.limit_rule import LimitRule
from switchgear.pricing.price import Price
from switchgear.providers.quirks import Quirks
from switchgear.routing.breaker import BreakerRules
from switchgear.routing.conditions import When
from switchgear.routing.retry import RetryRules

ALIAS_DEPTH_MAX = 8
NEVER_DROPPED = frozenset({"model", "stream", "messages", "input", "prompt", "contents"})
"""Members of a body that no configuration leaves out: without them it is another request."""


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Deadlines of one attempt in seconds; `total_s` covers all attempts of a request."""

    connect_s: float = 10.0
    first_byte_s: float = 300.0
    first_event_s: float | None = None
    """Of streams; None: `first_byte_s`."""
    idle_s: float = 300.0
    total_s: float = 3600.0


class ProviderEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A provider that has been configured."""

    name: str
    dialects: tuple[str, ...]
    """The dialects that it speaks; the first is the one that others are translated to."""
    credentials: tuple[str, ...]
    """Names of usable credentials, in order."""
    pricing_id: str | None = None
    quirks: Quirks = Quirks()
    own: bool = False
    """A server of the operator's: trace contexts are passed on."""
    limits: tuple[LimitRule, ...] = ()
    """Of all its deployments together."""
    budgets: tuple[BudgetRule, ...] = ()
    """Of all its deployments together."""
    credential_budgets: dict[str, tuple[BudgetRule, ...]] = {}
    """By the credential's name."""
    team: str | None = None
    """The id of the team that alone sees and uses it, with the teams below; None: everybody."""
    labels: dict[str, str] = {}
    """What is said of it, such as `region: eu`: of all its deployments that do not say otherwise."""


class DeploymentEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One provider + model + credential of a route. A credential of None means the provider's in order."""

    provider: str
    model: str
    credential: str | None = None
    tier: int = 1
    price: Price | None = None
    limits: tuple[LimitRule, ...] = ()
    """Of this provider's model with this credential; where it names none, of each credential."""
    budgets: tuple[BudgetRule, ...] = ()
    """Of the same."""
    weight: float = 1.0
    """Its share of the requests, beside those of its neighbours, where the strategy goes by weight."""
    labels: dict[str, str] = {}
    when: When | None = None
    """Which requests it is for; None: all."""
    canary: float | None = None
    """The share of the sessions, 0 to 1, that try it first; the others never do. None: it is no canary."""
    share: dict[str, float] = {}
    """What is guaranteed of its limits, 0 to 1, by the name, team or tag of a key."""


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A configured model: an alias, or deployments, or both a pattern and a target with `*`."""

    name: str
    alias: str | None = None
    deployments: tuple[DeploymentEntry, ...] = ()
    fallback: tuple[str, ...] = ()
    retries_max: int = 1
    timeouts: Timeouts = Timeouts()
    strict: bool = False
    """Refuse what a provider's dialect cannot carry, instead of dropping it."""
    max_tokens: int | None = None
    """The output limit of requests that set none."""
    drop: tuple[str, ...] = ()
    """Members of a request's body that are left out."""
    strategy: str = "ordered"
    """How the deployments of a tier are ordered (routing/strategies)."""
    limits: tuple[LimitRule, ...] = ()
    """Of all requests for it, by whatever alias."""
    budgets: tuple[BudgetRule, ...] = ()
    """Of the same."""
    retry: RetryRules = RetryRules()
    """What is tried again, beside how often (`retries_max`)."""
    breaker: BreakerRules = BreakerRules()
    require: dict[str, str] = {}
    """Labels that a deployment must have to be asked, also one of a model to fall back on."""
    fallback_on: dict[str, tuple[str, ...]] = {}
    """Models to fall back on after one kind of error only: `context_length`, `content_policy`."""
    ceilings: Ceilings | None = None
    """What one request may ask at most."""
    cache_s: int | None = None
    """How long answers are kept (core.cache_rule); 0: never, None: it says nothing."""
    team: str | None = None
    """The id of the team that alone sees and uses it, with the teams below; None: everybody."""
    hedge_s: float | None = None
    """After so long without a first byte another deployment is asked as well; None: never."""


class RouteTable(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an edge needs to turn a model's name into deployments."""

    providers: dict[str, ProviderEntry] = {}
    models: dict[str, ModelEntry] = {}
    implicit: bool = True


class Deployment(msgspec.Struct, frozen=True):
    """One place where an attempt can go."""

    provider: ProviderEntry
    credential: str
    upstream_model: str
    price: Price | None
    timeouts: Timeouts
    strict: bool = False
    max_tokens: int | None = None
    drop: tuple[str, ...] = ()
    tier: int = 0
    """Within its route, in which neighbours of one number are ordered by the strategy."""
    limits: tuple[LimitRule, ...] = ()
    weight: float = 1.0
    strategy: str = "ordered"
    """Of the model that it stands in: of a model to fall back on, its own."""
    labels: dict[str, str] = {}
    when: When | None = None
    only_after: str | None = None
    """The kind of error after which alone it is asked (`fallback_on`)."""
    canary: float | None = None
    share: dict[str, float] = {}
    counted_as: str = ""
    """What its limits are counted for where its model came of a pattern (`counted_as`); empty: its id."""
    budgets: tuple[BudgetRule, ...] = ()

    @property
    def credential_id(self) -> str:
        """The name that a frame carries; the vault resolves it to a credential and its endpoint."""
        return credential_id(self.provider.name, self.credential)

    @property
    def id(self) -> str:
        """The name that people see: `provider/model@credential`."""
        return deployment_id(self.provider.name, self.upstream_model, self.credential)

    def unconditional(self) -> "Deployment":
        """Return it for who names it: whatever the request, and not only after something else."""
        return msgspec.structs.replace(self, when=None, canary=None, only_after=None)

    @property
    def subjects(self) -> tuple[str, ...]:
        """The subjects by which it can be frozen, beside its model."""
        return (
            f"provider:{self.provider.name}",
            f"credential:{self.credential_id}",
            f"deployment:{self.id}",
        )


class Route(msgspec.Struct, frozen=True):
    """The deployments of a model, in the order in which they are tried."""

    model: str
    deployments: tuple[Deployment, ...]
    retries_max: int
    strategy: str = "ordered"
    entry: str = ""
    """The configured name that it was asked by: aliases are followed, a pattern is itself. Its limits are counted for that."""
    limits: tuple[LimitRule, ...] = ()
    retry: RetryRules = RetryRules()
    breaker: BreakerRules = BreakerRules()
    require: dict[str, str] = {}
    budgets: tuple[BudgetRule, ...] = ()
    """Counted for `entry`, as the limits are."""
    cache_s: int | None = None
    hedge_s: float | None = None
    ceilings: Ceilings | None = None
    """Both as the model's."""


def owners(table: RouteTable) -> frozenset[str]:
    """Return the ids of teams that have models or providers of their own."""
    of_models = {one.team for one in table.models.values() if one.team is not None}
    return frozenset(of_models | {one.team for one in table.providers.values() if one.team is not None})


def seen_by(table: RouteTable, teams: Collection[str]) -> RouteTable:
    """Return the table as whoever belongs to these teams sees it: without the models and providers of others."""
    return msgspec.structs.replace(
        table,
        providers={name: one for name, one in table.providers.items() if one.team is None or one.team in teams},
        models={name: one for name, one in table.models.items() if one.team is None or one.team in teams},
    )


def resolve(table: RouteTable, model: str) -> Route | None:
    """Find a model's route: exact name, then the longest pattern, then `provider/model`. None when unknown."""
    entry, found = _entry(table, model, 0)
    if entry is None:
        return None
    deployments = _deployments(table, entry, found, 0)
    after: list[tuple[str, str | None]] = [(name, None) for name in entry.fallback]
    after += [(name, kind) for kind, names in entry.fallback_on.items() for name in names]
    for name, kind in after:
        other, other_found = _entry(table, pattern.carry(name, found), 0)
        if other is not None:
            above = deployments[-1].tier + 1 if deployments else 0
            deployments += _deployments(table, other, other_found, above, kind)
    if not deployments:
        return None
    return Route(
        model,
        tuple(deployments),
        entry.retries_max,
        entry.strategy,
        entry.name,
        entry.limits,
        entry.retry,
        entry.breaker,
        entry.require,
        entry.budgets,
        entry.cache_s,
        entry.hedge_s,
        entry.ceilings,
    )


def counted_as(model: ModelEntry, entry: DeploymentEntry, credential: str) -> str:
    """Return what the limits of a deployment with a `*` are counted for, not each name that it stands for. Empty: no `*`."""
    return f"{model.name}>{deployment_id(entry.provider, entry.model, credential)}" if "*" in entry.model else ""


def unserved(table: RouteTable, model: str) -> list[tuple[DeploymentEntry, str | None]]:
    """Return the deployments of a model and of its fallbacks that no request goes to, because their provider or credential is not
    there, each with the credential that it asks for; None: any of the provider's, which has none."""
    entry, found = _entry(table, model, 0)
    entries = [(entry, found)] if entry is not None else []
    for name in entry.fallback if entry is not None else ():
        after, after_found = _entry(table, pattern.carry(name, found), 0)
        if after is not None:
            entries.append((after, after_found))
    missing = []
    for one, captured in entries:
        for deployment in one.deployments:
            provider = table.providers.get(deployment.provider)
            have = provider.credentials if provider is not None else ()
            if not have or (deployment.credential is not None and deployment.credential not in have):
                carried = msgspec.structs.replace(deployment, model=pattern.carry(deployment.model, captured))
                missing.append((carried, deployment.credential))
    return missing


def name_of_default(table: RouteTable, model: str) -> str:
    """Return the name under which a model of OpenAI's own is asked that a client did not name: the configured one, else that of the
    first of OpenAI's providers."""
    if not table.implicit or _entry(table, model, 0)[0] is not None:
        return model
    first = next(
        (entry for entry in table.providers.values() if (entry.pricing_id or "").partition("@")[0] == "openai"), None
    )
    return f"{first.name}/{model}" if first is not None else model


def trace(table: RouteTable, model: str) -> tuple[list[str], ModelEntry | None, tuple[str, ...]]:
    """Return the names that a model's name leads through (itself first, aliases, a pattern), where it ends, and what each of
    the pattern's `*` stands for."""
    names: list[str] = []
    entry, found = _entry(table, model, 0, names)
    return names, entry, found


def _entry(
    table: RouteTable, model: str, depth: int, names: list[str] | None = None
) -> tuple[ModelEntry | None, tuple[str, ...]]:
    if depth > ALIAS_DEPTH_MAX:
        return None, ()
    if names is not None:
        names.append(model)
    entry = table.models.get(model)
    found: tuple[str, ...] = ()
    if entry is None:
        entry, found = _matching(table, model)
        if entry is not None and names is not None:
            names.append(entry.name)
    if entry is not None:
        if entry.alias is None:
            return entry, found
        return _entry(table, pattern.carry(entry.alias, found), depth + 1, names)
    provider, slash, upstream = model.partition("/")
    if table.implicit and slash and upstream and provider in table.providers:
        return ModelEntry(name=model, deployments=(DeploymentEntry(provider=provider, model=upstream),)), ()
    return None, ()


def _matching(table: RouteTable, model: str) -> tuple[ModelEntry | None, tuple[str, ...]]:
    """Return the entry of the longest pattern that a name matches, and what its `*` stand for."""
    best: ModelEntry | None = None
    best_found: tuple[str, ...] = ()
    for name, entry in table.models.items():
        if "*" in name and (best is None or len(name) > len(best.name)):
            found = pattern.captures(name, model)
            if found is not None:
                best, best_found = entry, found
    return best, best_found


def _deployments(
    table: RouteTable, entry: ModelEntry, captured: tuple[str, ...], above: int, only_after: str | None = None
) -> list[Deployment]:
    """Return where a model's requests can go. Its tiers are numbered from `above`."""
    found: list[Deployment] = []
    tiers = sorted({deployment.tier for deployment in entry.deployments})
    for deployment in sorted(entry.deployments, key=lambda deployment: deployment.tier):
        provider = table.providers.get(deployment.provider)
        if provider is None:
            continue
        wanted = (deployment.credential,) if deployment.credential is not None else provider.credentials
        upstream = pattern.carry(deployment.model, captured)
        found.extend(
            Deployment(
                provider,
                credential,
                upstream,
                deployment.price,
                entry.timeouts,
                entry.strict,
                entry.max_tokens,
                entry.drop,
                above + tiers.index(deployment.tier),
                deployment.limits,
                deployment.weight,
                entry.strategy,
                {
                    **provider.labels,
                    **deployment.labels,
                    DEPLOYMENT: deployment_id(provider.name, upstream, credential),
                },
                deployment.when,
                only_after,
                deployment.canary,
                deployment.share,
                counted_as(entry, deployment, credential),
                deployment.budgets,
            )
            for credential in wanted
            if credential in provider.credentials
        )
    return found
