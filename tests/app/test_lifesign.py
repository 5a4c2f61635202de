"""A loop that stands still is found, one at a time; a supervisor that was late blames nobody."""

import itertools
import os

import pytest

from switchgear.app import lifesign
from switchgear.app.lifesign import CONTROL_SILENCE_S, SILENCE_S, START_S, TICK_S, Watch


def follow(watch, from_s, seconds, counts):
    """Look every TICK_S; `counts(n)` are those of the n-th look. Returns (time, name) of each that hangs."""
    found = []
    for n in range(int(seconds / TICK_S) + 1):
        hung = watch.look(from_s + n * TICK_S, counts(n))
        if hung is not None:
            found.append((from_s + n * TICK_S, hung[0]))
    return found


def test_children_that_count_are_left_alone():
    counts = lambda n: {"vault": ("vault", n + 1), "edge-0": ("edge", n + 1)}  # noqa: E731
    assert follow(Watch(), 100.0, 60.0, counts) == []


@pytest.mark.parametrize(
    ("role", "silence_s"), [("edge", SILENCE_S), ("vault", SILENCE_S), ("control", CONTROL_SILENCE_S)]
)
def test_one_that_stands_still_is_named_after_its_patience(role, silence_s):
    counts = lambda n: {"x": (role, 7), "other": ("edge", n + 1)}  # noqa: E731
    assert follow(Watch(), 100.0, silence_s, counts) == [(100.0 + silence_s, "x")]


def test_all_that_stand_still_are_given_up_one_at_a_time():
    counts = lambda n: dict.fromkeys(("a", "b", "c"), ("edge", 7))  # noqa: E731
    found = follow(Watch(), 100.0, 3 * SILENCE_S, counts)
    times = [at for at, _ in found]
    assert len(found) == 3 and all(later - earlier >= SILENCE_S for earlier, later in itertools.pairwise(times))


def test_a_supervisor_that_was_late_starts_counting_again():
    watch = Watch()
    still = lambda n: {"vault": ("vault", 7)}  # noqa: E731
    assert follow(watch, 100.0, SILENCE_S - 1, still) == []
    assert watch.look(100.0 + SILENCE_S + 3_600, still(0)) is None, "the machine slept"
    assert follow(watch, 100.0 + SILENCE_S + 3_601, SILENCE_S - 2, still) == []
    assert follow(watch, 100.0 + SILENCE_S * 2 + 3_600, 2.0, still) != []


def test_one_that_starts_has_time():
    counts = lambda n: {"edge-0": ("edge", 0)}  # noqa: E731
    found = follow(Watch(), 0.0, START_S, counts)
    assert found == [(START_S, "edge-0")]


def test_a_successor_is_another():
    watch = Watch()
    assert watch.look(0.0, {"edge-0": ("edge", 5)}) is None
    for n in range(1, 9):
        watch.look(float(n), {"edge-0": ("edge", 5)})
    assert watch.look(9.0, {}) is None
    assert watch.look(10.0, {"edge-0": ("edge", 5)}) is None
    assert watch.look(11.0, {"edge-0": ("edge", 5)}) is None


def test_counts_pass_through_the_file():
    fd = lifesign.make()
    try:
        assert lifesign.read(fd) == 0
        lifesign.count(fd, 41)
        assert lifesign.read(fd) == 41
        os.ftruncate(fd, 0)  # what a compromised child may do to it
        assert lifesign.read(fd) == 0
    finally:
        os.close(fd)
