"""Requests that wait for something within this edge: for another's answer, or for room under a limit. Level 4.

Bounded in number and in bytes. Whoever waits is woken by what it waits for; here it is looked after meanwhile: a client that
leaves leaves the queue, a deadline is kept, and a gateway that stops answers everybody.
"""

from collections.abc import Callable

import msgspec

from switchgear.core import problems
from switchgear.core.guard import each
from switchgear.core.problems import Problem
from switchgear.edge.context import RequestContext

WAITERS_MAX = 4_096
"""An exchange, its context and its translation take some 10 KB."""
WAITING_BYTES_MAX = 64 * 1024 * 1024
"""Of bodies of those that wait; each is counted by the server as well."""
TOO_MANY = Problem(problems.OVERLOADED, "too many requests wait already; try again in a moment", None, 1)


class _Waiter(msgspec.Struct, eq=False):
    context: RequestContext
    until_s: float
    late: Problem | Callable[[], Problem]
    left: Callable[[], None]


class WaitingRoom:
    """One per edge."""

    def __init__(
        self, refuse: Callable[[RequestContext, Problem], None], let_go: Callable[[RequestContext], None]
    ) -> None:
        """`refuse` ends a request, `let_go` one whose client left; both give back what it holds."""
        self._refuse, self._let_go = refuse, let_go
        self._waiters: dict[str, _Waiter] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._waiters)

    def enter(
        self,
        context: RequestContext,
        until_s: float,
        late: Problem | Callable[[], Problem],
        left: Callable[[], None],
        is_bounded: bool = True,
    ) -> Problem | None:
        """Wait, until `leave` or a time of the clock: then `late` is what the client is told. `left` is called where it goes
        without having been woken. Returns why it cannot wait: too many do. Not `is_bounded`: what waits for a moment only."""
        self.leave(context)
        if is_bounded and (len(self._waiters) >= WAITERS_MAX or self._bytes + context.bytes_in > WAITING_BYTES_MAX):
            return TOO_MANY
        self._waiters[context.id] = _Waiter(context, until_s, late, left)
        self._bytes += context.bytes_in
        return None

    def leave(self, context: RequestContext) -> bool:
        """It is woken, or goes. False where it did not wait."""
        waiter = self._waiters.pop(context.id, None)
        if waiter is not None:
            self._bytes -= waiter.context.bytes_in
        return waiter is not None

    def check(self, now_s: float) -> None:
        """Let go of those whose client left or whose time is over: once a second."""
        each(list(self._waiters.values()), lambda waiter: self._check(waiter, now_s), _fault)

    def _check(self, waiter: _Waiter, now_s: float) -> None:
        context = waiter.context
        if context.client_gone or context.exchange.is_ended:
            self._go(waiter)
            self._let_go(context)
        elif now_s >= waiter.until_s:
            self._go(waiter)
            self._refuse(context, waiter.late if isinstance(waiter.late, Problem) else waiter.late())

    def _go(self, waiter: _Waiter) -> None:
        if self.leave(waiter.context):
            waiter.left()

    def interrupt(self, message: str) -> None:
        """The gateway stops: tell everybody."""

        def interrupt(waiter: _Waiter) -> None:
            self._go(waiter)
            self._refuse(waiter.context, Problem(problems.INTERRUPTED, message))

        each(list(self._waiters.values()), interrupt, _fault)


def _fault(waiter: _Waiter, exc: Exception) -> None:
    waiter.context.exchange.fault(exc)
