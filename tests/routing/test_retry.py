"""What happens after a failed attempt."""

import pytest

from switchgear.routing.retry import next_step, parse_retry_after


def step(status=None, reason=None, retries=1, has_next=False, may=True, after=None):
    return next_step(
        status=status, reason=reason, retries_left=retries, has_next=has_next, may_go_on=may, retry_after_s=after
    )


@pytest.mark.parametrize("status", [408, 429, 500, 501, 502, 503, 504, 505, 520, 524, 529, 530, 599])
def test_a_transient_failure_is_retried_once(status):
    assert step(status) == "retry"
    assert step(status, retries=0) == "give_up"
    assert step(status, retries=0, has_next=True) == "fallback"


@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_the_clients_mistakes_are_passed_on(status):
    assert step(status, has_next=True) == "give_up"


@pytest.mark.parametrize("status", [401, 402, 403, 404, 407])
def test_our_mistakes_fall_back_without_a_retry(status):
    assert step(status) == "give_up"
    assert step(status, has_next=True) == "fallback"


def test_a_connect_failure_is_tried_again_before_it_goes_elsewhere():
    assert step(reason="connect", has_next=True) == "retry"
    assert step(reason="connect", retries=0, has_next=True) == "fallback"


@pytest.mark.parametrize("reason", ["broken", "unfinished", "garbage", "error_200", "error_first"])
def test_a_request_sent_without_an_answer_goes_to_another_deployment_first(reason):
    assert step(reason=reason, has_next=True) == "fallback"
    assert step(reason=reason) == "retry"
    assert step(reason=reason, retries=0) == "give_up"


@pytest.mark.parametrize("reason", ["timeout", "overloaded", "refused"])
def test_a_timeout_or_a_refused_connection_is_not_retried_at_the_same_deployment(reason):
    assert step(reason=reason) == "give_up"
    assert step(reason=reason, has_next=True) == "fallback"


@pytest.mark.parametrize("reason", ["vault_lost", "frozen", "interrupted", "too_large", "anything"])
def test_L1_the_gateways_own_ends_are_never_tried_again(reason):
    assert step(reason=reason, has_next=True) == "give_up"


@pytest.mark.parametrize(("status", "reason"), [(500, None), (429, None), (401, None), (None, "connect"), (None, "timeout"), (None, "garbage")])  # fmt: skip
def test_without_time_or_client_nothing_is_tried(status, reason):
    assert step(status, reason, has_next=True, may=False) == "give_up"


def test_patience_ends_after_ten_seconds():
    assert step(503, after=10.0) == "retry"
    assert step(503, after=11.0) == "give_up"
    assert step(429, has_next=True) == "fallback"


@pytest.mark.parametrize(
    ("value", "seconds"), [(b"2", 2.0), (b"0.5", 0.5), (None, None), (b"Wed, 21 Oct", None), (b"-1", None)]
)
def test_a_retry_after_header_is_read_in_seconds(value, seconds):
    assert parse_retry_after(value) == seconds
