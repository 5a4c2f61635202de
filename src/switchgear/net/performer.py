"""The asked end of verbs: a table of what is done for each, and one answer to each question. Level 2.

What nobody expected about one verb is that verb's answer, and ends nothing else (decision 020).
"""

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import msgspec

from switchgear.core.errors import UNREADABLE, RefusedError, SealError
from switchgear.core.guard import Guard, guarded
from switchgear.net.upstream import INTERNAL
from switchgear.wire import frames
from switchgear.wire.frames import FrameType
from switchgear.wire.verbs import Verb

_NOTHING = msgspec.Raw(b"\xc0")

S = TypeVar("S")
B = TypeVar("B")
A = TypeVar("A")


class Run(msgspec.Struct, Generic[S], frozen=True):
    """One row: a verb, and how a service does it."""

    verb: Verb[Any, Any]
    work: Callable[[S, Any, Callable[[Any], None]], None]


def at_once(verb: Verb[B, A], work: Callable[[S, B], A]) -> Run[S]:
    """Make the row of a verb whose answer is what `work` returns. `work` may raise RefusedError or SealError."""
    return Run(verb, lambda service, body, done: done(work(service, body)))


def later(verb: Verb[B, A], work: Callable[[S, B, Callable[[A | RefusedError], None]], None]) -> Run[S]:
    """Make the row of a verb whose answer is given to a callback, once: in this turn or in a later one. A RefusedError that is
    given to it is a refusal."""
    return Run(verb, work)


def table(rows: Iterable[Run[S]]) -> dict[str, Run[S]]:
    """Return rows by the names of their verbs."""
    return {row.verb.name: row for row in rows}


class Performer(Generic[S]):
    """One question of control's, and its answer."""

    def __init__(
        self,
        service: S,
        rows: dict[str, Run[S]],
        guard: Guard,
        question: frames.Question,
        stream_id: int,
        queue: Callable[[bytes], None],
    ) -> None:
        """`queue` takes the frame of the answer."""
        self._service = service
        self._rows = rows
        self._guard = guard
        self._question = question
        self._id = stream_id
        self._queue = queue
        self._is_answered = False

    def _give_up(self, exc: Exception) -> None:
        self._guard.caught(exc, verb=self._question.name)

    @guarded(_give_up)
    def fault(self, exc: Exception) -> None:
        """Answer that it failed."""
        self._guard.caught(exc, verb=self._question.name)
        self._answer(frames.Answer(False, INTERNAL, _NOTHING))

    @guarded(fault)
    def perform(self) -> None:
        """Do it, and answer now or later."""
        try:
            row = self._rows.get(self._question.name)
            if row is None:
                raise RefusedError(f"unknown verb {self._question.name[:32]!r}")
            body = msgspec.msgpack.decode(self._question.body, type=row.verb.body)
            row.work(self._service, body, self._done)
        except (*UNREADABLE, RefusedError, SealError) as exc:
            self._answer(frames.Answer(False, str(exc), _NOTHING))

    @guarded(fault)
    def _done(self, answer: object) -> None:
        if isinstance(answer, RefusedError):
            self._answer(frames.Answer(False, str(answer), _NOTHING))
            return
        self._answer(frames.Answer(True, "", msgspec.Raw(frames.encode_payload(answer))))

    def _answer(self, answer: frames.Answer) -> None:
        if not self._is_answered:
            self._is_answered = True
            self._queue(frames.encode(FrameType.ANSWER, self._id, frames.encode_payload(answer)))
