"""Each question gets one answer, whatever becomes of it."""

import msgspec

from switchgear.core.errors import RefusedError, SealError
from switchgear.net.performer import Performer, at_once, later, table
from switchgear.net.upstream import INTERNAL
from switchgear.testing.faults import LoudGuard
from switchgear.wire import frames
from switchgear.wire.verbs import Verb


class Service:
    def __init__(self):
        self.waiting = []
        self.odd = None

    def double(self, number):
        if self.odd is not None:
            raise self.odd
        return 2 * number


DOUBLE = Verb("double", int, int)
WAIT = Verb("wait", type(None), str)
ROWS = table((at_once(DOUBLE, Service.double), later(WAIT, lambda service, _, done: service.waiting.append(done))))


def ask(service, name, body):
    answers, guard = [], LoudGuard()
    question = frames.Question(name, msgspec.Raw(frames.encode_payload(body)))
    Performer(service, ROWS, guard, question, 7, answers.append).perform()

    def decoded():
        out = []
        for frame in answers:
            ((kind, stream, _, payload),) = frames.Decoder().feed(frame)
            assert (kind, stream) == (frames.FrameType.ANSWER, 7)
            answer = msgspec.msgpack.decode(payload, type=frames.Answer)
            out.append((answer.ok, answer.message, msgspec.msgpack.decode(answer.body)))
        return out

    return decoded, guard


def test_the_answer_is_what_the_work_returns():
    decoded, guard = ask(Service(), "double", 4)
    assert decoded() == [(True, "", 8)] and guard.faults == 0


def test_an_answer_that_comes_later_is_sent_once():
    service = Service()
    decoded, _ = ask(service, "wait", None)
    assert decoded() == []
    service.waiting[0]("now")
    service.waiting[0]("again")
    assert decoded() == [(True, "", "now")]


def test_unknown_verbs_and_bodies_of_another_type_are_refused():
    for name, body, said in (
        ("halve", 4, "unknown verb"),
        ("double", "four", "Expected `int`"),
        ("", None, "unknown verb"),
    ):
        decoded, guard = ask(Service(), name, body)
        ((ok, message, nothing),) = decoded()
        assert not ok and said in message and nothing is None and guard.faults == 0


def test_a_refusal_is_told_and_a_fault_is_not_quoted():
    service = Service()
    for odd, said, faults in (
        (RefusedError("not here"), "not here", 0),
        (SealError("does not open"), "does not open", 0),
        (LookupError("sk-secret"), INTERNAL, 1),
    ):
        service.odd = odd
        decoded, guard = ask(service, "double", 4)
        assert decoded() == [(False, said, None)] and guard.faults == faults


def test_an_answer_that_cannot_be_encoded_is_a_fault_and_an_answer():
    service = Service()
    decoded, guard = ask(service, "wait", None)
    service.waiting[0](object())
    assert decoded() == [(False, INTERNAL, None)] and guard.faults == 1
