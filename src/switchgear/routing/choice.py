"""Which deployments a request goes to, in which order, and why not to the others. Level 1, pure.

The strategy orders each tier; conditions leave out what the request is not for; what is unfit just now (an open breaker, a limit
of the
provider's own) is left out as long as anything else is there. When nothing else is, all are asked in their order: the gateway
refuses
nobody for what it only believes.
"""

from collections.abc import Sequence

import msgspec

from switchgear.routing import canaries, conditions, strategies
from switchgear.routing.conditions import Traits
from switchgear.routing.states import StateBook
from switchgear.routing.strategies import Candidate, Occasion, Order

WHY = {
    "open": "its breaker is open",
    "paused": "it said 429, and for how long",
    "limited": "its provider's own rate limit has no room",
}


class Choice(msgspec.Struct, frozen=True):
    """Positions of candidates."""

    positions: list[int]
    """In the order in which they are asked."""
    left_out: dict[int, str]
    """Why the others are not."""
    probe: int | None = None
    """The one that is asked first to see whether it is back."""


def needs_context(candidates: Sequence[Candidate], tokens: int) -> bool:
    """Tell whether so many tokens, of a request and its answer, are more than the least of the known context windows of the first
    tier whose deployments are not only there for such requests."""
    others = [one for one in candidates if one.when is None or conditions.CONTEXT not in (one.when.needs or ())]
    windows = [one.context_window for one in others if one.tier == others[0].tier and one.context_window is not None]
    return bool(windows) and tokens > min(windows)


def choose(
    order: Order, candidates: Sequence[Candidate], occasion: Occasion, traits: Traits, book: StateBook
) -> Choice:
    """Decide. Positions are empty where the conditions of all speak against the request."""
    placed, others = canaries.place(strategies.arrange(order, candidates, occasion), candidates, occasion)
    left_out: dict[int, str] = dict.fromkeys(others, canaries.NOT_DRAWN)
    fitting = []
    for position in placed:
        one = candidates[position]
        wrong = None if one.when is None else conditions.mismatch(one.when, traits)
        if wrong is not None:
            left_out[position] = wrong
        else:
            fitting.append(position)
    now_s = occasion.now_s
    unfit = {}
    for position in fitting:
        why = candidates[position].state.unfit(now_s, occasion.input_tokens, occasion.client)
        if why is not None:
            unfit[position] = why
    fit = [position for position in fitting if position not in unfit]
    if not fit or not unfit:
        return Choice(fitting, left_out)
    leading = candidates[fit[0]].tier
    probe = None
    for position, why in unfit.items():
        one = candidates[position]
        if (
            probe is None
            and one.tier <= leading
            and one.state.may_probe(why, now_s, book.probe_s(one.rules), occasion.client)
        ):
            probe = position
        else:
            left_out[position] = WHY[why]
    return Choice(fit if probe is None else [probe, *fit], left_out, probe)
