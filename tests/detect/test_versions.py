import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.detect.versions import is_before, parse

ORDERED = [
    "0.9",
    "1.0.0rc1",
    "1.0",
    "1.0.post1",
    "1.0.1",
    "1.2",
    "1.10",
    "1.82.7",
    "1.83.7",
    "1.83.14",
    "2",
    "2026.5.27",
]


@pytest.mark.parametrize(("one", "other"), list(itertools.pairwise(ORDERED)))
def test_an_older_version_is_before_a_newer_one(one, other):
    assert is_before(one, other) is True and is_before(other, one) is False


@pytest.mark.parametrize(
    ("one", "other"), [("1.0", "1.0.0"), ("v1.2.3", "1.2.3"), ("main-v1.81.0", "1.81.0"), ("b3561", "b3561-abc")]
)
def test_equal_versions_are_not_before_each_other(one, other):
    assert is_before(one, other) is False and is_before(other, one) is False


@pytest.mark.parametrize("text", ["latest", "main", "", "sha256:abc", "a1b2c3d", "stable", "1..2", "9" * 40])
def test_what_is_no_release_cannot_be_judged(text):
    assert parse(text) is None and is_before(text, "1.0") is None


def test_builds_and_releases_are_not_compared():
    assert is_before("b100", "1.0") is None and is_before("b3000", "b3561") is True


@given(st.tuples(*[st.integers(0, 99)] * 3), st.tuples(*[st.integers(0, 99)] * 3))
def test_numbers_order_as_numbers(one, other):
    assert is_before(".".join(map(str, one)), ".".join(map(str, other))) == (one < other)
