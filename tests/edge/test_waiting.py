"""Those that wait: bounds, deadlines, clients that leave, and a gateway that stops."""

from switchgear.core import problems
from switchgear.core.problems import Problem
from switchgear.edge import waiting
from switchgear.edge.context import RequestContext
from switchgear.edge.waiting import WaitingRoom
from switchgear.testing.edge import FakeExchange

LATE = Problem(problems.RATE_LIMITED, "full")


class Room:
    def __init__(self):
        self.refused, self.let_go, self.left = [], [], []
        self.room = WaitingRoom(lambda context, problem: self.refused.append((context.id, problem)), self.gone)

    def gone(self, context):
        self.let_go.append(context.id)

    def enter(self, name, until_s=10.0, size=10, late=LATE):
        exchange = FakeExchange.__new__(FakeExchange)
        exchange.is_ended = False
        context = RequestContext(exchange, name, 0, 0.0, bytes_in=size)
        return context, self.room.enter(context, until_s, late, lambda: self.left.append(name))


def test_whoever_is_woken_leaves_and_is_looked_after_no_more():
    room = Room()
    context, refused = room.enter("a")
    assert refused is None
    assert room.room.leave(context)
    assert not room.room.leave(context)
    room.room.check(99.0)
    assert (len(room.room), room.refused, room.left) == (0, [], [])


def test_a_deadline_refuses_with_what_is_true_then():
    room = Room()
    room.enter("a", until_s=5.0)
    room.enter("b", until_s=5.0, late=lambda: LATE)
    room.enter("c", until_s=50.0)
    room.room.check(4.9)
    assert room.refused == []
    room.room.check(5.0)
    assert room.refused == [("a", LATE), ("b", LATE)]
    assert (room.left, len(room.room)) == (["a", "b"], 1)


def test_a_client_that_left_leaves_the_queue():
    room = Room()
    context, _ = room.enter("a")
    context.client_gone = True
    room.room.check(0.0)
    assert (room.let_go, room.left, room.refused, len(room.room)) == (["a"], ["a"], [], 0)


def test_too_many_or_too_large_are_refused_at_once():
    room = Room()
    _, refused = room.enter("large", size=waiting.WAITING_BYTES_MAX + 1)
    assert refused is waiting.TOO_MANY
    for number in range(waiting.WAITERS_MAX):
        room.enter(str(number))
    assert room.enter("more")[1] is waiting.TOO_MANY


def test_a_gateway_that_stops_answers_everybody():
    room = Room()
    room.enter("a")
    room.room.interrupt("stopping")
    assert [(name, problem.case) for name, problem in room.refused] == [("a", problems.INTERRUPTED)]
    assert (room.left, len(room.room)) == (["a"], 0)
