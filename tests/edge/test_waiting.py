"""Those that wait: bounds, deadlines, clients that leave, and a gateway that stops."""

from switchgear.core import problems
from switchgear.core.problems import Problem
from switchgear.core.steps import finish
from switchgear.edge import waiting
from switchgear.edge.context import RequestContext
from switchgear.edge.waiting import WaitingRoom
from switchgear.replica.entries import KeyEntry
from switchgear.testing.edge import FakeExchange

LATE = Problem(problems.RATE_LIMITED, "full")


class Room:
    def __init__(self):
        self.refused, self.let_go, self.left = [], [], []
        self.room = WaitingRoom(lambda context, problem: self.refused.append((context.id, problem)), self.gone)

    def gone(self, context):
        self.let_go.append(context.id)

    def enter(self, name, until_s=10.0, size=10, late=LATE, key="k"):
        exchange = FakeExchange.__new__(FakeExchange)
        exchange.is_ended = False
        context = RequestContext(exchange, name, 0, 0.0, bytes_in=size, key=KeyEntry(key, key, 1, []))
        return context, self.room.enter(context, until_s, late, lambda: self.left.append(name))


def test_whoever_is_woken_leaves_and_is_looked_after_no_more():
    room = Room()
    context, refused = room.enter("a")
    assert refused is None
    assert room.room.leave(context)
    assert not room.room.leave(context)
    finish(room.room.check(99.0))
    assert (len(room.room), room.refused, room.left) == (0, [], [])


def test_a_deadline_refuses_with_what_is_true_then():
    room = Room()
    room.enter("a", until_s=5.0)
    room.enter("b", until_s=5.0, late=lambda: LATE)
    room.enter("c", until_s=50.0)
    finish(room.room.check(4.9))
    assert room.refused == []
    finish(room.room.check(5.0))
    assert room.refused == [("a", LATE), ("b", LATE)]
    assert (room.left, len(room.room)) == (["a", "b"], 1)


def test_a_client_that_left_leaves_the_queue():
    room = Room()
    context, _ = room.enter("a")
    context.client_gone = True
    finish(room.room.check(0.0))
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


def test_one_key_leaves_room_for_others():
    room = Room()
    admitted = [room.enter(str(number))[1] for number in range(waiting.WAITERS_MAX)].count(None)
    assert admitted == waiting.WAITERS_MAX // 2
    assert room.enter("other", key="other")[1] is None


def test_the_bodies_of_one_key_leave_room_for_others():
    room, size = Room(), waiting.WAITING_BYTES_MAX // 8
    assert [room.enter(str(number), size=size)[1] is None for number in range(6)] == [True] * 4 + [False] * 2
    assert room.enter("other", size=size, key="other")[1] is None


def test_a_key_whose_requests_left_may_wait_again():
    room = Room()
    for _ in range(3):
        contexts = [room.enter(str(number))[0] for number in range(waiting.WAITERS_MAX // 2)]
        assert room.enter("more")[1] is waiting.TOO_MANY
        for context in contexts:
            room.room.leave(context)


def test_many_whose_time_is_over_at_once_are_told_a_few_at_a_time():
    room = Room()
    for number in range(waiting.AT_ONCE + 1):
        room.enter(str(number), until_s=5.0)
    steps = room.room.check(5.0)
    next(steps)
    assert len(room.refused) == waiting.AT_ONCE
    finish(steps)
    assert len(room.refused) == waiting.AT_ONCE + 1


def test_who_is_woken_between_two_steps_is_not_refused():
    room = Room()
    contexts = [room.enter(str(number), until_s=5.0)[0] for number in range(waiting.AT_ONCE + 1)]
    steps = room.room.check(5.0)
    next(steps)
    room.room.leave(contexts[-1])
    finish(steps)
    assert len(room.refused) == waiting.AT_ONCE
