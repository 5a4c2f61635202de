"""Where a request's attempts go, decided without doing anything: the deployment now, those that are left, and whether a failure
is followed by another attempt. Level 4, pure.
"""

import math
from collections.abc import Iterable, Sequence

import msgspec

from switchgear.edge.resolver import PricedDeployment
from switchgear.edge.setback import Setback
from switchgear.routing import retry
from switchgear.routing.retry import RetryRules

_RULES = RetryRules()


class Move(msgspec.Struct, frozen=True):
    """What follows a failed attempt."""

    step: retry.Step
    pause_s: float = 0.0


FULL = "full"
"""Why a deployment is passed over, as `x-switchgear-fallback-reason` says it: a limit of its own has no room."""
BUDGET = "budget"
"""Why another model answers than was asked for: a budget that is spent leads there."""
GIVE_UP = Move("give_up")
FALLBACK = Move("fallback")


class Course:
    """The deployments of one request, in the order in which they are asked."""

    __slots__ = ("_left", "_retries_left", "current", "lasts_s", "number", "total_s")

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
        self.lasts_s = total_s
        """How long a provider may go on with what it was asked, and charge for it: the model's, no client says that."""

    @property
    def has_next(self) -> bool:
        """True while there is another deployment."""
        return bool(self._left)

    passed_over: Sequence[str] = ()
    """Deployments that were not asked although it was their turn, and why."""

    def go_on(self) -> bool:
        """Take the next deployment; False when there is none."""
        if not self._left:
            return False
        self.current = self._left.pop(0)
        return True

    def renew(self, deployments: Iterable[PricedDeployment]) -> None:
        """Take what is known of the deployments by now."""
        now = {one.deployment.id: one for one in deployments}
        self.current = now.get(self.current.deployment.id, self.current)
        self._left = [now.get(one.deployment.id, one) for one in self._left]

    def pass_over(self, why: str) -> bool:
        """Take the next deployment without asking the current one; False when there is none."""
        return self.go_on()

    def after(self, failure: Setback, may_go_on: bool, left_s: float = math.inf, lot: float = 1.0) -> Move:
        """Decide what follows a failure. `may_go_on` is False when time is up or the client is gone, `left_s` what is left of
        the time;
        `lot` (0 to 1) is drawn for the pause. A retry is counted."""
        return self._after(failure, may_go_on, left_s, lot, _RULES)

    def _after(self, failure: Setback, may_go_on: bool, left_s: float, lot: float, rules: RetryRules) -> Move:
        step = retry.next_step(
            status=failure.status,
            reason=failure.reason,
            retries_left=self._retries_left,
            has_next=bool(self._left),
            may_go_on=may_go_on and self.number < retry.ATTEMPTS_MAX,
            retry_after_s=failure.retry_after_s,
            left_s=left_s,
            on=rules.on,
        )
        if step == "retry":
            self._retries_left -= 1
            pause_s = retry.pause_s(rules, max(self.number, 1), lot)
            return Move(step, pause_s if failure.retry_after_s is None else failure.retry_after_s)
        return FALLBACK if step == "fallback" else GIVE_UP


class RoutedCourse(Course):
    """The course of a request whose model says more than an order: retries of its own, deployments for one kind of error only."""

    __slots__ = ("_rules", "_special", "client", "fallback_reason", "hedge_s", "is_probe", "passed_over", "tokens")

    def __init__(
        self,
        deployments: Iterable[PricedDeployment],
        retries_max: int,
        total_s: float,
        rules: RetryRules = _RULES,
        special: Sequence[PricedDeployment] = (),
        tokens: int = 0,
        client: str = "",
    ) -> None:
        """`special` are asked after the kind of error alone that they name (`only_after`)."""
        super().__init__(deployments, retries_max, total_s)
        self._rules = rules
        self._special = special
        self.fallback_reason: str | None = None
        """Why the current deployment is not the first one: a status, a failure or a kind of error."""
        self.tokens = tokens
        """Of input, about."""
        self.client = client
        """Who asks, as breakers know it."""
        self.is_probe = False
        """The first one is asked to see whether it is back."""
        self.passed_over: list[str] = []
        self.hedge_s: float | None = None
        """After so long without a first byte a second attempt is made; None: none."""

    def second(self) -> PricedDeployment:
        """Return where a second attempt beside the current one goes: to the next deployment, to the same where there is none."""
        return self._left[0] if self._left else self.current

    def renew(self, deployments: Iterable[PricedDeployment]) -> None:
        """As Course."""
        deployments = tuple(deployments)
        super().renew(deployments)
        now = {one.deployment.id: one for one in deployments}
        self._special = [now.get(one.deployment.id, one) for one in self._special]

    def drop(self, deployment: PricedDeployment) -> None:
        """A deployment has its attempt: it is not asked again."""
        self._left = [one for one in self._left if one is not deployment]

    def pass_over(self, why: str) -> bool:
        """As Course."""
        passed = self.current
        if not self.go_on():
            return False
        self.passed_over.append(f"{passed.deployment.id}: {why}")
        self.fallback_reason = self.fallback_reason or FULL
        return True

    def after(self, failure: Setback, may_go_on: bool, left_s: float = math.inf, lot: float = 1.0) -> Move:
        """As Course."""
        kind = failure.kind
        special = [one for one in self._special if kind is not None and one.deployment.only_after == kind]
        may_go_on = may_go_on and self.number < retry.ATTEMPTS_MAX
        if special and may_go_on:
            self._left, self._special = special, ()
            self.fallback_reason = kind
            return FALLBACK
        if kind is not None and self._left and self._left[0].deployment.only_after == kind and may_go_on:
            return FALLBACK  # the next one of those that are larger
        candidate = self.current.candidate
        if self._left and candidate is not None and candidate.state.is_open(self.client):
            self._retries_left = 0  # it was asked to see whether it is back, and is not
        move = self._after(failure, may_go_on, left_s, lot, self._rules)
        if move is FALLBACK:
            status = failure.status if failure.status is not None else failure.said[0] if failure.said else None
            self.fallback_reason = failure.reason or (str(status) if status is not None else "failed")
        return move
