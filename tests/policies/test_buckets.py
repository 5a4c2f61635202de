"""Readings of buckets."""

import pytest

from switchgear.policies.buckets import Reading


@pytest.mark.parametrize(("settled", "held", "used", "remaining"), [(3, 4, 7, 3), (10, 0, 10, 0), (12, 1, 13, 0)])
def test_what_is_left_is_what_neither_was_used_nor_is_held(settled, held, used, remaining):
    reading = Reading(settled=settled, held=held, limit=10)
    assert (reading.used, reading.remaining) == (used, remaining)
