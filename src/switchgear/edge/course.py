"""Where a request's attempts go, decided without doing anything: the deployment now, those that are left, and whether a failure
is followed by another attempt. Level 4, pure.
"""

from collections.abc import Iterable

import msgspec

from switchgear.edge.resolver import PricedDeployment
from switchgear.edge.setback import Setback
from switchgear.routing import retry

RETRY_PAUSE_S = 0.1


class Move(msgspec.Struct, frozen=True):
    """What follows a failed attempt."""

    step: retry.Step
    pause_s: float = 0.0


GIVE_UP = Move("give_up")
FALLBACK = Move("fallback")


class Course:
    """The deployments of one request, in the order in which they are asked."""

    __slots__ = ("_left", "_retries_left", "current", "number", "total_s")

    def __init__(self, deployments: Iterable[PricedDeployment], retries_max: int, total_s: float) -> None:
        """There is at least one deployment."""
        first, *self._left = deployments
        self.current: PricedDeployment = first
        """Where the current attempt goes."""
        self._retries_left = retries_max
        self.number = 0
        """Of the current attempt, from 1."""
        self.total_s = total_s
        """How long all attempts together may take."""

    @property
    def has_next(self) -> bool:
        """True while there is another deployment."""
        return bool(self._left)

    def go_on(self) -> bool:
        """Take the next deployment; False when there is none."""
        if not self._left:
            return False
        self.current = self._left.pop(0)
        return True

    def after(self, failure: Setback, may_go_on: bool) -> Move:
        """Decide what follows a failure. `may_go_on` is False when time is up or the client is gone. A retry is counted."""
        step = retry.next_step(
            status=failure.status,
            reason=failure.reason,
            retries_left=self._retries_left,
            has_next=bool(self._left),
            may_go_on=may_go_on and self.number < retry.ATTEMPTS_MAX,
            retry_after_s=failure.retry_after_s,
        )
        if step == "retry":
            self._retries_left -= 1
            return Move(step, RETRY_PAUSE_S if failure.retry_after_s is None else failure.retry_after_s)
        return FALLBACK if step == "fallback" else GIVE_UP
