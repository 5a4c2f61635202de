"""Requests that wait for room under a limit instead of being refused (`limits.wait_s`). Level 4.

One line for each bucket that is full, first come first served within this edge; there is no queue between processes. The first of a
line asks again when its limit says that there may be room, and whoever comes later stands behind it. What waits holds nothing.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable

import msgspec

from switchgear.core import problems
from switchgear.core.clock import Clock, Loop
from switchgear.core.problems import Problem
from switchgear.edge.context import Lack, RequestContext
from switchgear.edge.waiting import WaitingRoom
from switchgear.policies.limits import Why

ASK_S_MIN = 0.01
ASK_S_MAX = 1.0
"""A limit may be raised, or corrected, before the time that it says."""
SLOT_S = 0.025
"""How often the first of a line looks for a slot: nobody tells when one is free in another process."""


class Place(msgspec.Struct, eq=False):
    """One request's in a line."""

    queue: "LimitQueue"
    context: RequestContext
    bucket: str
    since_s: float
    until_s: float
    problem: Problem
    """What it was told last, or would be."""

    def leave(self) -> None:
        """It goes, with or without room."""
        self.queue.leave(self)


class LimitQueue:
    """One per edge. `resume` lets a request ask again."""

    def __init__(
        self, wait_s: float, room: WaitingRoom, clock: Clock, loop: Loop, resume: Callable[[RequestContext], None]
    ) -> None:
        self.wait_s = wait_s
        """How long a request waits at most; 0: not at all."""
        self._room, self._clock, self._loop, self._resume = room, clock, loop, resume
        self._lines: dict[str, OrderedDict[Place, None]] = {}
        self.waited = 0
        """Requests that waited, since it was last taken."""

    @property
    def is_empty(self) -> bool:
        """True while nobody waits."""
        return not self._lines

    def line_before(self, buckets: Iterable[str]) -> str | None:
        """Return the first of the buckets for which somebody waits already."""
        return next((bucket for bucket in buckets if bucket in self._lines), None)

    def wait(self, context: RequestContext, problem: Problem, lack: Lack) -> bool:
        """Have a request wait that would be refused; False where it would wait too long, or too many do."""
        now_s = self._clock.monotonic_s()
        place = context.place
        assert place is None or isinstance(place, Place)
        if place is None:
            until_s = min(now_s + self.wait_s, context.started_s + _patience_s(context))
            place = Place(self, context, lack.bucket, now_s, until_s, problem)
        elif place.bucket != lack.bucket:
            self._remove(place)
            place.bucket = lack.bucket
        place.problem = problem
        is_hopeless = lack.why is Why.RATE and now_s + lack.retry_after_ms / 1_000 > place.until_s
        if now_s >= place.until_s or is_hopeless or not self._enter(place):
            place.leave()
            return False
        line = self._lines.setdefault(place.bucket, OrderedDict())
        line.setdefault(place)
        if context.place is None:
            context.place = place
            self.waited += 1
        if next(iter(line)) is place:
            delay_s = SLOT_S if lack.why is Why.PARALLEL else lack.retry_after_ms / 1_000
            self._ask_later(place, min(max(delay_s, ASK_S_MIN), ASK_S_MAX, place.until_s - now_s))
        return True

    def watch(self, context: RequestContext, late: Problem, until_s: float) -> None:
        """Look after a request that waits for an answer of the counters, in a line or not."""
        place = context.place
        self._room.enter(context, until_s, late, place.leave if place is not None else _nothing, is_bounded=False)

    def _enter(self, place: Place) -> bool:
        def late() -> Problem:
            return _shortened(place.problem, self._clock.monotonic_s() - place.since_s)

        return self._room.enter(place.context, place.until_s, late, place.leave) is None

    def leave(self, place: Place) -> None:
        """A request has what it wanted, or goes; the next one of its line asks at once."""
        place.context.place = None
        self._remove(place)

    def _remove(self, place: Place) -> None:
        line = self._lines.get(place.bucket)
        if line is None or place not in line:
            return
        was_first = next(iter(line)) is place
        del line[place]
        if not line:
            del self._lines[place.bucket]
        elif was_first:
            self._ask_later(next(iter(line)), 0.0)

    def _ask_later(self, place: Place, delay_s: float) -> None:
        self._loop.call_later(delay_s, place.context.exchange.act, self._ask, (place, place.bucket))

    def _ask(self, place: Place, bucket: str) -> None:
        """Let the first of a line ask, if it still is."""
        line = self._lines.get(bucket)
        if line is None or next(iter(line)) is not place or place.bucket != bucket:
            return
        if self._room.leave(place.context):
            self._resume(place.context)


def _patience_s(context: RequestContext) -> float:
    course = context.course
    return course.total_s if course is not None else context.client.timeout_s or float("inf")


def _shortened(problem: Problem, waited_s: float) -> Problem:
    if problem.case is not problems.RATE_LIMITED or problem.retry_after_s is None:
        return problem
    return msgspec.structs.replace(problem, retry_after_s=max(1, problem.retry_after_s - int(waited_s)))


def _nothing() -> None:
    pass
