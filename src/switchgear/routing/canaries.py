"""Deployments that a share of the sessions tries first, and nobody else. Level 1, pure.

Who tries one is drawn by the session (where nothing is said of one, by the request), so that a conversation stays where it began. A
session that is drawn at 5 % is drawn at 10 % as well: raising the share of a tier's only canary moves nobody back. A canary that is
unfit or fails is passed over like any other deployment; the other sessions never go there, also not where everything else fails.
"""

import itertools
import zlib
from collections.abc import Sequence

from switchgear.routing.strategies import Candidate, Occasion, unit

NOT_DRAWN = "it is a canary, of other sessions"


def place(positions: Sequence[int], candidates: Sequence[Candidate], occasion: Occasion) -> tuple[list[int], list[int]]:
    """Put the canary that is drawn at the head of its tier. Returns the positions in their order, and the canaries that are not
    drawn. `positions` are those of `candidates`, tier by tier."""
    placed: list[int] = []
    others: list[int] = []
    seed = zlib.crc32(occasion.session.encode()) if occasion.session else occasion.seed
    for _, group in itertools.groupby(positions, lambda position: candidates[position].tier):
        tier = list(group)
        canaries = sorted(position for position in tier if candidates[position].canary is not None)
        drawn = _drawn(canaries, candidates, seed) if canaries else None
        placed += [] if drawn is None else [drawn]
        placed += [position for position in tier if candidates[position].canary is None]
        others += [position for position in canaries if position != drawn]
    return placed, others


def _drawn(canaries: Sequence[int], candidates: Sequence[Candidate], seed: int) -> int | None:
    lot = unit(seed, candidates[canaries[0]].number)  # by the first one's name: other models draw other sessions
    reached = 0.0
    for position in canaries:
        reached += candidates[position].canary or 0.0
        if lot < reached:
            return position
    return None
