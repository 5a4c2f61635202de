"""Which deployments a request goes to, and why not to the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.routing import choice, conditions, strategies
from switchgear.routing.breaker import BreakerRules
from switchgear.routing.conditions import Traits, When
from switchgear.routing.states import DeploymentState, Health, Opened, StateBook
from switchgear.routing.strategies import Candidate, Occasion

RULES = BreakerRules(probe_s=15.0)


def candidate(name, tier=0, when=None):
    return Candidate(name, ord(name), DeploymentState(name), tier, when=when, rules=RULES)


def chosen(candidates, now_s=100.0, traits=Traits(), tokens=0, order=strategies.ordered):  # noqa: B008 - frozen
    return choice.choose(order, candidates, Occasion(1, 0, now_s, input_tokens=tokens), traits, StateBook())


def names(candidates, found):
    return "".join(candidates[position].name for position in found.positions)


def test_what_is_well_is_asked_in_its_order():
    abc = [candidate(name) for name in "abc"]
    assert names(abc, chosen(abc)) == "abc"


def test_an_open_breaker_a_pause_and_a_limit_are_left_out_and_said():
    abcd = [candidate(name) for name in "abcd"]
    abcd[0].state.breaker.open("failures", 99.0)
    abcd[1].state.pause(20.0, 99.0)
    found = chosen(abcd)
    assert names(abcd, found) == "cd"
    assert set(found.left_out) == {0, 1} and "breaker" in found.left_out[0]


def test_where_none_is_well_all_are_asked():
    ab = [candidate(name) for name in "ab"]
    for one in ab:
        one.state.breaker.open("failures", 99.0)
    assert names(ab, chosen(ab)) == "ab"


def test_a_tier_that_is_down_gives_way_to_the_next():
    ab = [candidate("a"), candidate("b", tier=1)]
    ab[0].state.breaker.open("failures", 99.0)
    assert names(ab, chosen(ab)) == "b"


def test_a_probe_that_is_due_goes_first_and_the_others_follow():
    abc = [candidate(name) for name in "abc"]
    abc[2].state.breaker.open("failures", 80.0)
    found = chosen(abc)
    assert names(abc, found) == "cab" and found.probe == 2


def test_a_lower_tier_is_never_probed_while_a_higher_one_is_well():
    ab = [candidate("a"), candidate("b", tier=1)]
    ab[1].state.breaker.open("failures", 0.0)
    assert names(ab, chosen(ab)) == "a"


@given(st.lists(st.sampled_from(["well", "open", "paused"]), min_size=1, max_size=6), st.integers(0, 99))
def test_somebody_is_always_asked_and_nobody_twice(states, seed):
    tier = [candidate(chr(97 + number)) for number in range(len(states))]
    for one, state in zip(tier, states, strict=True):
        if state == "open":
            one.state.breaker.open("failures", 99.0)
        elif state == "paused":
            one.state.pause(30.0, 99.0)
    found = choice.choose(strategies.weighted, tier, Occasion(seed, 0, 100.0), Traits(), StateBook())
    assert found.positions and len(set(found.positions)) == len(found.positions)
    if "well" in states:
        assert all(states[position] == "well" for position in found.positions)


@pytest.mark.parametrize(
    ("when", "traits", "fits"),
    [
        (When(), Traits(), True),
        (When(keys=("ci",)), Traits(key="ci"), True),
        (When(keys=("ci",)), Traits(key="other"), False),
        (When(teams=("t",)), Traits(team=None), False),
        (When(tags=("a=1", "b=2")), Traits(tags=frozenset({"b=2"})), True),
        (When(tags=("a=1",)), Traits(), False),
        (When(tokens_max=100), Traits(tokens=100), True),
        (When(tokens_max=100), Traits(tokens=101), False),
        (When(tokens_min=100), Traits(tokens=99), False),
        (When(needs=("images",)), Traits(needs=frozenset({"images", "tools"})), True),
        (When(needs=("images", "tools")), Traits(needs=frozenset({"images"})), False),
        (When(without=("images",)), Traits(needs=frozenset({"tools"})), True),
        (When(without=("images",)), Traits(needs=frozenset({"images"})), False),
    ],
)
def test_conditions_hold_or_say_which_does_not(when, traits, fits):
    assert (conditions.mismatch(when, traits) is None) is fits
    tier = [candidate("a", when=when), candidate("b")]
    assert names(tier, chosen(tier, traits=traits)) == ("ab" if fits else "b")


def test_where_the_conditions_of_all_speak_against_it_nobody_is_asked():
    tier = [candidate("a", when=When(keys=("x",))), candidate("b", when=When(keys=("y",)))]
    found = chosen(tier, traits=Traits(key="z"))
    assert found.positions == [] and set(found.left_out) == {0, 1}


@pytest.mark.parametrize(
    ("required", "labels", "fits"),
    [({}, {}, True), ({"region": "eu"}, {"region": "eu", "zdr": "yes"}, True), ({"region": "eu|uk"}, {"region": "uk"}, True),
     ({"region": "eu"}, {"region": "us"}, False), ({"region": "eu"}, {}, False), ({"a": "1", "b": "2"}, {"a": "1"}, False)],
)  # fmt: skip
def test_required_labels_are_had_or_named(required, labels, fits):
    assert (conditions.lacks(required, labels) is None) is fits


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
