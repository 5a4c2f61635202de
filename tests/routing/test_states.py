"""What an edge knows of deployments, and what it hears of other edges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.routing.allowance import Allowance
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
    state.end(1, 0, is_good=True)
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


def fail(book, client, now_s, count=5, verdict="doubtful", name="a"):
    return [book.note(book.of(name), verdict, now_s, now_s, RULES, client) for _ in range(count)]


@given(
    st.lists(
        st.tuples(
            st.floats(0.0, 20.0), st.sampled_from(["doubtful", "neutral", "good", "paused", "big", "gone", "told"])
        ),
        max_size=120,
    )
)
def test_whatever_one_client_does_others_find_a_deployment_as_it_was(steps):
    book, now_s = StateBook(), 100.0
    state = book.of("a")
    for pause_s, what in steps:
        now_s += pause_s
        if what == "paused":
            state.pause(300.0, now_s, "loud")
        elif what in {"big", "gone"}:
            state.end(900, state.begin(900, "loud"), is_good=what == "big", client="loud")
        elif what == "told":
            state.told({"tokens": Allowance(1_000.0, 0.0, now_s + 86_400.0, now_s)}, "loud")
        else:
            book.note(state, what, now_s, now_s, RULES, "loud")
        assert state.unfit(now_s, 900, "quiet") is None


def test_failures_that_one_client_alone_has_open_its_own_breaker_alone():
    book = StateBook()
    state = book.of("a")
    assert fail(book, "loud", 1.0) == [False] * 5
    assert state.unfit(2.0, 1, "loud") == "open" and state.unfit(2.0, 1, "quiet") is None
    assert "a" in book.troubled
    assert not state.may_probe("open", 2.0, 15.0, "loud") and state.may_probe("open", 16.0, 15.0, "loud")
    book.note(state, "good", 16.0, 17.0, RULES, "loud")
    assert state.unfit(17.0, 1, "loud") is None


def test_failures_that_two_clients_have_open_the_breaker_of_all():
    book = StateBook()
    fail(book, "one", 1.0)
    assert fail(book, "two", 20.0)[-1]
    assert book.of("a").unfit(21.0, 1, "three") == "open"


@pytest.mark.parametrize("between", ["good", "long ago"])
def test_failures_of_two_clients_do_not_add_up_over_a_good_answer_or_a_long_time(between):
    book = StateBook()
    fail(book, "one", 1.0)
    if between == "good":
        book.note(book.of("a"), "good", 2.0, 3.0, RULES, "three")
    fail(book, "two", 20.0 if between == "good" else 100.0)
    assert book.of("a").unfit(101.0, 1, "three") is None


def test_a_failed_probe_of_a_client_whose_own_breaker_is_open_delays_no_other():
    book = StateBook()
    state = book.of("a")
    fail(book, "one", 1.0)
    fail(book, "two", 1.0)
    for at_s in (16.0, 31.0, 46.0):
        assert state.may_probe("open", at_s, 15.0, "one")
        state.claim("open", at_s, "one")
        fail(book, "one", at_s, 1)
        assert state.may_probe("open", at_s, 15.0, "three")


def test_what_no_client_can_bring_about_opens_it_for_all():
    book = StateBook()
    assert fail(book, "one", 1.0, verdict="failed")[-1]
    assert fail(book, "one", 1.0, 1, verdict="credential", name="b") == [True]
    assert book.of("a").unfit(2.0, 1, "two") == book.of("b").unfit(2.0, 1, "two") == "open"


def test_a_pause_is_for_the_client_that_was_told_and_for_all_once_a_second_one_was():
    state = StateBook().of("a")
    state.pause(300.0, 0.0, "one")
    assert state.unfit(1.0, 1, "one") == "paused" and state.unfit(1.0, 1, "two") is None
    state.pause(2.0, 1.0, "two")
    assert state.unfit(2.9, 1, "three") == "paused" and state.unfit(3.1, 1, "three") is None


def test_the_names_that_are_looked_at_are_those_that_are_unfit_for_somebody():
    book = StateBook()
    book.of("a").pause(300.0, 0.0, "one")
    fail(book, "one", 1.0, name="b")
    book.troubled |= {"a", "c"}
    book.calm([book.of(name) for name in "abc"], 2.0)
    assert book.troubled == {"a", "b"}
    book.calm([book.of("a")], 301.0)
    assert book.troubled == {"b"}


def test_a_state_that_somebody_still_has_is_the_same_after_names_of_clients_filled_the_memory():
    book = StateBook()
    state = book.of("a")
    for number in range(25_000):
        book.of(f"a/{number}@c")
    assert book.of("a") is state
