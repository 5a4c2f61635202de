"""What happens after a failed attempt."""

import pytest

from switchgear.routing.retry import next_step, parse_retry_after


def step(status, retries=1, has_next=False, may=True, after=None):
    return next_step(status=status, retries_left=retries, has_next=has_next, may_retry=may, retry_after_s=after)


@pytest.mark.parametrize("status", [None, 408, 429, 500, 502, 503, 529])
def test_what_may_pass_is_retried_once(status):
    assert step(status) == "retry"
    assert step(status, retries=0) == "give_up"
    assert step(status, retries=0, has_next=True) == "fallback"
    assert step(status, may=False) == "give_up"


@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_the_clients_mistakes_are_passed_on(status):
    assert step(status, has_next=True) == "give_up"


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_our_mistakes_fall_back_without_a_retry(status):
    assert step(status) == "give_up"
    assert step(status, has_next=True) == "fallback"


def test_patience_ends_after_ten_seconds():
    assert step(503, after=10.0) == "retry"
    assert step(503, after=11.0) == "give_up"
    assert step(429, has_next=True) == "fallback"


@pytest.mark.parametrize(
    ("value", "seconds"), [(b"2", 2.0), (b"0.5", 0.5), (None, None), (b"Wed, 21 Oct", None), (b"-1", None)]
)
def test_retry_after(value, seconds):
    assert parse_retry_after(value) == seconds
