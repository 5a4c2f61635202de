"""Which ways lead to a model that is frozen. Level 1.

A frozen name stops the model behind it, by whatever name it is asked for: the name itself and what it is an alias of, every
alias and pattern that leads there, and every deployment of it, also where another model, a fallback or `provider/model` would
reach it. A deployment is known by its provider and upstream model. The fallbacks of a frozen model are not frozen; a request
for it is refused all the same.
"""

from collections.abc import Iterable

import msgspec

from switchgear.core import pattern
from switchgear.routing import table
from switchgear.routing.table import Deployment, RouteTable


class FrozenModels(msgspec.Struct, frozen=True):
    """Names and deployments (`provider/upstream model`) that are stopped; those with a `*` as patterns."""

    names: frozenset[str] = frozenset()
    name_patterns: tuple[str, ...] = ()
    places: frozenset[str] = frozenset()
    place_patterns: tuple[str, ...] = ()

    def stops_name(self, names: Iterable[str]) -> bool:
        """Tell whether one of the names that a request goes through is frozen."""
        return any(
            name in self.names or any(pattern.matches(one, name) for one in self.name_patterns) for name in names
        )

    def stops_deployment(self, deployment: Deployment) -> bool:
        """Tell whether a deployment is one of a frozen model."""
        place = f"{deployment.provider.name}/{deployment.upstream_model}"
        return place in self.places or any(pattern.matches(one, place) for one in self.place_patterns)


def frozen_models(routes: RouteTable, frozen: Iterable[str]) -> FrozenModels:
    """Work out what the freezing of these names stops. A name that is a pattern (`*` alone is special) stops what it
    matches; a name that nothing answers to stops itself, for when it appears."""
    names: set[str] = set()
    places: set[str] = set()
    for name in frozen:
        passed, entry, captured = table.trace(routes, name)
        names.add(name)
        # Through a pattern only the one name is frozen, not all that the pattern serves.
        names.update(other for other in passed if "*" not in other)
        for deployment in entry.deployments if entry is not None else ():
            upstream = deployment.model
            if "*" not in name:
                upstream = pattern.carry(upstream, captured)
            places.add(f"{deployment.provider}/{upstream}")
        if "*" in name:
            places.add(name)
    return FrozenModels(_plain(names), _patterns(names), _plain(places), _patterns(places))


def _plain(texts: set[str]) -> frozenset[str]:
    return frozenset(text for text in texts if "*" not in text)


def _patterns(texts: set[str]) -> tuple[str, ...]:
    return tuple(sorted(text for text in texts if "*" in text))
