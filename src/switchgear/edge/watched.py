"""A transfer whose attempts are watched: how busy a deployment is, how fast, whether it fails, what is left of its limits. Level 4.

Only models with more than one deployment are watched: where there is no choice there is nothing to learn for one. A plain request
takes the plain Transfer and costs nothing more.
"""

from switchgear.core.text import header_value
from switchgear.edge.answering import StreamAnswer
from switchgear.edge.course import Course, RoutedCourse
from switchgear.edge.setback import Setback
from switchgear.edge.transfer import Transfer
from switchgear.routing import allowance, breaker, retry
from switchgear.routing.strategies import Candidate
from switchgear.wire.frames import Head


class WatchedTransfer(Transfer, eq=False):
    """Its course is a RoutedCourse."""

    _watched: Candidate | None = None
    """Where an attempt is under way."""
    _began_s: float = 0.0

    def _send(self) -> None:
        candidate = self.course.current.candidate
        if candidate is not None:
            assert isinstance(self.course, RoutedCourse)
            self._watched = candidate
            self._began_s = self.services.clock.monotonic_s()
            candidate.state.begin(self.course.tokens)
        Transfer._send(self)

    def on_response(self, head: Head, body: bytes, ended: bool) -> None:
        """StreamOwner: the upstream's head."""
        if self._watched is not None:
            clock, state = self.services.clock, self._watched.state
            now_s = clock.monotonic_s()
            allowances = allowance.read(head.headers, now_s, clock.wall_ms())
            if allowances:
                state.told(allowances)
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
        services, state = self.services, watched.state
        book, now_s = services.resolver.states, services.clock.monotonic_s()
        state.end()
        if status == 429 and error is None:
            head = self._attempt.head
            value = None if head is None else next((v for n, v in head.headers if n == b"retry-after"), None)
            state.pause(retry.parse_retry_after(value), now_s)
            book.troubled.add(state.name)
            return
        if book.note(state, breaker.verdict_of(status, error), self._began_s, now_s, watched.rules):
            opened = state.breaker.reason
            services.report(
                f"{state.name}: the breaker closed: it answers again"
                if opened is None
                else f"{state.name}: the breaker opened ({opened}): it is asked once in {watched.rules.probe_s:g} s",
                "info" if opened is None else "warning",
                kind=f"breaker {state.name}",
            )

    def _headers(self, head: Head, default_type: bytes, forced_type: bytes | None, cost: int | None = None) -> bytes:
        headers = Transfer._headers(self, head, default_type, forced_type, cost)
        assert isinstance(self.course, RoutedCourse)
        reason = self.course.fallback_reason
        return (
            headers if reason is None else b"%bx-switchgear-fallback-reason: %b\r\n" % (headers, header_value(reason))
        )


def transfer_of(course: Course) -> type[Transfer]:
    """Return the kind of transfer for a course."""
    return WatchedTransfer if type(course) is RoutedCourse else Transfer
