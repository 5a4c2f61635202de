"""Which models a key may call, for lists and suggestions: what is callable, and nothing else. Level 4.

A pattern has no end of names; listed are those of them that lead to a model whose price is known, by the names that the
pattern gives them.
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from switchgear.core import pattern
from switchgear.dialects.model_lists import Card
from switchgear.policies import access
from switchgear.pricing.catalog import Catalog
from switchgear.pricing.output_limits import output_tokens_max
from switchgear.replica.entries import KeyEntry, Snapshot
from switchgear.routing import table
from switchgear.routing.table import ModelEntry, ProviderEntry, Route

NAMES_MAX = 10_000
ALIAS_ROUNDS = 2
"""A pattern may be an alias of names that another such pattern gives."""


def cards_of(snapshot: Snapshot, key: KeyEntry, catalog: Catalog, may_go: Callable[[Route], bool]) -> dict[str, Card]:
    """Return the models that a key may call, by name. `may_go` refuses routes that are frozen or may not be used unpriced."""
    routes = snapshot.table
    priced = {name: _priced(snapshot, entry, catalog) for name, entry in routes.providers.items() if entry.credentials}
    exact = [name for name in routes.models if not pattern.is_pattern(name)]
    names = dict.fromkeys(exact) | dict.fromkeys(_derived(routes.models, priced, exact))
    if routes.implicit:
        names |= dict.fromkeys(f"{name}/{model}" for name, models in priced.items() for model in models)
    cards: dict[str, Card] = {}
    for name in sorted(names)[:NAMES_MAX]:
        if not access.may_call_all(name, key.model_lists):
            continue
        route = table.resolve(routes, name)
        if route is None or not may_go(route):
            continue
        first = route.deployments[0]
        provider, upstream = first.provider, first.upstream_model
        if name not in routes.models and upstream not in priced[provider.name]:
            continue  # the name leads elsewhere than where it was found
        info = catalog.info(provider.pricing_id, upstream) if provider.pricing_id else None
        window = info.context_window if info is not None else None
        owner = "switchgear" if name in routes.models else provider.name
        cards[name] = Card(name, owner, window, max_output_tokens=output_tokens_max(upstream))
    for name, entry in routes.models.items():
        if entry.alias in cards and name in cards:
            known = cards[entry.alias]
            cards[entry.alias] = msgspec.structs.replace(known, aliases=(*known.aliases, name))
    return cards


def _priced(snapshot: Snapshot, provider: ProviderEntry, catalog: Catalog) -> dict[str, None]:
    """Return the models of a provider whose price is known."""
    found = dict.fromkeys(info.id for info in catalog.models(provider.pricing_id)) if provider.pricing_id else {}
    start = provider.name + "/"
    return found | dict.fromkeys(name[len(start) :] for name in snapshot.price_overrides if name.startswith(start))


def _derived(models: dict[str, ModelEntry], priced: dict[str, dict[str, None]], exact: Iterable[str]) -> Iterator[str]:
    """Yield the names that patterns give to priced models, and to other names."""
    known = list(exact)
    for name, entry in models.items():
        for deployment in entry.deployments if pattern.is_pattern(name) else ():
            if pattern.is_pattern(deployment.model):
                known += _renamed(deployment.model, name, priced.get(deployment.provider, ()))
    for _ in range(ALIAS_ROUNDS):
        for name, entry in models.items():
            if entry.alias is not None and pattern.is_pattern(name) and pattern.is_pattern(entry.alias):
                known += _renamed(entry.alias, name, known[:NAMES_MAX])
    yield from known


def _renamed(target: str, name: str, found: Iterable[str]) -> list[str]:
    """Return the names of a pattern that lead to what is found behind it."""
    captured = (pattern.captures(target, one) for one in found)
    renamed = (pattern.carry(name, stars) for stars in captured if stars is not None)
    return [one for one in renamed if not pattern.is_pattern(one)]
