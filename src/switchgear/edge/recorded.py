"""A transfer whose answer is kept for further requests (`edge.recall`). Level 4.

Only requests that ask for the cache have one. Where nothing may be kept of theirs, it tells so in the head of the answer, and is
as any other.
"""

from typing import TYPE_CHECKING

from switchgear.core.errors import ProtocolError
from switchgear.dialects.answer_metadata import AnswerMetadata
from switchgear.dialects.translation import JSON_TYPE
from switchgear.edge import recall
from switchgear.edge.course import Course, RoutedCourse
from switchgear.edge.transfer import Transfer
from switchgear.edge.upstream_answers import PlainAnswer, StreamAnswer
from switchgear.edge.watched import WatchedTransfer
from switchgear.wire.frames import Head

if TYPE_CHECKING:
    _Base = Transfer
else:
    _Base = object  # the layout is that of the transfer beside it


class _Recorded(_Base):
    """What is noted on the way of an answer."""

    __slots__ = ()

    def _hand_over(self, answer: PlainAnswer, head: Head, metadata: AnswerMetadata, out: bytes | ProtocolError) -> None:
        known = self.context.recall
        if known is not None and metadata.unfit is None and isinstance(out, bytes) and head.status == 200:
            translation, request = self.context.translation, self.context.request
            assert translation is not None
            assert request is not None
            streams = request.stream and not translation.is_verbatim
            known.clear()
            known.is_stream = False
            known.content_type = translation.stream_type if streams else _type_of(head, JSON_TYPE)
            known.add(out)
            known.is_complete = known.stores
        super()._hand_over(answer, head, metadata, out)

    def _start_stream(self, streamed: StreamAnswer) -> None:
        known = self.context.recall
        head, translation = self._attempt.head, self.context.translation
        if known is not None and head is not None and translation is not None:
            known.is_stream = True
            is_passed = translation.is_verbatim and not translation.as_array
            known.content_type = _type_of(head, translation.stream_type) if is_passed else translation.stream_type
        super()._start_stream(streamed)

    def _pass_on(self, streamed: StreamAnswer, out: bytes, size: int, ended: bool) -> None:
        known = self.context.recall
        if known is not None and known.stores:
            known.add(out)
            if not known.stores:
                known.leave()  # too large: who waits asks now, not at the end
            known.is_complete = ended and known.stores and streamed.tap.is_clean and self.context.status == 200
        super()._pass_on(streamed, out, size, ended)

    def check(self, now_s: float) -> None:
        """Enforce what has no event. A client that left is not waited for; others that wait for its answer are."""
        known = self.context.recall
        if self.context.client_gone and known is not None and known.flight is not None and known.flight.followers:
            self._gone_s, self._gone_bytes = now_s, 0
        super().check(now_s)

    def _settle(self, metadata: AnswerMetadata | None, billed: bool = True) -> int | None:
        known = self.context.recall
        try:
            cost = super()._settle(metadata, billed)
            recall.keep(self.services, self.context, metadata, cost)
        finally:
            if known is not None:
                known.leave()
        return cost

    def _headers(self, head: Head, default_type: bytes, forced_type: bytes | None, cost: int | None = None) -> bytes:
        known = self.context.recall
        headers = super()._headers(head, default_type, forced_type, cost)
        return headers if known is None else b"%bx-switchgear-cache: %b\r\n" % (headers, known.told)


def _type_of(head: Head, default: bytes) -> bytes:
    return next((value for name, value in head.headers if name == b"content-type"), default)


class RecordedTransfer(_Recorded, Transfer, eq=False):
    """Of a model with one deployment."""


class RecordedWatchedTransfer(_Recorded, WatchedTransfer, eq=False):
    """Of a model whose attempts are watched."""


def transfer_of(course: Course) -> type[Transfer]:
    """Return the kind of transfer for a course."""
    return RecordedWatchedTransfer if type(course) is RoutedCourse else RecordedTransfer
