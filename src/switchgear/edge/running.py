"""The requests that an edge has sent on and not settled. Level 4."""

from collections.abc import Callable

from switchgear.core.clock import Clock
from switchgear.core.guard import each
from switchgear.core.problems import Problem
from switchgear.edge.context import RequestContext


class Running:
    """One per edge."""

    def __init__(self, clock: Clock, keeps_contexts: bool = False) -> None:
        """`keeps_contexts`: an access log will look at what is settled."""
        self._clock = clock
        self._keeps_contexts = keeps_contexts
        self._contexts: dict[str, RequestContext] = {}
        self.now_s = clock.monotonic_s()
        """When they were last checked: the clock, a second late at most."""
        self.is_draining = False
        """True while the edge stops: what runs is finished, and others are told to go elsewhere."""

    def __len__(self) -> int:
        return len(self._contexts)

    def add(self, context: RequestContext) -> None:
        """A request is reserved: until `settled` its body is kept for further attempts."""
        context.exchange.is_kept = True
        self._contexts[context.id] = context

    def settled(self, context: RequestContext) -> None:
        """A request ended: let go of what it held."""
        self._contexts.pop(context.id, None)
        context.transfer = None  # it holds the context: without the cycle both end here, without the collector
        exchange = context.exchange
        if not self._keeps_contexts or context.client_gone:
            exchange.context = None
        exchange.is_kept = False
        exchange.release()

    def check(self) -> None:
        """Enforce what has no event: clients that are gone, deadlines, pings, checkpoints."""
        now_s = self.now_s = self._clock.monotonic_s()

        def check(context: RequestContext) -> None:
            if context.transfer is not None:
                context.transfer.check(now_s)

        each(self._contexts.values(), check, _fault)

    def cut(self, check: Callable[[RequestContext], Problem | None]) -> None:
        """End the requests for which `check` says why."""

        def look(context: RequestContext) -> None:
            problem = check(context)
            if problem is not None and context.transfer is not None:
                context.transfer.cut(problem)

        each(self._contexts.values(), look, _fault)

    def interrupt(self, message: str) -> None:
        """End what is left when the drain is over."""

        def interrupt(context: RequestContext) -> None:
            if context.transfer is not None:
                context.transfer.interrupt(message)

        each(self._contexts.values(), interrupt, _fault)


def _fault(context: RequestContext, exc: Exception) -> None:
    if context.transfer is not None:
        context.transfer.on_fault(exc)
