"""Requests that wait for room under a limit: their order, how long, and how each way out of a line leaves it."""

import msgspec
import pytest
from tests.edge.test_recall import ANSWER, JSON, Last

from switchgear.edge import admit
from switchgear.edge.limit_queue import Place
from switchgear.testing.edge import NOTHING, Asked, Dialogue, Sent, chat
from switchgear.wire import records

ONE = {"parallel": 1}


def asks(talk, **more):
    """Ask, and return the exchange."""
    talk.client >> chat("up/m", **more)
    return talk.client.exchange


def ends(talk):
    """End the attempt that was asked for last, and let who waits ask."""
    talk.vault >> JSON
    talk.vault >> Last(ANSWER)
    talk.advance(0.03)


def test_without_wait_s_a_full_limit_refuses_at_once():
    talk = Dialogue(key=ONE)
    asks(talk)
    (refused,) = asks(talk).seen
    assert refused.status == 429


def test_a_request_waits_for_a_slot_and_its_record_says_how_long():
    talk = Dialogue(key=ONE, wait_s=30)
    asks(talk)
    talk.vault << Asked()
    second = asks(talk)
    talk.advance(1.5)
    assert second.seen == []
    talk.vault << NOTHING
    ends(talk)
    talk.vault << Asked()
    ends(talk)
    assert second.seen[0].status == 200
    first, waited = talk.recorded(records.Settle)
    assert first.queue_ms is None
    assert 1_500 <= waited.queue_ms <= 1_600
    assert talk.services.queue.is_empty
    assert len(talk.services.waiting) == 0


def test_a_request_waits_until_its_window_has_room_and_no_longer():
    talk = Dialogue(key={"rpm": 1}, wait_s=90)
    asks(talk)
    talk.vault << Asked()
    ends(talk)
    second = asks(talk)
    for _ in range(57):
        talk.advance(1)
        talk.vault << NOTHING
    for _ in range(5):
        talk.advance(1)
    talk.vault << Asked()
    ends(talk)
    assert second.seen[0].status == 200


def test_a_wait_that_is_known_to_be_too_long_is_refused_at_once():
    talk = Dialogue(key={"rpm": 1}, wait_s=20)
    asks(talk)
    talk.vault << Asked()
    (refused,) = asks(talk).seen
    assert refused.status == 429
    assert len(talk.services.waiting) == 0


@pytest.mark.parametrize("is_late", [False, True])
def test_who_came_first_is_first(is_late):
    talk = Dialogue(key=ONE, wait_s=30, is_late=is_late)
    asks(talk, seed=0)
    talk.advance(0.01)
    for number in (1, 2, 3):
        asks(talk, seed=number)
        talk.advance(0.01)
    for number in (0, 1, 2, 3):
        talk.vault << Asked()
        assert b'"seed":%d' % number in talk.vault.attempt.body.replace(b" ", b"")
        ends(talk)
        talk.advance(0.05)
    assert talk.services.queue.is_empty


def test_who_comes_later_does_not_overtake_those_that_wait():
    talk = Dialogue(key=ONE, wait_s=30)
    asks(talk, seed=0)
    talk.vault << Asked()
    asks(talk, seed=1)
    talk.vault >> JSON
    talk.vault >> Last(ANSWER)  # the slot is free, and nobody has asked for it yet
    asks(talk, seed=2)
    talk.vault << NOTHING
    talk.advance(0.03)
    talk.vault << Asked()
    assert b'"seed":1' in talk.vault.attempt.body


def test_a_request_that_waited_as_long_as_it_may_is_refused():
    talk = Dialogue(key=ONE, wait_s=5)
    asks(talk)
    waiting = asks(talk)
    for _ in range(202):
        talk.advance(0.025)
    (refused,) = waiting.seen
    assert refused.status == 429
    assert b"retry-after: 1\r\n" in refused.headers
    assert talk.services.queue.is_empty


def test_the_clients_own_time_bounds_the_wait():
    talk = Dialogue(key=ONE, wait_s=60)
    asks(talk)
    talk.client >> chat("up/m", {b"x-switchgear-timeout-s": b"2"})
    for _ in range(100):
        talk.advance(0.025)
    talk.client << Sent(429)


def test_a_client_that_leaves_leaves_the_line_and_the_next_one_is_asked():
    talk = Dialogue(key=ONE, wait_s=60)
    first = asks(talk, seed=0)
    talk.vault << Asked()
    asks(talk, seed=1)
    talk.client.leave()
    asks(talk, seed=2)
    talk.handler._check()
    talk.loop.run()
    assert len(talk.services.waiting) == 1
    ends(talk)
    assert first.seen[0].status == 200
    talk.vault << Asked()
    assert b'"seed":2' in talk.vault.attempt.body


def test_a_key_that_is_revoked_while_it_waits_is_refused_when_it_is_its_turn():
    talk = Dialogue(key=ONE, wait_s=60)
    asks(talk)
    talk.vault << Asked()
    waiting = asks(talk)
    talk.replica.key = msgspec.structs.replace(talk.key, revoked=True, version=2)
    talk.advance(0.05)
    assert waiting.seen[0].status == 401
    assert talk.services.queue.is_empty


def test_a_gateway_that_stops_tells_those_that_wait():
    talk = Dialogue(key=ONE, wait_s=60)
    asks(talk)
    waiting = asks(talk)
    talk.services.waiting.interrupt("the gateway is stopping")
    assert waiting.seen[0].status == 503
    assert talk.services.queue.is_empty


def test_an_answer_of_the_counters_that_is_lost_ends_the_request_after_a_while():
    talk = Dialogue(key=ONE)
    talk.counters.take = lambda holds, attempt, done: None
    waiting = asks(talk)
    talk.advance(admit.COUNTERS_S - 1)
    talk.handler._check()
    talk.loop.run()
    assert waiting.seen == []
    talk.advance(1)
    talk.handler._check()
    talk.loop.run()
    assert waiting.seen[0].status == 503


def test_what_waits_holds_nothing():
    talk = Dialogue(key={"parallel": 1, "rpm": 2}, wait_s=60)
    asks(talk)
    talk.vault << Asked()
    asks(talk)
    for _ in range(40):
        talk.advance(0.025)
    ends(talk)
    talk.vault << Asked()
    ends(talk)
    (left,) = [
        line
        for line in talk.client.exchange.seen[0].headers.split(b"\r\n")
        if line.startswith(b"x-ratelimit-remaining-requests")
    ]
    assert left == b"x-ratelimit-remaining-requests: 0"


def test_a_place_is_found_in_a_long_line_without_looking_at_the_others():
    compared = 0

    class Watched(Place, eq=False):
        def __eq__(self, other):
            nonlocal compared
            compared += 1
            return self is other

        __hash__ = object.__hash__

    talk = Dialogue(key=ONE, wait_s=60)
    asks(talk)
    places = [asks(talk).context.place for _ in range(30)]
    line = talk.services.queue._lines[places[0].bucket]
    watched = [Watched(**{name: getattr(one, name) for name in one.__struct_fields__}) for one in places]
    line.clear()
    line.update(dict.fromkeys(watched))
    for place in reversed(watched):
        talk.services.queue.leave(place)
    assert (compared, talk.services.queue.is_empty) == (0, True)
