"""The breakers of the node, made of what settlements tell of attempts, for all edges and for people. Level 5.

Each edge has breakers of its own (routing/states). These are fed by every edge's attempts as they are booked, and published in the
replica, where edges look four times a second: what one saw holds for all within about a second, and the path of a request has
nothing more to do (decision 064). Only what no client can bring about opens them: that a provider cannot be reached, or does not
know the credential. What else fails is known by client to each edge alone (routing/states). Where control is away, edges go by
what they see themselves.
"""

from collections.abc import Callable

from switchgear.control.deployments import Deployments
from switchgear.core import pattern
from switchgear.core.clock import Clock
from switchgear.core.ids import parts_of_deployment
from switchgear.ledger.batch import Batch
from switchgear.routing import table
from switchgear.routing.breaker import BreakerRules
from switchgear.routing.states import Health, Opened
from switchgear.routing.table import RouteTable

QUIET_MS = 3_600_000
"""An open breaker whose deployment nobody asks for so long is forgotten: nothing goes there any more."""
CLOSED_MS = 60_000
"""How long edges are told that a breaker closed."""
OPEN_MAX = 1_000


class Breakers:
    """Observer: follows the batches that are booked, behind Deployments."""

    def __init__(
        self,
        routes: Callable[[], RouteTable | None],
        deployments: Deployments,
        clock: Clock,
        put: Callable[[Health], object],
    ) -> None:
        """`put` publishes."""
        self._routes = routes
        self._deployments = deployments
        self._clock = clock
        self._put = put
        self._health = Health()
        self._judged: RouteTable | None = None
        self._rules: dict[tuple[str, str], BreakerRules] = {}

    def begin(self, health: Health) -> None:
        """Go on with what was published before."""
        self._health = health

    @property
    def open(self) -> dict[str, Opened]:
        """Return the breakers that are open, by deployment."""
        since_ms = self._clock.wall_ms() - QUIET_MS
        return {name: one for name, one in self._health.open.items() if one.tried_ms >= since_ms}

    def on_batch(self, batch: Batch) -> None:
        """Observer: open, close, and tell."""
        opened, closed = dict(self._health.open), {}
        for name, counted in batch.deployments.counts.items():
            known, before = self._deployments.get(name), opened.get(name)
            if known is None:
                continue
            if before is not None:
                good_ms = counted.last_good_start_ms
                if good_ms is not None and good_ms >= before.since_ms:
                    del opened[name]
                    closed[name] = counted.last_success_ms or good_ms
                elif (
                    (counted.hard_failures_in_row or counted.credential_unknown_in_row)
                    and counted.last_failure_ms is not None
                    and counted.last_failure_ms > before.tried_ms
                ):
                    opened[name] = Opened(before.reason, before.since_ms, counted.last_failure_ms)
                continue
            rules = self.rules_of(name) if known.failures_in_row and known.last_failure_ms is not None else None
            if rules is None or known.last_failure_ms is None or len(opened) >= OPEN_MAX:
                continue
            if known.credential_unknown_in_row:
                opened[name] = Opened("credential", known.last_failure_ms, known.last_failure_ms)
            elif known.hard_failures_in_row >= rules.failures:
                opened[name] = Opened("failures", known.last_failure_ms, known.last_failure_ms)
        if opened != self._health.open:
            now_ms = self._clock.wall_ms()
            kept = {
                name: at for name, at in self._health.closed.items() if at >= now_ms - CLOSED_MS and name not in opened
            }
            opened = {name: one for name, one in opened.items() if one.tried_ms >= now_ms - QUIET_MS}
            self._health = Health(opened, {**kept, **closed})
            self._put(self._health)

    def rules_of(self, deployment: str) -> BreakerRules | None:
        """Return the rules of a deployment, of several models the most patient ones; None where no model has another place
        beside it, so
        that it has no breaker."""
        routes = self._routes()
        if routes is not self._judged:
            self._judged = routes
            self._rules = _rules(routes) if routes is not None else {}
        parts = parts_of_deployment(deployment)
        if parts is None:
            return None
        provider, model, _ = parts
        return self._rules.get((provider, model)) or next(
            (
                rules
                for (name, wanted), rules in self._rules.items()
                if name == provider and "*" in wanted and pattern.matches(wanted, model)
            ),
            None,
        )


def _rules(routes: RouteTable) -> dict[tuple[str, str], BreakerRules]:
    found: dict[tuple[str, str], BreakerRules] = {}
    for name in routes.models:
        route = table.resolve(routes, name)
        for deployment in route.deployments if route is not None and len(route.deployments) > 1 else ():
            place = (deployment.provider.name, deployment.upstream_model)
            known = found.get(place)
            if known is None or route.breaker.failures > known.failures:  # type: ignore[union-attr]
                found[place] = route.breaker  # type: ignore[union-attr]
    return found
