"""A transfer whose attempts are watched: how busy a deployment is, how fast, whether it fails, what is left of its limits. Level 4.

Only models with more than one deployment are watched: where there is no choice there is nothing to learn for one. A plain request
takes the plain Transfer and costs nothing more.
"""

from switchgear.edge import heads
from switchgear.edge.course import RoutedCourse
from switchgear.edge.setback import Setback
from switchgear.edge.transfer import STREAMING, Transfer
from switchgear.edge.upstream_answers import StreamAnswer
from switchgear.routing import allowance, breaker, retry
from switchgear.routing.breaker import Verdict
from switchgear.routing.strategies import Candidate
from switchgear.wire.frames import Head

RATE_LIMITED = 429


class WatchedTransfer(Transfer, eq=False):
    """Its course is a RoutedCourse."""

    _watched: Candidate | None = None
    """Where an attempt is under way."""
    _began_s: float = 0.0
    _told_number: int = 0
    _said: int | None = None
    """The status that the last error stands for."""

    def _send(self) -> None:
        course, candidate = self.course, self.course.current.candidate
        assert isinstance(course, RoutedCourse)
        if course.is_probe and candidate is not None:
            course.is_probe = False
            now_s, state = self.services.clock.monotonic_s(), candidate.state
            why = state.unfit(now_s, course.tokens, course.client)
            probe_s = self.services.resolver.states.probe_s(candidate.rules)
            if why is not None and not state.may_probe(why, now_s, probe_s, course.client) and course.go_on():
                self.context.translation = None  # another request was sooner
                self.begin()
                return
        Transfer._send(self)

    def _open(self) -> None:
        course, candidate = self.course, self.course.current.candidate
        assert isinstance(course, RoutedCourse)
        if candidate is not None:
            now_s, state = self.services.clock.monotonic_s(), candidate.state
            why = state.unfit(now_s, course.tokens, course.client)
            if why is not None:
                state.claim(why, now_s, course.client)
            self._watched, self._began_s = candidate, now_s
            self._told_number = state.begin(course.tokens, course.client)
        Transfer._open(self)

    def _set_back(self, failure: Setback) -> None:
        self._note_said(failure)
        Transfer._set_back(self, failure)

    def _note_said(self, failure: Setback) -> None:
        self._said = None if failure.said is None else failure.said[0]

    def _watch(self, candidate: Candidate | None, began_s: float, told_number: int) -> None:
        """From now on the attempt is this one, which began elsewhere."""
        self._watched, self._began_s, self._told_number = candidate, began_s, told_number

    def on_response(self, head: Head, body: bytes, ended: bool) -> None:
        """StreamOwner: the upstream's head."""
        if self._watched is not None:
            clock, state = self.services.clock, self._watched.state
            now_s = clock.monotonic_s()
            allowances = {} if self._is_free else allowance.read(head.headers, now_s, clock.wall_ms())
            if allowances:
                assert isinstance(self.course, RoutedCourse)
                state.told(allowances, self.course.client)
                self.services.resolver.states.troubled.add(state.name)
            if head.status < 400 and self.context.request is not None and not self.context.request.stream:
                state.measure(now_s - self._began_s, False)
        Transfer.on_response(self, head, body, ended)

    def _start_stream(self, streamed: StreamAnswer) -> None:
        if self._watched is not None:
            self._watched.state.measure(self.services.clock.monotonic_s() - self._began_s, True)
        Transfer._start_stream(self, streamed)

    def _note_attempt(
        self, status: int | None, error: str | None, message: str = "", charge: Setback | None = None
    ) -> None:
        watched, self._watched = self._watched, None
        if watched is not None:
            self._note_end(watched, status, error)
        Transfer._note_attempt(self, status, error, message, charge)

    def _note_end(self, watched: Candidate, status: int | None, error: str | None) -> None:
        state = watched.state
        course, said, self._said = self.course, self._said, None
        assert isinstance(course, RoutedCourse)
        is_good = error is None and status is not None and status < 400 and not self._is_free
        state.end(course.tokens, self._told_number, is_good, course.client)
        self._judge(watched, self._began_s, status, error, self._attempt.head, said)

    def _judge(
        self,
        watched: Candidate,
        began_s: float,
        status: int | None,
        error: str | None,
        head: Head | None,
        said: int | None = None,
    ) -> None:
        """Learn of the end of an attempt."""
        services, state, course = self.services, watched.state, self.course
        book, now_s = services.resolver.states, services.clock.monotonic_s()
        assert isinstance(course, RoutedCourse)
        was_open = state.is_open(course.client)
        if (status if error is None else said) == RATE_LIMITED and not self._is_free:
            value = None if head is None else next((v for n, v in head.headers if n == b"retry-after"), None)
            state.pause(retry.parse_retry_after(value), now_s, course.client)
            book.note(state, "neutral", began_s, now_s, watched.rules, course.client)
            book.troubled.add(state.name)
            return
        verdict = self._verdict(status, error, said)
        if book.note(state, verdict, began_s, now_s, watched.rules, course.client):
            opened = state.breaker.reason
            services.report(
                f"{state.name}: the breaker closed: it answers again"
                if opened is None
                else f"{state.name}: the breaker opened ({opened}): it is asked once in {watched.rules.probe_s:g} s",
                "info" if opened is None else "warning",
                kind=f"breaker {state.name}",
            )
        elif state.is_open(course.client) and not was_open:
            text = f"left alone for {course.client} only, whose requests failed: one request in {watched.rules.probe_s:g} s"
            services.report(f"{state.name}: {text}", "warning", kind=f"breaker {state.name}")

    def _verdict(self, status: int | None, error: str | None, said: int | None) -> Verdict:
        """Judge an attempt, but for what its client brought about: by a time of its own, by not reading, by an answer of any
        length."""
        context, is_streaming = self.context, self._state is STREAMING
        if error is not None and is_streaming and (self._was_blocked or context.exchange.is_blocked):
            return "neutral"
        is_late = error == "timeout" and self._elapsed_ms + 1 >= self.course.total_s * 1_000
        if is_late and (is_streaming or context.client.timeout_s is not None):
            return "neutral"
        verdict = breaker.verdict_of(status, error, said)
        return "neutral" if self._is_free and verdict in {"good", "doubtful"} else verdict

    def _headers(self, head: Head, default_type: bytes, forced_type: bytes | None, cost: int | None = None) -> bytes:
        headers = Transfer._headers(self, head, default_type, forced_type, cost)
        assert isinstance(self.course, RoutedCourse)
        reason = self.course.fallback_reason
        is_told = reason is None or self.context.rerouted is not None
        return headers if reason is None or is_told else headers + heads.reason(reason)
