"""Control gives the balances."""

import fcntl
import os

import pytest
from tests.counters.test_backend import (
    MINUTE_US,
    NAMES,
    SMALL,
    Time,
    balance,
    columns,
    full,
    reading,
    settle,
    shared,
    take,
    taken,
    window,
)

from switchgear.counters import column, layout
from switchgear.counters.backend import Unknown
from switchgear.counters.rebuild import Rebuild
from switchgear.policies.buckets import Hold

ATTEMPT = "a" * 32 + "-1"
BUDGET = balance(100, is_budget=True)
OTHER = balance(100, "other", is_budget=True)


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def processes(time, tmp_path):
    """Two edges and control."""
    made = [shared(time, tmp_path, name, "control") for name in NAMES]
    yield made
    for process in made:
        process.close()


def rebuilt(control, time, *balances):
    rebuild = Rebuild(control, time.us)
    for bucket, settled in balances:
        rebuild.balance(bucket, settled)
    rebuild.end()


def test_N2_budgets_are_unknown_until_the_balances_were_given(processes, time):
    edge, _, control = processes
    rebuild = Rebuild(control, time.us)
    assert isinstance(take(edge, (BUDGET, 1)), Unknown)
    rebuild.balance(BUDGET, 90)
    assert isinstance(take(edge, (BUDGET, 1)), Unknown)
    rebuild.end()
    full(edge, (BUDGET, 11))
    taken(edge, (BUDGET, 10), (OTHER, 100))
    assert reading(edge, BUDGET).settled == 90


def test_what_was_counted_before_is_replaced_by_what_is_given(processes, time):
    one, other, control = processes
    rebuilt(control, time)
    settle(one, taken(one, (BUDGET, 40)), 40)
    open_before = taken(other, (BUDGET, 30))
    time.us += 1_000
    rebuilt(control, time, (BUDGET, 55))
    assert reading(one, BUDGET).used == 55
    settle(other, open_before, 30)
    assert reading(one, BUDGET).used == 55, "control settles what was open"
    settle(other, taken(other, (BUDGET, 45)), 45)
    assert reading(one, BUDGET).settled == 100


def test_an_open_request_is_held_uncertain_until_control_settles_it(processes, time):
    edge, _, control = processes
    rebuild = Rebuild(control, time.us)
    rebuild.balance(BUDGET, 20)
    ticket = rebuild.hold(ATTEMPT, [Hold(BUDGET, 50), Hold(OTHER, 50)], time.us + MINUTE_US)
    rebuild.end()
    found = reading(edge, BUDGET)
    assert (found.settled, found.held, found.uncertain) == (20, 50, 50)
    full(edge, (OTHER, 51))
    settle(control, ticket, 7, 8)
    found = reading(edge, BUDGET)
    assert (found.settled, found.held, found.uncertain) == (27, 0, 0)
    assert reading(edge, OTHER).settled == 8


def test_an_open_request_that_nobody_settles_ends_at_its_time(processes, time):
    edge, _, control = processes
    rebuild = Rebuild(control, time.us)
    rebuild.hold(ATTEMPT, [Hold(BUDGET, 50)], time.us + MINUTE_US)
    rebuild.end()
    time.us += MINUTE_US
    control.flush()
    assert reading(edge, BUDGET).used == 0


def test_a_second_rebuild_begins_at_nothing(processes, time):
    edge, _, control = processes
    rebuild = Rebuild(control, time.us)
    rebuild.balance(BUDGET, 20)
    ticket = rebuild.hold(ATTEMPT, [Hold(BUDGET, 50)], time.us + MINUTE_US)
    rebuild.end()
    rebuilt(control, time, (OTHER, 5))
    assert (reading(edge, BUDGET).used, reading(edge, OTHER).used) == (0, 5)
    with pytest.raises(KeyError):
        control.settle(ticket, [1])
    time.us += 2 * MINUTE_US
    control.flush()
    assert reading(edge, OTHER).used == 5


def test_control_that_starts_again_keeps_what_is_known(time, tmp_path):
    edge, control = shared(time, tmp_path, "edge-0", "control"), shared(time, tmp_path, "control", "control")
    rebuild = Rebuild(control, time.us)
    rebuild.balance(BUDGET, 20)
    rebuild.hold(ATTEMPT, [Hold(BUDGET, 50)], time.us + MINUTE_US)
    rebuild.end()
    control.close()
    control = shared(time, tmp_path, "control", "control")
    assert reading(edge, BUDGET).used == 70
    settle(control, control.orphans[ATTEMPT][0], 3)
    assert reading(edge, BUDGET).used == 23
    control.close()
    edge.close()


def test_a_rebuild_that_was_not_ended_leaves_balances_unknown(time, tmp_path):
    edge, control = shared(time, tmp_path, "edge-0", "control"), shared(time, tmp_path, "control", "control")
    Rebuild(control, time.us).balance(BUDGET, 20)
    control.close()
    assert take(edge, (BUDGET, 1)) == Unknown("balances are being rebuilt")
    edge.close()


def test_a_lost_column_makes_balances_unknown_until_they_are_given_again(time, tmp_path):
    edge, control = shared(time, tmp_path, "edge-0", "control"), shared(time, tmp_path, "control", "control")
    rebuilt(control, time, (BUDGET, 20))
    taken(edge, (BUDGET, 60))
    edge.close()
    control.close()
    column.path_of(tmp_path, "edge-0").write_bytes(b"")
    assert columns(tmp_path) == ["edge-0"]
    column.forget_balances(tmp_path, "control")
    edge, control = shared(time, tmp_path, "edge-0", "control"), shared(time, tmp_path, "control", "control")
    assert isinstance(take(edge, (BUDGET, 1)), Unknown)
    rebuilt(control, time, (BUDGET, 80))
    full(edge, (BUDGET, 21))
    edge.close()
    control.close()


def test_a_window_is_given_with_the_age_of_its_amounts(processes, time):
    edge, _, control = processes
    rebuilt(control, time)
    rolling = window(100, "rolling", is_budget=True)
    Rebuild(control, time.us).window(rolling, [(50_000_000, 30), (10_000_000, 40), (2 * MINUTE_US, 99)])
    rebuilt(control, time)
    assert reading(edge, rolling).used == 70
    full(edge, (rolling, 31))
    time.us += 12_000_000
    taken(edge, (rolling, 60))


def test_N4_balances_without_room_are_told_one_by_one_and_their_requests_refused(processes, time):
    edge, _, control = processes
    rebuild = Rebuild(control, time.us)
    buckets = [balance(9, f"b{number}", is_budget=True) for number in range(SMALL.balances + 8)]
    given = [rebuild.balance(bucket, 9) for bucket in buckets]
    rebuild.end()
    assert sum(given) < len(buckets)
    assert isinstance(take(edge, (buckets[given.index(False)], 1)), Unknown)
    full(edge, (buckets[0], 1))


def test_N4_values_without_room_count_where_edges_count_them_and_leave_room_for_others(processes, time):
    edge, _, control = processes
    rest = balance(9, "rest", is_budget=True)
    values = [balance(9, f"v{n}", is_budget=True, share="key:k", overflow=rest) for n in range(SMALL.balances)]
    rebuild = Rebuild(control, time.us)
    given = [rebuild.balance(value, 9) for value in values]
    assert rebuild.balance(rest, 9)
    rebuild.end()
    assert 0 < sum(given) <= SMALL.balances // 2
    for value in values:
        full(edge, (value, 1))
    taken(edge, (BUDGET, 1))


def test_a_busy_lock_leaves_everything_as_it_was(processes, time, tmp_path):
    edge, _, control = processes
    rebuilt(control, time, (BUDGET, 20))
    fd = os.open(tmp_path / column.LOCK, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    with pytest.raises(BlockingIOError):
        Rebuild(control, time.us)
    os.close(fd)
    assert reading(edge, BUDGET).used == 20


def test_a_given_balance_is_found_by_the_edges_in_its_row(processes, time):
    edge, _, control = processes
    buckets = [balance(9, f"b{number}", is_budget=True) for number in range(40)]
    rebuilt(control, time, *((bucket, number % 9) for number, bucket in enumerate(buckets)))
    for number, bucket in enumerate(buckets):
        taken(edge, (bucket, 9 - number % 9))
        assert reading(control, bucket).used == 9
    assert control.own.words[layout.EPOCH] > 0


def test_open_requests_without_room_are_refused_by_name(processes, time):
    rebuild = Rebuild(processes[2], time.us)
    with pytest.raises(ValueError, match="is of none"):
        rebuild.hold(ATTEMPT, [Hold(window(9), 1)], time.us)
    for _ in range(SMALL.holds):
        rebuild.hold(ATTEMPT, [Hold(BUDGET, 0)], time.us + MINUTE_US)
    with pytest.raises(ValueError, match="open requests"):
        rebuild.hold(ATTEMPT, [Hold(BUDGET, 0)], time.us + MINUTE_US)


def test_windows_without_room_are_refused_by_name(processes, time):
    rebuild = Rebuild(processes[2], time.us)
    with pytest.raises(ValueError, match="more windows"):
        for number in range(SMALL.windows + 1):
            rebuild.window(window(9, f"w{number}"), [(0, 1)])


def test_what_the_last_control_left_open_is_forgotten(time, tmp_path):
    control = shared(time, tmp_path, "control", "control")
    rebuild = Rebuild(control, time.us)
    rebuild.hold(ATTEMPT, [Hold(BUDGET, 9)], time.us + MINUTE_US)
    rebuild.end()
    control.close()
    control = shared(time, tmp_path, "control", "control")
    (ticket,) = control.orphans[ATTEMPT]
    rebuilt(control, time)
    with pytest.raises(KeyError):
        control.settle(ticket, [9])
    assert control.orphans == {}
    assert reading(control, BUDGET).used == 0
    control.close()
