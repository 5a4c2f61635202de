"""Counters that edges share: one lock, orphans, what is not known."""

import fcntl
import os

import pytest
from tests.counters.test_backend import (
    MINUTE_US,
    NAMES,
    Time,
    balance,
    columns,
    full,
    reading,
    release,
    settle,
    shared,
    slots,
    take,
    taken,
    window,
)

from switchgear.counters import column, layout
from switchgear.counters.backend import Taken, Ticket, Unknown
from switchgear.counters.column import Column, path_of
from switchgear.counters.shared import SharedCounters
from switchgear.policies.buckets import Hold, Kind

START_AT_US = Time().us
ATTEMPT = "0" * 32 + "-1"


def held_lock(folder):
    """The lock, held by another."""
    fd = os.open(folder / column.LOCK, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def test_the_first_take_of_a_turn_is_answered_at_once_and_others_with_the_flush(edges):
    edge, answers = edges[0], []
    assert isinstance(edge.take([Hold(slots(9), 1)], ATTEMPT, answers.append), Taken)
    assert edge.take([Hold(slots(9), 1)], ATTEMPT, answers.append) is None
    assert edge.take([Hold(slots(9), 1)], ATTEMPT, answers.append) is None
    assert answers == []
    edge.flush()
    assert [isinstance(answer, Taken) for answer in answers] == [True, True]
    assert isinstance(edge.take([Hold(slots(9), 1)], ATTEMPT, answers.append), Taken)


class Watched:
    """An own column's words, which remember when the lock was taken."""

    def __init__(self, words):
        self.words, self.locked = words, 0

    def __getitem__(self, at):
        return self.words[at]

    def __setitem__(self, at, value):
        self.locked += at == layout.HOLDING and value != 0
        self.words[at] = value


def test_N1_a_turn_holds_the_lock_twice_at_most(edges):
    edge, tickets = edges[0], []
    edge.own.words = watched = Watched(edge.own.words)
    for _ in range(20):
        answer = edge.take([Hold(slots(99), 1)], ATTEMPT, lambda later: tickets.append(later.ticket))
        if answer is not None:
            tickets.append(answer.ticket)
            edge.settle(answer.ticket, [1])
    edge.flush()
    edge.own.words = watched.words
    assert len(tickets) == 20
    assert watched.locked == 2


def test_N1_a_busy_lock_lets_the_request_wait_and_never_the_loop(edges, time, tmp_path):
    edge, answers = edges[0], []
    fd = held_lock(tmp_path)
    assert edge.take([Hold(slots(9), 1)], ATTEMPT, answers.append) is None
    edge.flush()
    time.us += 249_000
    edge.flush()
    assert answers == []
    os.close(fd)
    edge.flush()
    assert isinstance(answers[0], Taken)


def test_N1_a_lock_that_stays_busy_is_unknown_after_250_ms(edges, time, tmp_path):
    edge, answers = edges[0], []
    fd = held_lock(tmp_path)
    edge.take([Hold(slots(9), 1)], ATTEMPT, answers.append)
    time.us += 250_000
    edge.flush()
    assert answers == [Unknown("the counters are busy")]
    os.close(fd)
    edge.flush()
    assert reading(edge, slots(9)).used == 0


def test_a_settlement_that_finds_the_lock_busy_is_done_later(edges, tmp_path):
    edge = edges[0]
    ticket = taken(edge, (balance(10), 8))
    fd = held_lock(tmp_path)
    settle(edge, ticket, 3)
    assert reading(edge, balance(10)).held == 8
    os.close(fd)
    edge.flush()
    assert (reading(edge, balance(10)).held, reading(edge, balance(10)).settled) == (0, 3)


def test_who_waits_is_asked_for_again(time, tmp_path):
    columns(tmp_path)
    woken = []
    edge = SharedCounters(tmp_path, "edge-0", NAMES, time, woken.append)
    fd = held_lock(tmp_path)
    edge.take([Hold(slots(9), 1)], ATTEMPT, print)
    assert woken == [0]
    edge.flush()
    assert woken == [0, 0.001]
    os.close(fd)
    edge.close()


def test_a_callback_that_raises_leaves_the_other_answers(edges, tmp_path):
    edge, answers = edges[0], []

    def fail(_):
        raise RuntimeError("of the caller")

    edge.take([Hold(slots(9), 1)], ATTEMPT, print)
    edge.take([Hold(slots(9), 1)], ATTEMPT, fail)
    edge.take([Hold(slots(9), 1)], ATTEMPT, answers.append)
    with pytest.raises(RuntimeError):
        edge.flush()
    edge.flush()
    assert isinstance(answers[0], Taken)


def test_one_edge_sees_what_another_holds(edges):
    one, other = edges
    ticket = taken(one, (slots(1), 1))
    full(other, (slots(1), 1))
    settle(one, ticket, 1)
    taken(other, (slots(1), 1))


def test_a_correction_moves_a_balance_up_and_down(edges):
    one, other = edges
    settle(one, taken(one, (balance(10), 8)), 8)
    other.correct(balance(10), -6)
    other.flush()
    assert reading(one, balance(10)).settled == 2
    other.correct(balance(10), 9)
    other.flush()
    assert reading(one, balance(10)).settled == 11
    full(one, (balance(10), 1))


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_a_column_that_cannot_be_read_makes_everything_unknown_until_it_is_there(time, tmp_path, damage):
    columns(tmp_path)
    path = path_of(tmp_path, "edge-1")
    kept = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(kept[:5_000] if damage == "cut" else b"x" * len(kept))
    edge = shared_without_making(time, tmp_path)
    answer = take(edge, (slots(1), 1))
    assert isinstance(answer, Unknown)
    assert "edge-1.column cannot be read" in answer.reason
    assert isinstance(edge.read([slots(1)]), Unknown)
    path.write_bytes(kept)
    time.us += 1_000_001
    taken(edge, (slots(1), 1))
    edge.close()


def shared_without_making(time, folder, control=None):
    return SharedCounters(folder, "edge-0", NAMES, time, lambda _: None, control)


def test_a_column_that_is_replaced_later_is_noticed(time, tmp_path):
    edge = shared(time, tmp_path)
    taken(edge, (slots(1), 1))
    path_of(tmp_path, "edge-1").unlink()
    time.us += 1_000_001
    assert isinstance(take(edge, (slots(9), 1)), Unknown)
    assert columns(tmp_path) == ["edge-1"]
    time.us += 1_000_001
    full(edge, (slots(1), 1))
    edge.close()


def test_an_own_column_that_was_replaced_is_unknown_for_good(time, tmp_path):
    edge = shared(time, tmp_path)
    path_of(tmp_path, "edge-0").unlink()
    columns(tmp_path)
    time.us += 1_000_001
    assert "was replaced" in take(edge, (slots(9), 1)).reason
    edge.close()


def test_budgets_wait_until_control_gave_the_balances_and_limits_do_not(time, tmp_path):
    edge = shared(time, tmp_path, control="control")
    budget = balance(10, is_budget=True)
    assert take(edge, (budget, 1)) == Unknown("balances are being rebuilt")
    taken(edge, (window(5), 1), (slots(5), 1))
    control = Column(path_of(tmp_path, "control"), is_own=True)
    control.words[layout.EPOCH] = time.us
    taken(edge, (budget, 1))
    control.words[layout.EPOCH] = 0
    assert isinstance(take(edge, (budget, 1)), Unknown)
    control.close()
    edge.close()


def test_a_balance_of_before_a_rebuild_counts_no_more(time, tmp_path):
    control = Column((columns(tmp_path), path_of(tmp_path, "control"))[1], is_own=True)
    control.words[layout.EPOCH] = time.us
    edge = shared(time, tmp_path, control="control")
    budget = balance(10, is_budget=True)
    old = taken(edge, (budget, 9))
    time.us += 1_000
    control.words[layout.EPOCH] = time.us
    taken(edge, (budget, 10))
    settle(edge, old, 9)
    assert reading(edge, budget).used == 10
    control.close()
    edge.close()


def test_large_amounts_are_counted_in_larger_units_and_never_too_little(edges):
    one, other = edges
    rolling = window(10**15, "rolling", is_budget=True)
    for edge in (one, other):
        settle(edge, taken(edge, (rolling, 300 * 10**12)), 300 * 10**12 - 1)
    assert 600 * 10**12 - 2 <= reading(one, rolling).used <= 600 * 10**12 + 10**7
    full(one, (rolling, 400 * 10**12 + 2))
    taken(other, (rolling, 399 * 10**12))


def test_a_raised_limit_never_counts_less_than_is_used(edges):
    edge = edges[0]
    small, large = window(10, "tokens"), window(10**13, "tokens")
    taken(edge, (small, 10))
    taken(edge, (large, 2**32 - 100))
    full(edge, (large, 2**32))


def test_values_of_a_rule_overflow_into_the_keys_bucket(edges, time):
    edge, rest = edges[0], window(10**6, "rest")
    for number in range(400):
        taken(edge, (window(10**6, f"user:{number}", share="rule", overflow=rest), 1))
    assert reading(edge, rest).used > 300
    time.us += 2 * MINUTE_US
    before = reading(edge, rest).used
    taken(edge, (window(10**6, "user:new", share="rule", overflow=rest), 1))
    assert reading(edge, rest).used <= before, "idle ones left"


def test_a_table_without_room_is_unknown_and_takes_nothing(edges):
    edge = edges[0]
    answers = [take(edge, (balance(9, f"b:{number}"), 1), (slots(10**6), 1)) for number in range(200)]
    admitted = sum(isinstance(answer, Taken) for answer in answers)
    assert 40 <= admitted <= 64
    assert {a.reason for a in answers if isinstance(a, Unknown)} == {"no room for another counter"}
    assert reading(edge, slots(10**6)).used == admitted


def test_more_open_requests_than_there_is_room_for_are_unknown(edges):
    edge = edges[0]
    tickets = [taken(edge, (slots(10**6), 1)) for _ in range(512)]
    assert take(edge, (slots(10**6), 1)) == Unknown("too many requests are open")
    release(edge, tickets[0])
    taken(edge, (slots(10**6), 1))


def test_an_attempt_whose_name_is_too_long_is_refused(edges):
    with pytest.raises(ValueError, match="no attempt's id"):
        edges[0].take([Hold(slots(1), 1)], "x" * 41, print)


def test_fewer_amounts_than_holds_are_refused(edges):
    ticket = taken(edges[0], (slots(1), 1), (balance(9), 2))
    with pytest.raises(ValueError, match="fewer"):
        edges[0].settle(ticket, [1])
    settle(edges[0], ticket, 1, 2)


def test_two_holds_of_one_bucket_are_one_sum(edges):
    full(edges[0], (window(5), 3), (window(5), 3))
    answer = take(edges[1], (window(5), 3), (slots(9), 1), (window(5), 2))
    assert answer.used == (3, 1, 5)


def test_a_head_is_looked_at_without_the_lock(edges, tmp_path):
    one, other = edges
    holds = [Hold(window(5), 1), Hold(slots(1), 1), Hold(balance(10), 1)]
    assert one.peek(holds) is None, "it has never counted there"
    release(one, taken(one, *((hold.bucket, hold.amount) for hold in holds)))
    taken(other, (window(5), 5), (slots(1), 1), (balance(10), 10))
    fd = held_lock(tmp_path)
    assert one.peek(holds).lacking == (0, 1, 2)
    os.close(fd)


def test_a_head_is_unknown_where_balances_are(time, tmp_path):
    edge = shared(time, tmp_path, control="control")
    assert edge.peek([Hold(balance(10, is_budget=True), 1)]) == Unknown("balances are being rebuilt")
    assert edge.peek([Hold(window(10), 1)]) is None
    edge.close()


def test_the_believed_clock_is_handed_on(edges):
    one, other = edges
    assert other.distance_ms is None
    one.note_distance(-5)
    assert other.distance_ms == one.distance_ms == -5


def test_a_start_waits_two_seconds_for_the_lock(time, tmp_path):
    columns(tmp_path)
    fd = held_lock(tmp_path)

    def passing():
        time.us += 1_000
        return time.us

    with pytest.raises(BlockingIOError, match="does not go on"):
        SharedCounters(tmp_path, "edge-0", NAMES, passing, lambda _: None)
    os.close(fd)
    assert time.us - START_AT_US > 2_000_000
    shared(time, tmp_path).close()


def test_a_ticket_of_another_backend_is_refused(edges):
    with pytest.raises(KeyError):
        edges[0].suspend(Ticket(), 5)
    with pytest.raises(KeyError):
        edges[0].release(Ticket())


def test_a_correction_during_a_rebuild_is_left_to_control(time, tmp_path):
    edge = shared(time, tmp_path, control="control")
    edge.correct(balance(10, is_budget=True), 5)
    edge.flush()
    control = Column(path_of(tmp_path, "control"), is_own=True)
    control.words[layout.EPOCH] = time.us
    assert take(edge, (balance(10, is_budget=True), 10)).used == (10,)
    edge.correct(balance(10, is_budget=True), 5)
    time.us += 5
    control.words[layout.EPOCH] = time.us
    edge.correct(balance(10, is_budget=True), 5)
    edge.flush()
    assert reading(edge, balance(10, is_budget=True)).settled == 10
    control.close()
    edge.close()


# An edge that was taken over writes what it likes into its own column.


def place(edge, bucket):
    """The word at which a bucket's row begins, of an edge that counts it."""
    return edge.tables.seats[bucket.key].word


@pytest.mark.parametrize("bucket", [window(2, "w"), slots(2, "s")])
def test_N2_less_than_nothing_in_anothers_column_lifts_no_limit(edges, time, bucket):
    honest, forger = edges
    taken(honest, (bucket, 2))
    taken_over = place(forger, bucket) if isinstance(take(forger, (bucket, 0)), Taken) else None
    assert taken_over is not None
    for word in range(2, 5 if bucket.kind == Kind.WINDOW else 3):
        forger.own.words[taken_over + word] = -(10**6)
    if bucket.kind == Kind.WINDOW:
        forger.own.words[taken_over + layout.W_LAST] = honest.own.words[taken_over + layout.W_LAST]
    answer = full(honest, (bucket, 1))
    assert answer.readings[0].used == 2
    assert honest.peek([Hold(bucket, 1)]) is not None
    assert reading(honest, bucket).used == 2


def test_N2_less_than_nothing_in_an_edges_column_lifts_no_budget_where_control_corrects(time, tmp_path):
    honest = shared(time, tmp_path, "edge-0", control="control")
    forger = shared(time, tmp_path, "edge-1", control="control")
    control = shared(time, tmp_path, "control", control="control")
    control.own.words[layout.EPOCH] = 1
    bucket = balance(5)
    taken(honest, (bucket, 5))
    taken(forger, (bucket, 0))
    forger.own.words[place(forger, bucket) + layout.B_SETTLED] = -100
    forger.own.words[place(forger, bucket) + layout.B_HELD] = -100
    full(honest, (bucket, 1))
    control.correct(bucket, -3)
    control.flush()
    taken(honest, (bucket, 3))
    full(honest, (bucket, 1))
    for one in (honest, forger, control):
        one.close()


@pytest.mark.parametrize("word", [layout.W_WIDTH, layout.W_SCALE, layout.W_LAST, layout.CLAIM, layout.TAG])
@pytest.mark.parametrize("value", [-(2**63), -1, 0, 1, 2**32, 2**63 - 1])
def test_N2_no_word_of_anothers_column_raises_or_lifts_a_limit(edges, time, word, value):
    honest, forger = edges
    bucket = window(2, "w")
    taken(forger, (bucket, 1))
    forger.own.words[place(forger, bucket) + word] = value
    forger.own.words[layout.CLAIMS] += 1
    answers = []
    for _ in range(4):
        honest.flush()
        honest.read([bucket])
        honest.peek([Hold(bucket, 1)])
        answers.append(take(honest, (bucket, 1)))
    assert sum(isinstance(answer, Taken) for answer in answers) <= 2
    assert not any(isinstance(answer, Unknown) for answer in answers)
    time.us += 3 * MINUTE_US
    honest.flush()
    honest.read([bucket])


def test_a_request_whose_take_fails_is_told_and_those_behind_it_are_answered(edges):
    edge, answers = edges[0], {"one": [], "broken": [], "two": []}
    taken(edge, (slots(9, "first"), 1))
    for name, told in answers.items():
        assert edge.take([Hold(slots(9, name), 1)], ATTEMPT, told.append) is None
    edge._waiting[1].holds = [None]
    with pytest.raises(AttributeError):
        edge.flush()
    edge.flush()
    assert [type(told[0]) for told in answers.values()] == [Taken, Unknown, Taken]
    assert [len(told) for told in answers.values()] == [1, 1, 1]
