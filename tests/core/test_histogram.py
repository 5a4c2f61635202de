"""Histograms: counts up to each bound."""

import itertools
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.core.histogram import Histogram


def of(*values, bounds=(50, 100, 1_000)):
    made = Histogram(bounds)
    for value in values:
        made.add(value)
    return made


def test_a_value_counts_in_its_bound_and_all_above_it():
    assert of(50, 51, 5_000).buckets() == [("0.05", 1.0), ("0.1", 2.0), ("1.0", 2.0), ("+Inf", 3.0)]
    assert of(50, 51, 5_000).sum_ms == 5_101


def test_nothing_counted_is_all_zero():
    assert of().buckets() == [("0.05", 0.0), ("0.1", 0.0), ("1.0", 0.0), ("+Inf", 0.0)]
    assert (of().count, of().quantile_ms(0.5)) == (0, None)


@given(st.lists(st.integers(0, 2_000)))
def test_many_at_once_are_counted_as_one_by_one(values):
    together = of(7)
    together.add_all(list(values))
    assert together == of(7, *values)


def test_a_time_below_nothing_counts_as_none():
    together = of()
    together.add_all([5, -3])
    assert together == of(0, 5)


def test_two_add_up_to_what_one_would_have_counted():
    left = of(1, 60)
    left.merge(of(99, 2_000))
    assert left == of(1, 60, 99, 2_000)
    empty = of()
    empty.merge(left)
    empty.merge(of())
    assert empty == left
    left.add(1)
    assert empty != left, "the other one goes its own way"


@pytest.mark.parametrize("old", [Histogram((5, 10), [1, 2, 3], 9), Histogram((50, 100, 1_000), [1], 9)])
def test_counts_by_other_bounds_are_begun_again(old):
    old.merge(of(60))
    assert old == of(60)


@pytest.mark.parametrize(("share", "found"), [(0.25, 25), (0.5, 50), (0.75, 100), (0.625, 75), (1.0, 1_000)])
def test_a_quantile_lies_evenly_between_the_bounds_around_it(share, found):
    """prometheus.io/docs, "histogram_quantile": two of four are below 50, so a quarter of all is below 25; what is above the last
    bound is told as that bound."""
    assert of(1, 2, 60, 9_000).quantile_ms(share) == found


@given(st.lists(st.integers(0, 999), min_size=1), st.floats(0.01, 1.0))
def test_a_quantile_lies_in_the_bucket_of_the_value_that_it_estimates(values, share):
    bounds = (0, 50, 100, 1_000)
    true = sorted(values)[max(0, math.ceil(len(values) * share - 1e-9) - 1)]
    below, above = next((low, high) for low, high in itertools.pairwise(bounds) if true <= high)
    assert below <= of(*values).quantile_ms(share) <= above


def test_a_histogram_survives_its_encoding():
    assert msgspec.json.decode(msgspec.json.encode(of(1, 60)), type=Histogram) == of(1, 60)
