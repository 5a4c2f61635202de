"""Counters in memory: bounded, and only what is idle leaves."""

import pytest
from tests.counters.test_backend import MINUTE_US, Time, balance, reading, release, settle, slots, take, taken, window

from switchgear.counters.backend import Taken, Unknown
from switchgear.counters.memory import MemoryCounters
from switchgear.policies.buckets import Hold


@pytest.fixture
def time():
    return Time()


def test_values_beyond_their_share_use_the_overflow_bucket_of_their_key(time):
    counters = MemoryCounters(time, buckets_max=20, share_max=0.5)
    rest = window(3, "rest")
    for key, buckets in (("key:a", 7 + 1), ("key:b", 10 + 1), ("key:c", 10 + 1)):
        values = [window(3, f"{key}/{n}", share=key, overflow=rest) for n in range(20)]
        for value in values:
            take(counters, (value, 1))
        assert len(counters) == buckets
    assert reading(counters, window(3, "key:a/6")).used == reading(counters, window(3, "key:b/2")).used == 1
    assert reading(counters, rest).used == 3, "those that came when it was full were refused"


def test_a_bucket_stays_until_it_was_idle_for_its_whole_window(time):
    counters = MemoryCounters(time, buckets_max=4)
    taken(counters, *((window(1, f"{n}"), 1) for n in range(4)))
    time.us += MINUTE_US
    assert isinstance(take(counters, (window(1, "new"), 1)), Unknown)
    time.us += MINUTE_US // 30
    assert isinstance(take(counters, (window(1, "new"), 1)), Taken)
    assert len(counters) <= 4


def test_a_balance_stays_until_its_period_ends_and_a_total_for_ever(time):
    counters = MemoryCounters(time, buckets_max=2)
    taken(counters, (balance(9, "total"), 1))
    release(counters, taken(counters, (balance(9, "hour", keep_until_us=time.us + 5_000), 1)))
    assert isinstance(take(counters, (slots(1), 1)), Unknown)
    time.us += 5_001
    taken(counters, (slots(1), 1))
    assert reading(counters, balance(9, "total")).used == 1


def test_buckets_of_one_request_do_not_push_each_other_out(time):
    counters = MemoryCounters(time, buckets_max=3)
    ticket = taken(counters, *((slots(1, f"{n}"), 1) for n in range(3)))
    for n in range(3):
        assert reading(counters, slots(1, f"{n}")).used == 1
    release(counters, ticket)
    time.us += 1
    taken(counters, *((slots(1, f"new {n}"), 1) for n in range(3)))
    assert len(counters) == 3


def test_a_million_values_in_a_day_stay_within_the_bound(time):
    counters = MemoryCounters(time, buckets_max=2_000)
    for n in range(20_000):
        time.us += 86_400
        assert isinstance(take(counters, (window(1, f"user:{n}", share="rule"), 1)), Taken)
    assert len(counters) <= 2_000


def test_a_head_is_looked_at_without_taking(time):
    counters = MemoryCounters(time)
    holds = [Hold(window(5), 1), Hold(slots(1), 1), Hold(balance(10), 1)]
    assert counters.peek(holds) is None
    ticket = taken(counters, (window(5), 5), (slots(1), 1), (balance(10), 4))
    assert counters.peek(holds).lacking == (0, 1)
    settle(counters, ticket, 5, 0, 10)
    assert counters.peek(holds).lacking == (0, 2)
    with pytest.raises(KeyError):
        counters.release(ticket)


def test_a_waiting_balance_lets_others_in(time):
    """What stays for its period stands in nobody's way who looks for an idle one."""
    counters = MemoryCounters(time, buckets_max=12)
    for number in range(10):
        taken(counters, (balance(9, f"b{number}", keep_until_us=time.us + 9), 1))
    for number in range(20):
        time.us += 1_000
        release(counters, taken(counters, (slots(1, f"s{number}"), 1)))
