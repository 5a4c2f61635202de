"""A transfer that asks twice where the first byte is late: whoever answers first is passed on, the other one is cancelled. Level 4.

Each attempt has an id, limits and a record of its own. The one that is cancelled is booked with its input, since its provider may
charge for it. Nothing is asked twice that would be kept, go on in the background, build on what a provider keeps, or
let a provider's own tools work: there, twice asked is twice done.
"""

import msgspec

from switchgear.core import problems
from switchgear.core.errors import SpoolFullError
from switchgear.core.guard import guarded
from switchgear.core.ids import attempt_id
from switchgear.core.problems import Problem
from switchgear.core.usage import TokenUsage
from switchgear.dialects.answer_metadata import AnswerMetadata
from switchgear.dialects.translation import Translation
from switchgear.edge import heads, setback, settle, standing, translate
from switchgear.edge.admission import Admission
from switchgear.edge.attempt import AttemptProgress
from switchgear.edge.context import Spent
from switchgear.edge.course import Course, RoutedCourse
from switchgear.edge.resolver import PricedDeployment
from switchgear.edge.setback import Setback
from switchgear.edge.transfer import IDLE, PLAIN, WAITING, Transfer
from switchgear.edge.watched import WatchedTransfer
from switchgear.routing import retry
from switchgear.wire.frames import Fail, Head, Open
from switchgear.wire.records import AttemptOutcome

HEDGED = "hedged"
"""Why an attempt ended whose sibling was sooner."""


class Lane(msgspec.Struct, eq=False):
    """A second attempt, until it wins or is cancelled: what it hears is told to its transfer."""

    transfer: "HedgedTransfer"
    priced: PricedDeployment
    translation: Translation
    attempt: AttemptProgress
    admission: Admission
    began_s: float
    told_number: int

    def on_response(self, head: Head, body: bytes, ended: bool) -> None:
        """StreamOwner: the upstream's head."""
        self.transfer.on_lane_response(self, head, body, ended)

    def on_body(self, data: bytes, ended: bool) -> None:
        """StreamOwner: more of a body that nobody wants."""

    def on_fail(self, fail: Fail) -> None:
        """StreamOwner: no complete response."""
        self.transfer.on_lane_fail(self, fail)

    def on_fault(self, exc: Exception) -> None:
        """StreamOwner: something unexpected was raised about it: the request goes on without it."""
        self.transfer.services.guard.caught(exc, self.transfer.context.id)
        self.transfer.on_lane_fail(self, Fail("internal", "", True))


class HedgedTransfer(WatchedTransfer, eq=False):
    """Its course has a `hedge_s`."""

    _lane: Lane | None = None
    _is_hedged: bool = False
    """A second attempt was made, or could not be."""

    def _open(self) -> None:
        WatchedTransfer._open(self)
        course = self.course
        assert isinstance(course, RoutedCourse)
        if not self._is_hedged and course.hedge_s is not None:
            number = course.number
            self.services.loop.call_later(course.hedge_s, self._hedge, number)

    def _lose_hedge(self, exc: Exception) -> None:
        self.services.guard.caught(exc, self.context.id)

    @guarded(_lose_hedge)
    def _hedge(self, number: int) -> None:
        """The first byte is late: ask another deployment, where there is room for it."""
        course = self.course
        assert isinstance(course, RoutedCourse)
        if self._state is not WAITING or self._is_hedged or course.number != number or self.context.client_gone:
            return
        self._is_hedged = True
        self._read_clock()
        if course.number >= retry.ATTEMPTS_MAX or self._elapsed_ms >= course.total_s * 1_000:
            return
        priced, services, context = course.second(), self.services, self.context
        before, dropped, held = context.translation, context.dropped, Admission(services, context, lambda: None)
        context.course = Course([priced], 0, course.total_s)
        context.course.lasts_s = course.lasts_s
        try:
            translation = self._prepared_for(priced, context.course, held)
        finally:
            context.translation, context.course, context.dropped = before, course, dropped
        if translation is None:
            held.let_go()
            return
        course.number += 1
        course.drop(priced)
        self._send_second(priced, translation, held)

    def _prepared_for(self, priced: PricedDeployment, single: Course, held: Admission) -> Translation | None:
        """Take what an attempt needs, and write its record. Returns what is asked; None where the deployment cannot be asked this,
        may not be any more, or has no room."""
        context, number = self.context, self.course.number + 1
        if standing.may_try(self.services, context) is not None or held.take_attempt(priced, number) is not True:
            return None
        if translate.prepare(context, single) is not None:
            return None
        try:
            settle.attempt(context, number, priced, self.services.spool)
        except SpoolFullError:
            return None
        return context.translation

    def _send_second(self, priced: PricedDeployment, translation: Translation, held: Admission) -> None:
        services, context, course = self.services, self.context, self.course
        assert isinstance(course, RoutedCourse)
        now_s = services.clock.monotonic_s()
        told = priced.candidate.state.begin(course.tokens, course.client) if priced.candidate is not None else 0
        attempt = AttemptProgress(self._elapsed_ms, number=course.number)
        lane = self._lane = Lane(self, priced, translation, attempt, held, now_s, told)
        body, translation.body = translation.body, b""
        size = len(body) if isinstance(body, bytes) else sum(map(len, body))
        message = Open(attempt_id(context.id, course.number), size, heads.route(context, priced, translation))
        attempt.stream = services.link.open(message, body, lane)
        services.commit.schedule()

    # the second attempt

    def on_lane_response(self, lane: Lane, head: Head, body: bytes, ended: bool) -> None:
        """Its head came: it is sooner, unless it is an error."""
        if lane is not self._lane:
            return
        self._read_clock()
        lane.attempt.head, lane.attempt.first_ms = head, self._elapsed_ms
        if head.status >= 400:
            self._end_lane(str(head.status), None, lane.attempt.status)
            return
        first, seen = self._attempt, TokenUsage(input=self.context.input_estimate, output=0)
        first.cancel()
        is_error = first.status is not None and first.status >= 400
        self._pass_to(lane, None if is_error else HEDGED, None if is_error else _charge(seen))
        assert isinstance(self.course, RoutedCourse)
        self.course.fallback_reason = HEDGED
        self.on_response(head, body, ended)

    def on_lane_fail(self, lane: Lane, fail: Fail) -> None:
        """It has no answer: the request goes on without it."""
        if lane is not self._lane:
            return
        self._read_clock()
        failure = setback.of_fail(fail, self.context.input_estimate, 0)
        self._end_lane(fail.reason, failure, None, is_sent=fail.reason not in setback.NOT_SENT)

    def _pass_to(
        self, lane: Lane, error: str | None, charge: Setback | None, message: str = "", is_sent: bool = True
    ) -> None:
        """End the first attempt, and go on with the second as if there had been no other."""
        context, course = self.context, self.course
        assert isinstance(course, RoutedCourse)
        self._lane = None
        self._note_attempt(self._attempt.status, error, message, charge)
        if self._state is not IDLE:
            self._advance(IDLE)
        if context.admission is not None:
            context.admission.end_attempt(self._spent(context.attempts[-1], charge, is_sent))
            context.admission.adopt(lane.admission)
        else:
            context.admission = lane.admission
        self._plain = self._streamed = None
        course.current, context.translation, self._attempt = lane.priced, lane.translation, lane.attempt
        context.deployment, context.pricer = lane.priced.deployment, lane.priced.pricer
        context.dropped = lane.translation.dropped
        self._watch(lane.priced.candidate, lane.began_s, lane.told_number)
        if lane.attempt.stream is not None:
            lane.attempt.stream.owner = self
        self._advance(WAITING)

    def _end_lane(self, error: str, failure: Setback | None, status: int | None, is_sent: bool = True) -> None:
        lane, self._lane = self._lane, None
        if lane is None:
            return
        lane.attempt.cancel()
        lane.attempt.stream = None  # it holds the lane
        outcome = lane.attempt.outcome(
            lane.priced.pricer, status, None if status is not None else error, failure, self._elapsed_ms
        )
        lane.admission.end_attempt(self._spent(outcome, failure, is_sent))
        attempts = self.context.attempts
        # The last one is that which the settlement is of.
        is_after = bool(attempts) and attempts[-1].number == self._attempt.number
        attempts.insert(len(attempts) - is_after, outcome)
        candidate, course = lane.priced.candidate, self.course
        assert isinstance(course, RoutedCourse)
        if candidate is not None:
            candidate.state.end(course.tokens, lane.told_number, False, course.client)
            self._judge(candidate, lane.began_s, status, None if status is not None else error, lane.attempt.head)

    def _spent(self, outcome: AttemptOutcome, failure: Setback | None, is_sent: bool) -> Spent:
        if failure is None:
            return Spent(is_sent=is_sent)
        cost = outcome.cost_nanousd if failure.usage is not None else 0
        return Spent(failure.usage, cost, is_sent, not failure.is_estimated, self.course.lasts_s)

    # the first one

    def on_response(self, head: Head, body: bytes, ended: bool) -> None:
        """StreamOwner: the upstream's head. Where it is no error, the other attempt is over."""
        if self._lane is not None and head.status < 400:
            self._read_clock()
            self._cancel_lane()
        WatchedTransfer.on_response(self, head, body, ended)

    def _set_back(self, failure: Setback) -> None:
        lane, course = self._lane, self.course
        if lane is None:
            WatchedTransfer._set_back(self, failure)
            return
        left_s = course.total_s - self._elapsed_ms / 1000
        step = retry.next_step(
            status=failure.status,
            reason=failure.reason,
            retries_left=0,
            has_next=True,
            may_go_on=left_s > 0 and not self.context.client_gone,
        )
        if step != "fallback" or self._state not in {WAITING, PLAIN}:
            WatchedTransfer._set_back(self, failure)  # its settlement cancels the other
            return
        self._note_said(failure)
        self._last = (failure, self._attempt)
        self._pass_to(lane, failure.reason, failure, failure.noted, failure.reason not in setback.NOT_SENT)
        assert isinstance(course, RoutedCourse)
        course.fallback_reason = failure.reason or str(failure.status)

    def _cancel_lane(self) -> None:
        usage = TokenUsage(input=self.context.input_estimate, output=0)
        self._end_lane(HEDGED, _charge(usage), None)

    def _settle(self, metadata: AnswerMetadata | None, billed: bool = True) -> int | None:
        if self._lane is not None:
            self._cancel_lane()
        return WatchedTransfer._settle(self, metadata, billed)


def transfer_of(course: Course) -> type[Transfer]:
    """Return the kind of transfer for a course."""
    if type(course) is not RoutedCourse:
        return Transfer
    return WatchedTransfer if course.hedge_s is None else HedgedTransfer


def _charge(usage: TokenUsage) -> Setback:
    return Setback(
        HEDGED, Problem(problems.UPSTREAM_BROKEN, "another attempt was sooner"), usage=usage, is_estimated=True
    )
