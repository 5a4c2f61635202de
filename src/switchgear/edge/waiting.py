"""Requests that wait for something within this edge: for another's answer, or for room under a limit. Level 4.

Bounded in number and in bytes, in all and for each key: a key may have as many as there is room left for others, so that one alone
takes half of it and there is always room for who comes new (the dynamic thresholds of Choudhury and Hahne, IEEE/ACM ToN 6(2), 1998,
with alpha 1). Whoever waits is woken by what it waits for; here it is looked after meanwhile: a client that
leaves leaves the queue, a deadline is kept, and a gateway that stops answers everybody.
"""

from collections import Counter
from collections.abc import Callable

import msgspec

from switchgear.core import problems
from switchgear.core.guard import each
from switchgear.core.problems import Problem
from switchgear.core.steps import Steps
from switchgear.edge.context import RequestContext

WAITERS_MAX = 4_096
"""An exchange, its context and its translation take some 10 KB."""
WAITING_BYTES_MAX = 64 * 1024 * 1024
"""Of bodies of those that wait; each is counted by the server as well."""
TOO_MANY = Problem(problems.OVERLOADED, "too many requests wait already; try again in a moment", None, 1)


AT_ONCE = 16
"""Of those whose time is over: a refusal takes a tenth of a millisecond."""


class _Waiter(msgspec.Struct, eq=False):
    context: RequestContext
    whose: str
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
        self._waiters_of: Counter[str] = Counter()
        self._bytes_of: Counter[str] = Counter()

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
        whose = _whose(context)
        if is_bounded and not self._has_room(whose, context.bytes_in):
            return TOO_MANY
        self._waiters[context.id] = _Waiter(context, whose, until_s, late, left)
        self._bytes += context.bytes_in
        self._waiters_of[whose] += 1
        self._bytes_of[whose] += context.bytes_in
        return None

    def _has_room(self, whose: str, size: int) -> bool:
        """Tell whether one more of a key may wait: no more of it than there is room for others."""
        return (
            len(self._waiters) + self._waiters_of.get(whose, 0) < WAITERS_MAX
            and self._bytes + self._bytes_of.get(whose, 0) + size <= WAITING_BYTES_MAX
        )

    def leave(self, context: RequestContext) -> bool:
        """It is woken, or goes. False where it did not wait."""
        waiter = self._waiters.pop(context.id, None)
        if waiter is None:
            return False
        whose = waiter.whose
        self._bytes -= waiter.context.bytes_in
        self._waiters_of[whose] -= 1
        self._bytes_of[whose] -= waiter.context.bytes_in
        if not self._waiters_of[whose]:
            del self._waiters_of[whose], self._bytes_of[whose]
        return True

    def check(self, now_s: float) -> Steps[None]:
        """Let go of those whose client left or whose time is over: once a second, a few at a time, so that many of one moment
        do not stop the loop."""
        over = [waiter for waiter in self._waiters.values() if _is_over(waiter, now_s)]
        for begin in range(0, len(over), AT_ONCE):
            if begin:
                yield
            each(over[begin : begin + AT_ONCE], lambda waiter: self._check(waiter, now_s), _fault)

    def _check(self, waiter: _Waiter, now_s: float) -> None:
        context = waiter.context
        if self._waiters.get(context.id) is not waiter:
            return  # it was woken meanwhile
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


def _is_over(waiter: _Waiter, now_s: float) -> bool:
    context = waiter.context
    return context.client_gone or context.exchange.is_ended or now_s >= waiter.until_s


def _whose(context: RequestContext) -> str:
    return context.key.id if context.key is not None else ""
