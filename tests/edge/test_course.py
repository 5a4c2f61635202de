"""Where attempts go after a failure."""

from types import SimpleNamespace

import pytest

from switchgear.core import problems
from switchgear.core.problems import Problem
from switchgear.edge.course import FALLBACK, GIVE_UP, Course, RoutedCourse
from switchgear.edge.setback import Setback
from switchgear.routing import retry

BACKOFF_S = 0.1  # docs/configuration.md: `retry`

PROBLEM = Problem(problems.UPSTREAM_BROKEN, "it failed")


def failure(reason=None, status=None, retry_after_s=None):
    return Setback(reason, PROBLEM, status=status, retry_after_s=retry_after_s)


def test_a_deployment_that_cannot_be_reached_is_asked_again_and_then_the_next():
    course = Course(["a", "b"], 1, 60.0)
    assert course.after(failure("connect"), True).pause_s == BACKOFF_S
    assert course.after(failure("connect"), True) is FALLBACK
    assert course.go_on() and course.current == "b"
    assert course.after(failure("connect"), True) is GIVE_UP and not course.go_on()


@pytest.mark.parametrize(("asked_s", "pause_s"), [(None, BACKOFF_S), (3.0, 3.0)])
def test_a_provider_says_how_long_to_wait(asked_s, pause_s):
    move = Course(["a"], 1, 60.0).after(failure(status=503, retry_after_s=asked_s), True)
    assert (move.step, move.pause_s) == ("retry", pause_s)


def test_a_failure_after_the_deadline_gives_up():
    assert Course(["a", "b"], 1, 60.0).after(failure("connect"), False) is GIVE_UP


def test_attempts_are_bounded_whatever_is_left():
    course = Course(["a"] * 20, 20, 60.0)
    course.number = retry.ATTEMPTS_MAX
    assert course.after(failure("connect"), True) is GIVE_UP


@pytest.mark.parametrize("status", [400, 422])
def test_a_clients_mistake_is_asked_of_nobody_else(status):
    assert Course(["a", "b"], 1, 60.0).after(failure(status=status), True) is GIVE_UP


def test_no_more_deployments_are_asked_for_one_kind_of_error_than_for_any():
    special = [
        SimpleNamespace(deployment=SimpleNamespace(only_after="context_length"), candidate=None) for _ in range(20)
    ]
    course = RoutedCourse([SimpleNamespace(candidate=None)], 0, 60.0, special=special)
    too_long = Setback(None, PROBLEM, status=400, kind="context_length")
    course.number = 1
    while course.after(too_long, True) is not GIVE_UP and course.go_on():
        course.number += 1
    assert course.number == retry.ATTEMPTS_MAX
