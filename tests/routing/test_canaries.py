"""Who tries a canary: a share of the sessions, always the same ones."""

import pytest

from switchgear.routing import canaries, choice, strategies
from switchgear.routing.conditions import Traits, When
from switchgear.routing.states import DeploymentState, StateBook
from switchgear.routing.strategies import Candidate, Occasion

SESSIONS = 20_000


def candidate(name, canary=None, tier=0, **fields):
    return Candidate(name, ord(name), DeploymentState(name), tier, canary=canary, **fields)


def first(candidates, session):
    placed, _ = canaries.place(range(len(candidates)), candidates, Occasion(1, 0, session=session))
    return candidates[placed[0]].name


def drawn(candidates):
    return [f"s{n}" for n in range(SESSIONS) if first(candidates, f"s{n}") != "a"]


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_a_share_of_the_sessions_tries_it_first(share):
    found = len(drawn([candidate("a"), candidate("b", share)])) / SESSIONS
    assert found == pytest.approx(share, abs=4 * (share * (1 - share) / SESSIONS) ** 0.5 + 1e-9)


def test_a_larger_share_keeps_the_sessions_that_try_it():
    small, large = (set(drawn([candidate("a"), candidate("b", share)])) for share in (0.05, 0.2))
    assert small and small < large


def test_two_canaries_have_each_its_own_share():
    both = [candidate("a"), candidate("b", 0.1), candidate("c", 0.3)]
    found = [first(both, f"s{n}") for n in range(SESSIONS)]
    assert found.count("b") / SESSIONS == pytest.approx(0.1, abs=0.01)
    assert found.count("c") / SESSIONS == pytest.approx(0.3, abs=0.015)


def test_other_sessions_never_go_there_even_where_everything_else_is_down():
    ab = [candidate("a"), candidate("b", 0.0)]
    ab[0].state.breaker.open("failures", 0.0)
    chosen = choice.choose(strategies.ordered, ab, Occasion(1, 0, 1.0, session="s"), Traits(), StateBook())
    assert chosen.positions == [0] and chosen.left_out == {1: canaries.NOT_DRAWN}


def test_a_canary_that_is_down_or_not_for_the_request_is_passed_over():
    for canary in (candidate("b", 1.0), candidate("b", 1.0, when=When(keys=("other",)))):
        if canary.when is None:
            canary.state.breaker.open("failures", 1.0)
        chosen = choice.choose(
            strategies.ordered, [candidate("a"), canary], Occasion(1, 0, 1.0, session="s"), Traits(), StateBook()
        )
        assert chosen.positions == [0]


def test_a_canary_goes_before_its_own_tier_only():
    found, _ = canaries.place(
        [0, 1, 2], [candidate("a"), candidate("b", tier=1), candidate("c", 1.0, 1)], Occasion(1, 0)
    )
    assert found == [0, 2, 1]
