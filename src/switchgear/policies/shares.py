"""Shares of one limit: what a class of requests is guaranteed when others want it, and may borrow when they do not. Level 1, pure.

A class within its guarantee may take whatever is free; beyond it, it may take what no other class that wants something is still
owed. So nothing is kept for a class that asks for nothing, and what was lent comes back as it becomes free: slots when their
requests end, requests and tokens when they leave the window. The limit itself holds whatever the classes do.
"""

import math
from collections.abc import Container, Mapping

OTHERS = ""
"""The class of those that no share is for: it is guaranteed nothing."""


def guarantees(limit: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Return how much of a limit each class is guaranteed: whole units, rounded down, so together never more than the limit."""
    return {name: math.floor(limit * share + 1e-9) for name, share in shares.items()}


def room(
    limit: int, owed: Mapping[str, int], used: Mapping[str, int], wanting: Container[str], mine: str, amount: int
) -> int:
    """Return how much of the limit may be in use once a request of the class `mine` has its `amount`. `owed` are the guarantees,
    `used` is what each class uses, `wanting` which ones asked lately."""
    if used.get(mine, 0) + amount <= owed.get(mine, 0):
        return limit
    kept = (max(0, most - used.get(name, 0)) for name, most in owed.items() if name != mine and name in wanting)
    return limit - sum(kept)
