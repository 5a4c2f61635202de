"""Which deployments a request goes to, and why not to the others."""

from hypothesis import given
from hypothesis import strategies as st

from switchgear.routing import choice, strategies
from switchgear.routing.breaker import BreakerRules
from switchgear.routing.conditions import Traits, When
from switchgear.routing.states import DeploymentState, StateBook
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


def test_where_the_conditions_of_all_speak_against_it_nobody_is_asked():
    tier = [candidate("a", when=When(keys=("x",))), candidate("b", when=When(keys=("y",)))]
    found = chosen(tier, traits=Traits(key="z"))
    assert found.positions == [] and set(found.left_out) == {0, 1}
