"""In which order the deployments of a model are asked, for each request anew. Level 1.

A strategy orders one tier: a lower tier is always asked before a higher one. STRATEGIES has all; a configuration names
one of them. An order changes nothing and remembers nothing, so it is tested with values alone.
"""

import itertools
from collections.abc import Callable, Sequence

import msgspec

from switchgear.routing.table import Deployment


class Occasion(msgspec.Struct, frozen=True):
    """What an order may go by, beside the deployments."""

    seed: int
    """A number of the request's own: it spreads requests, and the same request is ordered alike."""
    now_ms: int


Order = Callable[[Sequence[Deployment], Occasion], Sequence[int]]
"""Gets the deployments of a tier as configured; returns their positions in the order in which they are asked. One that is left out
is not asked."""


def ordered(tier: Sequence[Deployment], occasion: Occasion) -> Sequence[int]:
    """As configured."""
    return range(len(tier))


def first(tier: Sequence[Deployment], occasion: Occasion) -> Sequence[int]:
    """The first alone: no second try. Of raw paths, which no configuration gives a strategy."""
    return (0,)


STRATEGIES: dict[str, Order] = {"ordered": ordered}
DEFAULT = "ordered"


def order_of(strategy: str, deployments: Sequence[Deployment]) -> Order | None:
    """Return what orders them; None where nothing is to be decided per request. A strategy that this version does not know orders
    nothing: another version wrote the routes."""
    order = STRATEGIES.get(strategy, ordered)
    return None if order is ordered or len(deployments) < 2 else order


def arrange(order: Order, deployments: Sequence[Deployment], occasion: Occasion) -> list[int]:
    """Return the positions of deployments in the order in which they are asked, tier by tier."""
    positions: list[int] = []
    for _, group in itertools.groupby(range(len(deployments)), lambda position: deployments[position].tier):
        tier = list(group)
        positions += [tier[place] for place in order([deployments[position] for position in tier], occasion)]
    return positions
