"""In which order the deployments of a model are asked, for each request anew. Level 1.

A strategy orders one tier: a lower tier is always asked before a higher one. STRATEGIES has all; a configuration names
one of them. An order changes nothing and remembers nothing, so it is tested with values alone.
"""

import itertools
import math
import zlib
from collections.abc import Callable, Sequence

import msgspec

from switchgear.pricing.price import Pricer
from switchgear.routing.breaker import BreakerRules
from switchgear.routing.conditions import When
from switchgear.routing.states import DeploymentState
from switchgear.routing.table import Deployment

EXPLORED = 0.05
"""The share of requests that `lowest_latency` sends by weight, so that a deployment that was slow once is measured again."""
ALIKE = 1.1
"""Deployments whose times differ by less share the requests: else all edges would run to the same one."""
_MASK = (1 << 64) - 1
_EXPLORING = 1 << 40
"""No candidate's number: those have 32 bits."""


class Candidate(msgspec.Struct, frozen=True, eq=False):
    """A deployment as strategies see it."""

    name: str
    """`provider/model@credential`."""
    number: int
    """Made of its name: its part in what is drawn by lot."""
    state: DeploymentState
    tier: int = 0
    weight: float = 1.0
    strategy: str = "ordered"
    """Of the model that it stands in; neighbours of one tier have the same."""
    pricer: Pricer | None = None
    when: When | None = None
    rules: BreakerRules = BreakerRules()
    canary: float | None = None
    """The share of the sessions that try it first, the only ones that do; None: it is no canary (routing/canaries)."""
    context_window: int | None = None
    """Tokens that its model takes, where that is known and somebody asks."""


class Occasion(msgspec.Struct, frozen=True):
    """What an order may go by, beside the deployments."""

    seed: int
    """A number of the request's own: it spreads requests, and the same request is ordered alike."""
    now_ms: int
    now_s: float = 0.0
    """Of the clock that states go by."""
    session: str = ""
    """What belongs together: a session, else the client's user; "" where nothing is said."""
    input_tokens: int = 0
    """About how long the request is."""
    output_tokens: int = 0
    """How long its answer may become; 0: not said."""
    is_stream: bool = False
    client: str = ""
    """Who asks: a team, else a key."""


Order = Callable[[Sequence[Candidate], Occasion], Sequence[int]]
"""Gets the deployments of a tier as configured; returns their positions in the order in which they are asked. One that is left out
is not asked."""


def ordered(tier: Sequence[Candidate], occasion: Occasion) -> Sequence[int]:
    """As configured."""
    return range(len(tier))


def first(tier: Sequence[Candidate], occasion: Occasion) -> Sequence[int]:
    """The first alone: no second try. Of raw paths, which no configuration gives a strategy."""
    return (0,)


def weighted(tier: Sequence[Candidate], occasion: Occasion) -> Sequence[int]:
    """By lot: each is the first in proportion to its weight, and the next one among the rest likewise."""
    return _by_lot(tier, occasion.seed)


def least_busy(tier: Sequence[Candidate], occasion: Occasion) -> Sequence[int]:
    """The one with the fewest attempts under way for its weight; by lot among equals."""
    lots = _lots(tier, occasion.seed)
    return sorted(range(len(tier)), key=lambda place: (tier[place].state.active / tier[place].weight, lots[place]))


def lowest_latency(tier: Sequence[Candidate], occasion: Occasion) -> Sequence[int]:
    """The one whose answers began soonest lately. One that nobody measured yet is asked first, by one request at a time; a share of
    the requests goes by weight."""
    lots = _lots(tier, occasion.seed)
    if unit(occasion.seed, _EXPLORING) < EXPLORED:
        return sorted(range(len(tier)), key=lots.__getitem__)
    times = [one.state.time_s(occasion.is_stream) for one in tier]
    known = [time for time in times if time is not None]
    best = min(known, default=0.0) * ALIKE

    def rank(place: int) -> tuple[float, float]:
        time = times[place]
        if time is None:
            return (-1.0 if tier[place].state.active == 0 else math.inf, lots[place])
        return (0.0 if time <= best else time, lots[place])

    return sorted(range(len(tier)), key=rank)


def lowest_cost(tier: Sequence[Candidate], occasion: Occasion) -> Sequence[int]:
    """The one where this request costs least, by its length and what its answer may become; as configured among equals, those
    without
    a known price last."""
    output = occasion.output_tokens or max(occasion.input_tokens // 4, 1)

    def cost(place: int) -> float:
        pricer = tier[place].pricer
        nano = pricer.expect(max(occasion.input_tokens, 1), output) if pricer is not None else None
        return math.inf if nano is None else nano

    return sorted(range(len(tier)), key=cost)


def sticky(tier: Sequence[Candidate], occasion: Occasion) -> Sequence[int]:
    """What belongs together goes to the same one, for the sake of its prompt cache: rendezvous hashing (Thaler and Ravishankar,
    1998),
    by weight, without a table. When one is passed over, its sessions alone move. By lot where nothing belongs together."""
    return _by_lot(tier, zlib.crc32(occasion.session.encode()) if occasion.session else occasion.seed)


STRATEGIES: dict[str, Order] = {"ordered": ordered}
STRATEGIES |= {one.__name__: one for one in (weighted, least_busy, lowest_latency, lowest_cost, sticky)}
DEFAULT = "ordered"


def order_of(strategy: str, deployments: Sequence[Deployment]) -> Order | None:
    """Return what orders them; None where nothing is to be decided per request. A strategy that this version does not know orders
    nothing: another version wrote the routes."""
    if len(deployments) < 2 and not any(one.when is not None or one.canary is not None for one in deployments):
        return None
    return STRATEGIES.get(strategy, ordered)


def candidate_of(
    deployment: Deployment,
    state: DeploymentState,
    pricer: Pricer | None,
    rules: BreakerRules,
    context_window: int | None = None,
) -> Candidate:
    """Return a deployment as strategies see it."""
    return Candidate(
        deployment.id,
        zlib.crc32(deployment.id.encode()),
        state,
        deployment.tier,
        deployment.weight,
        deployment.strategy,
        pricer,
        deployment.when,
        rules,
        deployment.canary,
        context_window,
    )


def arrange(order: Order, candidates: Sequence[Candidate], occasion: Occasion) -> list[int]:
    """Return the positions of deployments in the order in which they are asked, tier by tier. `order` is the first tier's;
    models to
    fall back on have their own."""
    positions: list[int] = []
    leading = candidates[0].strategy if candidates else DEFAULT
    for _, group in itertools.groupby(range(len(candidates)), lambda position: candidates[position].tier):
        places = list(group)
        tier = [candidates[position] for position in places]
        strategy = tier[0].strategy
        by = order if strategy == leading else STRATEGIES.get(strategy, ordered)
        positions += [places[place] for place in by(tier, occasion)]
    return positions


def _by_lot(tier: Sequence[Candidate], seed: int) -> list[int]:
    lots = _lots(tier, seed)
    return sorted(range(len(tier)), key=lots.__getitem__)


def _lots(tier: Sequence[Candidate], seed: int) -> list[float]:
    """Draw for each a time, exponential with its weight as the rate: each has the least one with the chance of its share."""
    return [-math.log(unit(seed, one.number)) / one.weight for one in tier]


def unit(seed: int, number: int) -> float:
    """Return a number between 0 and 1 (both excluded) that looks random and is the same for the same two: SplitMix64's finisher
    (Steele, Lea and Flood, 2014)."""
    mixed = (seed * 0x9E3779B97F4A7C15 + number * 0xD1B54A32D192ED03 + 0x632BE59BD9B4E019) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return (((mixed ^ (mixed >> 31)) >> 11) + 0.5) / (1 << 53)
