"""Waiting ends early, and ends at all."""

from switchgear.testing import patience


def test_it_ends_when_it_is_enough():
    seen = iter(range(100))
    assert patience.until(lambda: next(seen), lambda n: n == 3) == 3


def test_it_gives_back_what_it_saw_last_when_patience_ends():
    assert patience.until(lambda: 0, seconds=0.0) == 0
