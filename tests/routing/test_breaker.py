"""When a deployment is left alone, and when it is asked again."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.routing.breaker import Breaker, BreakerRules, verdict_of

RULES = BreakerRules(failures=3, error_rate=0.5, requests_min=10, probe_s=15.0)


def fail(breaker, now_s, count=1, verdict="failed"):
    return [breaker.note(verdict, now_s, now_s, RULES) for _ in range(count)]


@pytest.mark.parametrize(
    ("status", "error", "verdict"),
    [
        (200, None, "good"), (400, None, "neutral"), (404, None, "neutral"), (408, None, "doubtful"), (429, None, "neutral"),
        (500, None, "doubtful"), (529, None, "doubtful"), (401, None, "credential"), (407, None, "credential"),
        (402, None, "doubtful"), (403, None, "doubtful"), (None, "connect", "failed"), (None, "timeout", "doubtful"),
        (200, "broken", "doubtful"), (200, "garbage", "doubtful"), (None, "client_gone", "neutral"), (None, "interrupted", "neutral"),
        (None, "overloaded", "neutral"), (None, None, "neutral"),
    ],
)  # fmt: skip
def test_an_end_says_this_of_its_deployment(status, error, verdict):
    assert verdict_of(status, error) == verdict


def test_failures_in_a_row_open_it_and_a_good_answer_between_begins_anew():
    breaker = Breaker()
    assert fail(breaker, 1.0, 2) == [False, False]
    breaker.note("good", 1.0, 1.0, RULES)
    assert fail(breaker, 2.0, 3) == [False, False, True]
    assert (breaker.reason, breaker.opened_s) == ("failures", 2.0)


def test_a_refused_credential_opens_it_at_once():
    breaker = Breaker()
    assert fail(breaker, 1.0, verdict="credential") == [True] and breaker.reason == "credential"


def test_a_rate_of_failures_opens_it_only_among_enough_attempts():
    breaker = Breaker()
    ends = ["good", "failed", "failed"] * 4
    changes = [breaker.note(end, 1.0, 1.0, RULES) for end in ends]
    assert changes.index(True) == 10 and breaker.reason == "error_rate"


def test_failures_of_long_ago_are_forgotten():
    breaker = Breaker()
    for _ in range(4):
        fail(breaker, 0.0, 2)
        breaker.note("good", 0.0, 0.0, RULES)
    breaker.note("good", 100.0, 100.0, RULES)
    assert fail(breaker, 100.0, 2) == [False, False]


def test_a_probe_is_due_after_the_pause_and_only_one_is_sent():
    breaker = Breaker()
    fail(breaker, 10.0, 3)
    assert not breaker.may_probe(24.9, RULES.probe_s)
    assert breaker.may_probe(25.0, RULES.probe_s)
    breaker.claim(25.0)
    assert not breaker.may_probe(39.9, RULES.probe_s)


def test_a_good_answer_to_a_probe_closes_it_and_a_failed_one_waits_again():
    breaker = Breaker()
    fail(breaker, 10.0, 3)
    breaker.claim(25.0)
    assert not breaker.note("failed", 25.0, 26.0, RULES) and breaker.is_open
    assert not breaker.may_probe(40.9, RULES.probe_s)
    breaker.claim(41.0)
    assert breaker.note("good", 41.0, 42.0, RULES) and not breaker.is_open


def test_an_answer_that_was_asked_for_before_it_opened_closes_nothing():
    breaker = Breaker()
    fail(breaker, 10.0, 3)
    assert not breaker.note("good", 9.0, 11.0, RULES) and breaker.is_open


@given(st.lists(st.tuples(st.floats(0.01, 3.0), st.sampled_from(["failed", "neutral", "credential"])), max_size=300))
def test_however_it_fails_it_is_asked_at_most_once_per_pause_after_it_opened(steps):
    breaker, now_s, asked = Breaker(), 0.0, []
    for pause_s, verdict in steps:
        now_s += pause_s
        if not breaker.is_open:
            breaker.note(verdict, now_s, now_s, RULES)
        elif breaker.may_probe(now_s, RULES.probe_s):
            breaker.claim(now_s)
            asked.append(now_s)
            breaker.note(verdict, now_s, now_s + 0.001, RULES)
    assert all(later - sooner >= RULES.probe_s for sooner, later in itertools.pairwise(asked))


def test_a_client_whose_probes_say_nothing_keeps_nobody_else_from_asking():
    breaker = Breaker()
    fail(breaker, 10.0, 3)
    breaker.claim(25.0, "loud")
    assert not breaker.may_probe(26.0, RULES.probe_s, "quiet")
    assert not breaker.note("neutral", 25.0, 26.0, RULES, "loud")
    assert breaker.may_probe(26.0, RULES.probe_s, "quiet"), "it left, or was refused: nothing is known"
    assert not breaker.may_probe(39.9, RULES.probe_s, "loud") and breaker.may_probe(40.0, RULES.probe_s, "loud")


def test_a_client_that_waits_for_its_probe_lets_others_ask_next():
    breaker = Breaker()
    fail(breaker, 10.0, 3)
    breaker.claim(25.0, "slow")
    assert not breaker.may_probe(54.9, RULES.probe_s, "slow") and breaker.may_probe(40.0, RULES.probe_s, "other")


@pytest.mark.parametrize(
    ("error", "said", "verdict"),
    [
        ("error_first", 400, "neutral"), ("error_200", 404, "neutral"), ("error_first", 429, "neutral"),
        ("error_first", 500, "doubtful"), ("error_200", 529, "doubtful"), ("error_first", None, "doubtful"),
    ],
)  # fmt: skip
def test_an_error_within_an_answer_is_judged_by_the_status_that_it_stands_for(error, said, verdict):
    assert verdict_of(200, error, said) == verdict
