"""A request as an example, and the order in which its deployments would be asked. Level 5.

The same code decides as in an edge (routing/choice), by the breakers that all edges share. What one edge alone knows, how busy
and how
fast deployments are and what a provider said is left, is not known here: strategies that go by it are shown with nothing measured.
"""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from switchgear.core.key_policy import DEPLOYMENT
from switchgear.pricing.price import Pricer
from switchgear.routing import choice, conditions, strategies
from switchgear.routing.conditions import Traits
from switchgear.routing.states import Opened, StateBook
from switchgear.routing.strategies import Occasion
from switchgear.routing.table import Deployment, Route


class Sample(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is said of a request."""

    model: str
    key: str | None = None
    """Name or id of the key that asks."""
    tags: list[str] = []
    session: str = ""
    """What belongs together: a session, or the client's user."""
    input_tokens: int = 0
    output_tokens: int = 0
    needs: list[str] = []
    """images, tools, json_schema, context."""
    stream: bool = False
    seed: str = ""
    """Another text, another lot: of strategies that draw one."""


def arranged(
    sample: Sample,
    route: Route,
    pricers: Sequence[Pricer | None],
    opened: Mapping[str, Opened],
    asker: tuple[str, str | None, Sequence[str], Mapping[str, str]],
    now_ms: int,
    windows: Sequence[int | None] = (),
) -> list[dict[str, Any]]:
    """Return for each deployment of a route as which one it is asked, or why not. `asker` is the key's name, team, tags and what it
    requires; `pricers` are the deployments', `windows` their context windows where known."""
    name, team, tags, required = asker
    if DEPLOYMENT in required:
        route = msgspec.structs.replace(route, deployments=tuple(one.unconditional() for one in route.deployments))
    book, now_s = StateBook(), now_ms / 1_000
    for deployment, one in opened.items():
        breaker = book.of(deployment).breaker
        breaker.open(one.reason, one.since_ms / 1_000)
        breaker.tried_s = one.tried_ms / 1_000
    order = strategies.order_of(route.strategy, route.deployments) or strategies.ordered
    places = [n for n, one in enumerate(route.deployments) if _excluded(one, route, required) is None]
    candidates = [
        strategies.candidate_of(
            route.deployments[n],
            book.of(route.deployments[n].id),
            pricers[n],
            route.breaker,
            windows[n] if windows else None,
        )
        for n in places
    ]
    occasion = Occasion(
        zlib.crc32(sample.seed.encode()),
        now_ms,
        now_s,
        sample.session,
        sample.input_tokens,
        sample.output_tokens,
        sample.stream,
    )
    needs = set(sample.needs)
    if choice.needs_context(candidates, sample.input_tokens + sample.output_tokens):
        needs.add(conditions.CONTEXT)
    traits = Traits(name, team, frozenset((*tags, *sample.tags)), sample.input_tokens, frozenset(needs))
    chosen = choice.choose(order, candidates, occasion, traits, book)
    found: list[dict[str, Any]] = [
        {
            "deployment": one.id,
            "tier": one.tier,
            "weight": one.weight,
            "breaker": opened[one.id].reason if one.id in opened and len(route.deployments) > 1 else "closed",
            "place": None,
            "left_out": _excluded(one, route, required),
        }
        for one in route.deployments
    ]
    for place, position in enumerate(chosen.positions, 1):
        found[places[position]]["place"] = place
    for position, why in chosen.left_out.items():
        found[places[position]]["left_out"] = why
    return found


def _excluded(deployment: Deployment, route: Route, required: Mapping[str, str]) -> str | None:
    """Say why a deployment is none for any request of this key."""
    lacking = conditions.lacks(route.require, deployment.labels) or conditions.lacks(required, deployment.labels)
    if lacking is None and deployment.only_after is not None:
        return f"only after an error of {deployment.only_after}"
    return lacking
