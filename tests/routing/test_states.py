"""What an edge knows of deployments, and what it hears of other edges."""

import pytest

from switchgear.routing.breaker import BreakerRules
from switchgear.routing.states import Health, Opened, StateBook

RULES = BreakerRules(probe_s=15.0)


def test_what_another_edge_saw_opens_and_closes_here():
    book = StateBook()
    state = book.of("a")
    book.heed(Health(open={"a": Opened("failures", 90_000, 90_000)}), 1_000.0, 100_000)
    assert state.breaker.is_open and state.breaker.opened_s == 990.0
    book.heed(Health(open={"a": Opened("failures", 90_000, 98_000)}), 1_001.0, 101_000)
    assert state.breaker.tried_s == 998.0, "another edge's probe counts"
    book.heed(Health(closed={"a": 102_000}), 1_003.0, 103_000)
    assert not state.breaker.is_open


def test_news_older_than_what_this_edge_saw_itself_changes_nothing():
    book = StateBook()
    state = book.of("a")
    state.breaker.open("failures", 995.0)
    book.heed(Health(closed={"a": 90_000}), 1_000.0, 100_000)
    assert state.breaker.is_open
    state.breaker.close(999.0)
    book.heed(Health(open={"a": Opened("failures", 98_000, 98_000)}), 1_000.0, 100_000)
    assert not state.breaker.is_open


@pytest.mark.parametrize("places", [1, 2, 4, 16])
def test_no_edge_waits_longer_than_the_rules_and_none_much_less(places):
    pauses = [StateBook(place, places).probe_s(RULES) for place in range(places)]
    assert max(pauses) == RULES.probe_s and min(pauses) >= 12.5 and len(set(pauses)) == places


def test_a_moving_average_follows_and_streams_are_apart_from_plain_answers():
    state = StateBook().of("a")
    state.measure(1.0, True)
    for _ in range(20):
        state.measure(0.1, True)
    assert 0.1 < state.time_s(True) < 0.12 and state.time_s(False) == state.time_s(True), (
        "the other kind is all there is"
    )
    state.measure(3.0, False)
    assert state.time_s(False) == 3.0


def test_what_runs_is_counted_up_and_down():
    state = StateBook().of("a")
    state.begin(1)
    state.begin(1)
    state.end()
    assert state.active == 1


def test_a_pause_is_bounded_and_never_shortened():
    state = StateBook().of("a")
    state.pause(86_400.0, 0.0)
    assert state.unfit(299.0, 1) == "paused" and state.unfit(301.0, 1) is None
    state.pause(10.0, 1_000.0)
    state.pause(None, 1_000.0)
    assert state.unfit(1_009.0, 1) == "paused"


def test_names_of_clients_do_not_fill_the_memory():
    book = StateBook()
    for number in range(25_000):
        book.of(f"a/{number}@c")
    assert len(list(book.states)) <= 10_000
