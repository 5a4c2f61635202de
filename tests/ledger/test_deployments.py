"""What is counted of a deployment, and how its health follows."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.test_claims import RID, opened

from switchgear.ledger.deployments import GATEWAY, OK, OUTCOMES, Counter, DeploymentCounts, outcome_of
from switchgear.wire import records

NOW = 1_790_000_000_000


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (200, None, "ok"),
        (401, None, "credential"),
        (402, None, "credential"),
        (403, None, "credential"),
        (404, None, "not_found"),
        (400, None, "client_error"),
        (422, None, "client_error"),
        (408, None, "timeout"),
        (429, None, "rate_limit"),
        (500, None, "server_error"),
        (529, None, "server_error"),
        (None, "connect", "connect"),
        (200, "timeout", "timeout"),
        (200, "unfinished", "broken"),
        (200, "error_200", "server_error"),
        (200, "client_gone", "gateway"),
        (None, "overloaded", "gateway"),
        (None, None, "gateway"),
        (None, "what a later version says", "broken"),
    ],
)
def test_an_attempt_ends_in_one_word(status, error, outcome):
    assert outcome_of(status, error) == outcome
    assert outcome in OUTCOMES


def settled(outcomes, ttft_ms=None):
    return records.Settle(RID, 200, "ok", outcomes, None, 0, None, None, None, None, 0, 90, ttft_ms)


def test_each_attempt_counts_at_its_own_deployment():
    counter = Counter()
    first = records.AttemptOutcome(1, 429, None, 0, 3, 40, None, None)
    last = records.AttemptOutcome(2, 200, None, 40, 50, 90, None, None)
    request = opened(tries=2)
    request.reserve = msgspec.structs.replace(request.reserve, stream=True, time_ms=NOW)
    counter.settled(request, settled([first, last], ttft_ms=60))
    counts = counter.counts
    assert {name: state.outcomes for name, state in counts.items()} == {"a/m@c": {"rate_limit": 1}, "b/m@c": {"ok": 1}}
    assert (counts["a/m@c"].last_failure, counts["a/m@c"].last_failure_ms) == ("rate_limit", NOW + 40)
    good = counts["b/m@c"]
    assert (good.latency.sum_ms, good.first_token.sum_ms, good.last_success_ms) == (50, 20, NOW + 90)


def test_a_plain_answer_has_no_first_token():
    counter = Counter()
    counter.settled(opened(), settled([records.AttemptOutcome(1, 200, None, 0, 3, 9, None, None)], 5))
    counts = counter.counts
    assert (counts["a/m@c"].latency.count, counts["a/m@c"].first_token.count) == (1, 0)


def test_a_failure_counts_in_a_row_until_a_good_answer_and_nothing_else_ends_the_row():
    state = DeploymentCounts()
    for outcome in ("rate_limit", "client_error", GATEWAY, "connect"):
        state.add(outcome, NOW)
    assert (state.failures_in_row, state.failures, state.attempts) == (2, 2, 4)
    state.add(OK, NOW + 1)
    assert (state.failures_in_row, state.last_success_ms, state.last_failure) == (0, NOW + 1, "connect")


def test_good_answers_between_failures_are_counted_in_their_order():
    counter, request = Counter(), opened()
    request.reserve = msgspec.structs.replace(request.reserve, stream=True, time_ms=NOW)
    other = opened()
    good = records.AttemptOutcome(1, 200, None, 10, 13, 30, None, None)
    bad = records.AttemptOutcome(1, None, "connect", 0, None, 5, None, None)
    for ends in ([bad], [bad], [good], [good], [bad]):
        counter.settled(request, settled(ends, ttft_ms=12))
    assert counter.counts["a/m@c"].failures_in_row == 1
    counter.settled(other, settled([good]))  # another path to the same deployment
    state = counter.counts["a/m@c"]
    assert (state.outcomes, state.failures_in_row) == ({"ok": 3, "connect": 3}, 0)
    assert (state.latency.count, state.latency.sum_ms) == (3, 60)
    assert (state.first_token.count, state.first_token.sum_ms) == (2, 4)


@given(
    events=st.lists(st.tuples(st.sampled_from(OUTCOMES), st.integers(1, 10**6), st.integers(0, 10**6)), max_size=30),
    cuts=st.lists(st.integers(0, 30), max_size=4),
)
def test_counts_in_pieces_add_up_to_counts_in_one(events, cuts):
    whole, merged = DeploymentCounts(), DeploymentCounts()
    for outcome, at_ms, latency_ms in events:
        whole.add(outcome, at_ms, latency_ms, latency_ms)
    edges = [0, *sorted(min(cut, len(events)) for cut in cuts), len(events)]
    for begin, end in itertools.pairwise(edges):
        piece = DeploymentCounts()
        for outcome, at_ms, latency_ms in events[begin:end]:
            piece.add(outcome, at_ms, latency_ms, latency_ms)
        merged.merge(msgspec.json.decode(msgspec.json.encode(piece), type=DeploymentCounts))
    assert merged == whole
