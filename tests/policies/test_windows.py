"""Sliding windows: never more than N in any window."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.policies import windows


@pytest.mark.parametrize("window_us", [1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000, 1_000_001])
def test_N3_the_sub_windows_that_count_span_every_window_that_ends_in_the_last(window_us):
    width = windows.width_us(window_us)
    assert (windows.SUBWINDOWS - 1) * width >= window_us
    assert (windows.SUBWINDOWS - 1) * width < window_us + windows.SUBWINDOWS


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 9)), max_size=80), st.integers(0, 200))
def test_a_ring_counts_what_happened_in_the_last_64_sub_windows(steps, later):
    ring, events, now = windows.Ring(10), [], 0
    for passed, amount in steps:
        now += passed * 10
        number = ring.advance(now)
        assert number == now // 10
        ring.add(number, amount)
        events.append((number, amount))
        assert ring.total == sum(a for n, a in events if n > number - 64)
    number = now // 10 + later
    expected = [(n, a) for n, a in events if n > number - 64]
    assert windows.live(ring.slots, ring.last, number) == sum(a for _, a in expected)
    leaves = windows.leaving(ring.slots, ring.last, number)
    assert sum(a for _, a in leaves) == sum(a for _, a in expected)
    assert {n for n, _ in leaves} == {n for n, a in expected if a}


def test_a_clock_that_goes_back_keeps_what_was_counted():
    ring = windows.Ring(10)
    ring.add(ring.advance(1_000), 5)
    assert ring.advance(500) == 100
    assert ring.total == 5


def test_a_correction_of_what_left_the_window_changes_nothing():
    ring = windows.Ring(10)
    ring.add(ring.advance(1_000), 5)
    ring.advance(2_000)
    ring.add(100, -5)
    assert ring.total == 0


def test_the_time_until_something_fits_counts_what_leaves_of_all_rings():
    leaves = [(7, 2), (5, 1), (6, 2)]
    assert windows.fits_us(leaves, 1, 10) == 69 * 10
    assert windows.fits_us(leaves, 3, 10) == 70 * 10
    assert windows.fits_us(leaves, 5, 10) == 71 * 10
    assert windows.fits_us(leaves, 6, 10) is None
