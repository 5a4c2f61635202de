"""Whether the names of a configuration lead somewhere: aliases, fallbacks, deployments, keys' models, prices. Level 1.

A name that no file declares may still be the store's: whoever has a running gateway at hand passes what it knows.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from switchgear.config import schema
from switchgear.config.reader import Suggestions
from switchgear.core import budget_rule, key_policy, organisation, pattern
from switchgear.core.budget_rule import SET
from switchgear.core.path_rule import check_key_rule
from switchgear.core.text import shown
from switchgear.policies import access
from switchgear.pricing.catalog import REGIONAL, SURCHARGES
from switchgear.providers.catalogue import PROVIDERS
from switchgear.providers.endpoint import KEYLESS
from switchgear.routing.table import ALIAS_DEPTH_MAX

COMPARED_MAX = 1_000_000


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What a running gateway has besides the file."""

    providers: frozenset[str] = frozenset()
    """Providers of the store."""
    models: frozenset[str] = frozenset()
    """Models of the store."""
    credentials: frozenset[str] | None = None
    """`provider/name` of what the vault holds; None where that is not known."""


class ConfigProblem(NamedTuple):
    """One problem, before it has a line."""

    path: str
    message: str
    is_warning: bool = False


def check(
    config: schema.Config, known: Known, is_broken: Callable[[str], bool], suggestions: Suggestions
) -> Iterator[ConfigProblem]:
    """Return every name that leads nowhere, every circle, and as warnings what is declared and never used."""
    names = _Names(config, known, is_broken, suggestions)
    yield from names.models()
    yield from names.keys()
    yield from names.holders()
    yield from names.prices()
    yield from names.budgets()
    yield from names.unused()


class _Names:
    def __init__(
        self, config: schema.Config, known: Known, is_broken: Callable[[str], bool], suggestions: Suggestions
    ) -> None:
        self._near = suggestions.near
        self._config = config
        self._known = known
        self._is_broken = is_broken
        self._models = {name: m for name, m in config.models.items() if not isinstance(m, bool)}
        implicit = config.models.get("implicit", True)
        self._implicit = implicit if isinstance(implicit, bool) else True
        self._providers = {*config.providers, *known.providers, *PROVIDERS, "demo"}
        self._callable = {*self._models, *known.models}
        self._patterns: dict[str, list[str]] = {}
        """Patterns by what stands before their first `*`."""
        for name in self._callable:
            if pattern.is_pattern(name):
                self._patterns.setdefault(name.partition("*")[0], []).append(name)
        self._reached: dict[str, bool] = {}

    # what a name means

    def _entry(self, name: str) -> str | None:
        """Return the configured model that a name means: itself, or the longest pattern."""
        if name in self._callable:
            return name
        found = [
            p for end in range(len(name) + 1) for p in self._patterns.get(name[:end], ()) if pattern.matches(p, name)
        ]
        return max(found, key=len, default=None)

    def _unknown(self, name: str) -> str | None:
        """Say why nothing answers to a name; None when something does."""
        if self._entry(name) is not None or ("*" in name and self._reaches(name)):
            return None
        provider, slash, upstream = name.partition("/")
        if not slash or not upstream:
            return f"there is no model {shown(name)}" + self._near(name, self._callable)
        if provider not in self._providers:
            return f"there is no model {shown(name)}, and no provider {shown(provider)}" + self._near(
                name, self._callable, self._near(provider, self._providers)
            )
        if not self._implicit:
            return f"{shown(name)} is not callable: `models.implicit` is false, and no model has this name"
        return None

    def _provider(self, path: str, name: str) -> Iterator[ConfigProblem]:
        if name not in self._providers:
            hint = self._near(name, self._providers, "; declare it under providers")
            yield ConfigProblem(path, f"there is no provider {shown(name)}{hint}")

    # models

    def models(self) -> Iterator[ConfigProblem]:
        circles: set[frozenset[str]] = set()
        for name, model in self._models.items():
            path = f"models.{name}"
            if isinstance(model, str):
                provider, slash, upstream = model.partition("/")
                if slash and upstream:  # else it is no provider/model at all, which is said elsewhere
                    yield from self._provider(path, provider)
                    yield from self._star(path, name, upstream)
                continue
            if model.alias is not None:
                yield from self._star(f"{path}.alias", name, model.alias)
                why = self._unknown(model.alias)
                if why is not None:
                    yield ConfigProblem(f"{path}.alias", why)
                else:
                    yield from self._circle(name, circles)
            for number, deployment in enumerate(model.deployments):
                at = f"{path}.deployments[{number}]"
                yield from self._provider(f"{at}.provider", deployment.provider)
                yield from self._star(f"{at}.model", name, deployment.model)
                yield from self._credential(f"{at}.credential", deployment)
            for number, target in enumerate(model.fallback):
                yield from self._fallback(f"{path}.fallback[{number}]", name, target)
            for kind, targets in model.fallback_on.items():
                for number, target in enumerate(targets):
                    yield from self._fallback(f"{path}.fallback_on.{kind}[{number}]", name, target)

    def _star(self, path: str, name: str, upstream: str) -> Iterator[ConfigProblem]:
        if upstream.count("*") > name.count("*"):
            text = f"{shown(upstream)} has more * than {shown(name)}, from which they are carried over: it is sent as it stands"
            yield ConfigProblem(path, text, is_warning=True)

    def _credential(self, path: str, deployment: schema.Deployment) -> Iterator[ConfigProblem]:
        wanted, provider = deployment.credential, deployment.provider
        if wanted is None or provider not in self._providers:
            return
        spec = self._config.providers.get(provider)
        if spec is not None and self._is_broken(f"providers.{provider}"):
            return
        declared = [c.name for c in spec.credentials] if spec is not None else []
        in_vault = self._known.credentials
        if wanted in declared or (in_vault is not None and f"{provider}/{wanted}" in in_vault):
            return
        if not declared and (wanted == "none" or in_vault is None):
            return  # it may have been added with `credential add`
        hint = self._near(
            wanted, declared, f"; declare it under providers.{provider}.credentials, or: switchgear credential add"
        )
        yield ConfigProblem(path, f"{shown(provider)} has no credential {shown(wanted)}{hint}")

    def _follow(self, name: str) -> str | None:
        """Return what an alias leads to, as a configured model; None when it is no alias."""
        model = self._models.get(name)
        if isinstance(model, schema.Model) and model.alias is not None:
            return self._entry(model.alias)
        return None

    def _circle(self, name: str, seen: set[frozenset[str]]) -> Iterator[ConfigProblem]:
        trail = [name]
        while (target := self._follow(trail[-1])) is not None:
            if target in trail:
                circle = trail[trail.index(target) :]
                if frozenset(circle) not in seen:
                    seen.add(frozenset(circle))
                    shape = " → ".join([*circle, target])
                    yield ConfigProblem(
                        f"models.{circle[0]}.alias", f"aliases go in a circle: {shape}; give one a deployment"
                    )
                return
            trail.append(target)
            if len(trail) > ALIAS_DEPTH_MAX + 1:
                yield ConfigProblem(f"models.{name}.alias", f"aliases of aliases over {ALIAS_DEPTH_MAX} deep")
                return

    def _end(self, name: str) -> str | None:
        """Return the configured model at the end of a chain of aliases."""
        at = self._entry(name)
        for _ in range(ALIAS_DEPTH_MAX):
            target = self._follow(at) if at is not None else None
            if target is None:
                return at
            at = target
        return at

    def _fallback(self, path: str, name: str, target: str) -> Iterator[ConfigProblem]:
        why = self._unknown(target)
        if why is not None:
            yield ConfigProblem(path, why)
            return
        end = self._end(target)
        if end == name:
            through = "" if target == name else f" (through {shown(target)})"
            yield ConfigProblem(
                path, f"{shown(name)} falls back to itself{through}: the same places would be tried again"
            )
            return
        other = self._models.get(end or "")
        if (
            isinstance(other, schema.Model)
            and any(self._end(back) == name for back in other.fallback)
            and name < (end or "")
        ):
            text = f"{shown(name)} and {shown(end or '')} fall back to each other; each one's own list is used, and none goes round"
            yield ConfigProblem(path, text, is_warning=True)

    # keys

    def keys(self) -> Iterator[ConfigProblem]:
        hashes: dict[str, str] = {}
        for name, key in self._config.keys.items():
            path = f"keys.{name}"
            digest = (key.sha256 or "").lower()
            if digest and digest in hashes:
                yield ConfigProblem(
                    f"{path}.sha256", f"the key {shown(hashes[digest])} has the same hash: they are one key"
                )
            hashes.setdefault(digest, name)
            yield from self._rules(path, key, organisation.KEY_REFERENCES)

    def _rules(self, path: str, holder: Any, references: Mapping[str, str]) -> Iterator[ConfigProblem]:
        """Check what a key, or what it belongs to, names."""
        yield from self._key_models(path, holder)
        for number, rule in enumerate(holder.passthrough or ()):
            if check_key_rule(rule) is None:
                yield from self._provider(f"{path}.passthrough[{number}]", rule.partition(" ")[0])
        for field, of in references.items():
            kind, name = organisation.KINDS[of], getattr(holder, field)
            known = getattr(self._config, kind.plural)
            if name is None or name in known or (not known and of in key_policy.LABELS):
                continue  # a file without a section of teams has those that it names
            hint = self._near(name, known, f"; declare it under {kind.plural}")
            yield ConfigProblem(f"{path}.{field}", f"there is no {of} {shown(name)}{hint}")

    # teams, users, projects, profiles

    def holders(self) -> Iterator[ConfigProblem]:
        for section in ("providers", "models"):
            for name, one in getattr(self._config, section).items():
                team, known = getattr(one, "team", None), self._config.teams
                if team is not None and known and team not in known:
                    hint = self._near(team, known, "; declare it under teams")
                    yield ConfigProblem(f"{section}.{name}.team", f"there is no team {shown(team)}{hint}")
        for kind in organisation.KINDS.values():
            for name, holder in getattr(self._config, kind.plural).items():
                yield from self._rules(f"{kind.plural}.{name}", holder, kind.references)
        teams = self._config.teams
        told: set[str] = set()
        for name in teams:
            way = organisation.round_trip(name, lambda one: teams[one].parent if one in teams else None)
            if way is None or told & set(way):
                continue
            told |= set(way)
            if way[0] == way[-1]:
                text = f"the team {shown(name)} is a part of itself: {' → '.join(way)}"
            else:
                text = (
                    f"teams can be {organisation.DEPTH_MAX} deep in one another, and this is deeper: {' → '.join(way)}"
                )
            yield ConfigProblem(f"teams.{name}.parent", text)
        for name, key in self._config.keys.items():
            project = self._config.projects.get(key.project or "")
            if project is not None and key.team is not None and project.team not in {None, key.team}:
                text = f"the project {shown(key.project or '')} belongs to the team {shown(project.team or '')}"
                yield ConfigProblem(f"keys.{name}.team", text)

    def _key_models(self, path: str, key: Any) -> Iterator[ConfigProblem]:
        if key.models is None:
            return
        dead = 0
        for number, wanted in enumerate(key.models):
            at = f"{path}.models[{number}]"
            if "*" not in wanted:
                why = self._unknown(wanted)
                if why is not None:
                    yield ConfigProblem(at, why)
            elif not self._reaches(wanted):
                dead += 1
                yield ConfigProblem(
                    at, f"the pattern {shown(wanted)} matches no model and no provider", is_warning=True
                )
        if dead == len(key.models) and not self._is_broken(f"{path}.models"):
            what = "the list is empty" if not key.models else "nothing of its list exists"
            yield ConfigProblem(
                f"{path}.models", f"the key allows nothing: {what}; leave `models` out to allow all", True
            )

    def _reaches(self, wanted: str) -> bool:
        """Tell whether a pattern covers a model, or may cover what a provider serves."""
        if wanted not in self._reached:
            before = wanted.partition("*")[0]
            places = (f"{name}/" for name in self._providers)
            self._reached[wanted] = any(
                pattern.matches(wanted, name) or pattern.matches(name, wanted) for name in self._callable
            ) or (self._implicit and any(place.startswith(before) or before.startswith(place) for place in places))
        return self._reached[wanted]

    # budgets

    def budgets(self) -> Iterator[ConfigProblem]:
        for name, models in self._config.model_sets.items():
            for number, wanted in enumerate(models):
                yield from self._counted(f"model_sets.{name}[{number}]", wanted)
        for path, holder in _holders(self._config):
            for at, wanted in budget_rule.models_named(holder.budget):
                if at.endswith(".route"):
                    yield from self._routed(f"{path}.{at}", wanted, getattr(holder, "models", None))
                else:
                    yield from self._counted(f"{path}.{at}", wanted)
        yield from self._spent_circles()

    def _routed(self, path: str, wanted: str, allowed: list[str] | None) -> Iterator[ConfigProblem]:
        """Check where requests go once a budget is spent; `allowed`: what its holder may call."""
        why = self._unknown(wanted)
        if why is not None:
            yield ConfigProblem(path, why)
        elif not access.may_call(wanted, allowed):
            text = f"{shown(wanted)} is none of the `models` here, so nobody could be sent there: add it, or route to one of them"
            yield ConfigProblem(path, text)

    def _spent_circles(self) -> Iterator[ConfigProblem]:
        """Return routes of models' budgets that lead back: once all are spent, none of them would stop anything."""
        routes: dict[str, dict[str, str]] = {}
        for name, model in self._models.items():
            if isinstance(model, schema.Model):
                named = [(f"models.{name}", model.budget)]
                named += [(f"models.{name}.deployments[{n}]", one.budget) for n, one in enumerate(model.deployments)]
                routes[name] = {
                    end: f"{path}.{at}"
                    for path, budget in named
                    for at, wanted in budget_rule.models_named(budget)
                    if at.endswith(".route") and (end := self._end(wanted)) is not None
                }
        told: set[str] = set()
        for name in routes:
            way = _way_back(name, routes)
            if way and not told & set(way):
                told |= set(way)
                shape = " → ".join([*way, name])
                text = f"budgets that are spent lead in a circle, so none of them stops anything: {shape}"
                yield ConfigProblem(routes[name][way[1] if len(way) > 1 else name], text)

    def _counted(self, path: str, wanted: str) -> Iterator[ConfigProblem]:
        sets = self._config.model_sets
        if wanted.startswith(SET):
            if path.startswith("model_sets."):
                yield ConfigProblem(path, f"{shown(wanted)} is a set itself: name its models here")
            elif wanted.removeprefix(SET) not in sets:
                hint = self._near(wanted.removeprefix(SET), sets, "; declare it under model_sets")
                yield ConfigProblem(path, f"there is no set of models {shown(wanted)}{hint}")
        elif "*" in wanted:
            if not self._reaches(wanted):
                text = f"the pattern {shown(wanted)} matches no model and no provider"
                yield ConfigProblem(path, text, is_warning=True)
        else:
            why, entry, end = self._unknown(wanted), self._entry(wanted), self._end(wanted)
            alias = self._models.get(entry or "")
            if why is not None:
                yield ConfigProblem(path, why)
            elif isinstance(alias, schema.Model) and alias.alias is not None:
                named = end if end not in {None, entry} and not pattern.is_pattern(end or "") else alias.alias
                text = (
                    f"{shown(wanted)} is an alias, and what is served is counted by its own name: write {shown(named)}"
                )
                yield ConfigProblem(path, text)

    # prices

    def prices(self) -> Iterator[ConfigProblem]:
        pricing = self._config.pricing
        for name in pricing.overrides:
            path = f"pricing.overrides.{name}"
            provider, slash, model = name.partition("/")
            if not slash or not model:
                hint = "; for a model of this file, set `price` on its deployments" if name in self._callable else ""
                yield ConfigProblem(path, f"{shown(name)} must be provider/model{hint}")
            else:
                yield from self._provider(path, provider)
        for name in pricing.discount:
            yield from self._provider(f"pricing.discount.{name}", name)
        lists = (
            {row.pricing_id for row in PROVIDERS.values()}
            | set(PROVIDERS)
            | {f"{name}{REGIONAL}" for name in SURCHARGES}
        )
        for name, spec in self._config.providers.items():
            if spec.pricing is not None and spec.pricing not in lists:
                hint = self._near(spec.pricing, [n for n in lists if n])
                text = f"no prices of {shown(spec.pricing)} are shipped{hint}"
                yield ConfigProblem(f"providers.{name}.pricing", text, is_warning=True)

    # what is declared for nothing

    def unused(self) -> Iterator[ConfigProblem]:
        config = self._config
        used = {m.partition("/")[0] for m in self._models.values() if isinstance(m, str)}
        used |= {d.provider for m in self._models.values() if isinstance(m, schema.Model) for d in m.deployments}
        for name, spec in config.providers.items():
            path = f"providers.{name}"
            if not self._implicit and name not in used:
                yield ConfigProblem(path, "no model uses it, and `models.implicit` is false: it is never called", True)
            elif (
                self._known.credentials is not None
                and not spec.credentials
                and (spec.auth or (PROVIDERS[name].auth if name in PROVIDERS else "bearer")) not in KEYLESS
                and not any(c.startswith(f"{name}/") for c in self._known.credentials)
            ):
                yield ConfigProblem(path, f"it has no credential yet: switchgear credential add {name}", True)
        lists = [key.models for key in config.keys.values()]
        if not lists or any(models is None for models in lists):
            return
        allowed = {name for models in lists for name in models or ()}
        allowed |= {m.alias for m in self._models.values() if isinstance(m, schema.Model) and m.alias}
        allowed |= {f for m in self._models.values() if isinstance(m, schema.Model) for f in m.fallback}
        special = [m.fallback_on for m in self._models.values() if isinstance(m, schema.Model)]
        allowed |= {f for one in special for targets in one.values() for f in targets}
        patterns = [name for name in allowed if "*" in name]
        if len(patterns) * len(self._models) > COMPARED_MAX:
            return  # comparing would take longer than the warning is worth
        for name in self._models:
            if name not in allowed and not any(pattern.matches(p, name) or pattern.matches(name, p) for p in patterns):
                yield ConfigProblem(f"models.{name}", "no key of this configuration may call it", is_warning=True)


def _way_back(name: str, routes: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the models on the way from one back to itself; nothing where none leads back."""
    trails, seen = [[name]], {name}
    while trails:
        trail = trails.pop()
        for target in routes.get(trail[-1], ()):
            if target == name:
                return trail
            if target not in seen:
                seen.add(target)
                trails.append([*trail, target])
    return []


def _holders(config: schema.Config) -> Iterator[tuple[str, Any]]:
    """Return (path, holder) of everything that may have budgets."""
    yield "organisation", config.organisation
    yield from ((f"keys.{name}", key) for name, key in config.keys.items())
    for kind in organisation.KINDS.values():
        yield from ((f"{kind.plural}.{name}", one) for name, one in getattr(config, kind.plural).items())
    for name, provider in config.providers.items():
        yield f"providers.{name}", provider
        yield from ((f"providers.{name}.credentials[{n}]", one) for n, one in enumerate(provider.credentials))
    for name, model in config.models.items():
        if isinstance(model, schema.Model):
            yield f"models.{name}", model
            yield from ((f"models.{name}.deployments[{n}]", one) for n, one in enumerate(model.deployments))
