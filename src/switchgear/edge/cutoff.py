"""Cuts requests off between their events: those of what was frozen, and those whose key ended while their bodies come. Level 4
(docs/invariants.md S2, S3)."""

from collections.abc import Iterable

from switchgear.core.guard import each
from switchgear.edge import standing
from switchgear.edge.context import RequestContext
from switchgear.edge.services import EdgeServices
from switchgear.net.exchange import Exchange
from switchgear.replica.entries import Snapshot

LOOK_S = 0.25
"""How often running requests are compared with what is frozen, and bodies under way with their keys."""


class CutOff:
    """One per edge."""

    def __init__(self, services: EdgeServices) -> None:
        self._services = services
        self._looked_at: Snapshot | None = None

    def look(self, arriving: Iterable[Exchange]) -> None:
        """Cut what was frozen since the last time, and let go of bodies whose keys may not send them any more. `arriving` is what
        the server holds whose turn has not come."""
        services = self._services
        services.resolver.states.heed(services.replica.health(), services.clock.monotonic_s(), services.clock.wall_ms())
        if len(services.uncertain):
            services.uncertain.look(services.replica, services.counters)
        snapshot = services.replica.snapshot()
        if snapshot is not None and snapshot is not self._looked_at:
            self._looked_at = snapshot
            if snapshot.freezes:
                self._cut(snapshot)
        each(arriving, self._check_arriving, Exchange.fault)

    def _cut(self, snapshot: Snapshot) -> None:
        resolver, now_ms = self._services.resolver, self._services.clock.wall_ms()
        self._services.running.cut(lambda context: standing.frozen(resolver, snapshot, context, now_ms))

    def _check_arriving(self, exchange: Exchange) -> None:
        context = exchange.context
        if exchange.is_answered or not isinstance(context, RequestContext) or context.key is None:
            return
        if context.transfer is not None:
            return
        problem = standing.still(self._services, context)
        if problem is not None:
            exchange.release()  # let it go at once: its client may not read the answer for long
            self._services.refusals.deny(context, problem)
