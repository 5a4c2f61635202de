"""Rows of buckets: one row for one bucket in all columns, and only what is idle leaves."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.counters.test_backend import (
    MINUTE_US,
    NAMES,
    Time,
    balance,
    reading,
    release,
    shared,
    slots,
    take,
    taken,
    window,
)

from switchgear.counters import tables
from switchgear.counters.backend import Taken
from switchgear.policies.buckets import Kind


def row(edge, bucket):
    return edge.tables.look(bucket)


def test_a_bucket_has_one_row_in_all_columns(edges):
    one, other = edges
    for number in range(40):
        for bucket in (window(9, f"w{number}"), slots(9, f"s{number}"), balance(9, f"b{number}")):
            taken(one, (bucket, 1))
            taken(other, (bucket, 1))
            assert row(one, bucket) == row(other, bucket) is not None
            assert reading(one, bucket).used == 2


def test_different_buckets_have_different_rows(edges):
    buckets = [slots(9, f"s{number}") for number in range(40)]
    for bucket in buckets:
        taken(edges[0], (bucket, 1))
    assert len({row(edges[0], bucket) for bucket in buckets}) == len(buckets)


def test_a_table_is_nearly_full_before_a_bucket_finds_no_place(edges):
    taken_rows = 0
    while isinstance(take(edges[0], (balance(9, f"b{taken_rows}"), 1)), Taken):
        taken_rows += 1
    assert taken_rows >= 48


@pytest.mark.parametrize("bucket", [window(3, "back"), slots(3, "back")])
def test_a_row_that_another_edge_took_over_is_looked_for_anew(edges, time, bucket):
    one, other = edges
    release(one, taken(one, (bucket, 1)))
    place = row(one, bucket)
    time.us += 2 * MINUTE_US
    make = window if bucket.kind == Kind.WINDOW else slots
    for round_ in range(50):
        answers = [take(other, (make(99, f"new{round_}/{number}"), 1)) for number in range(60)]
        for answer in answers:
            if isinstance(answer, Taken):
                release(other, answer.ticket)
        time.us += 2 * MINUTE_US
        if row(other, bucket) != place:
            break
    assert row(other, bucket) is None
    taken(one, (bucket, 2))
    assert reading(other, bucket).used == 2
    taken(other, (bucket, 1))
    assert reading(one, bucket).used == 3


def test_buckets_of_one_request_do_not_take_each_others_rows(edges):
    holds = [(slots(1, f"s{number}"), 1) for number in range(30)]
    release(edges[0], taken(edges[0], *holds))
    ticket = taken(edges[0], *((slots(1, f"t{number}"), 1) for number in range(30)))
    for number in range(30):
        assert reading(edges[0], slots(1, f"t{number}")).used == 1
    release(edges[0], ticket)


def test_values_of_a_rule_have_half_of_the_rows_of_their_sets(edges, time):
    edge, count = edges[0], 0
    while isinstance(take(edge, (window(9, f"user:{count}", share="rule"), 1)), Taken):
        count += 1
    assert 16 <= count <= 64 - 16
    taken(edge, (window(9, "another"), 1), (window(9, "other", share="other rule"), 1))
    time.us += 2 * MINUTE_US
    taken(edge, (window(9, "user:new", share="rule"), 1))


def test_rows_are_found_again_after_a_restart(time, tmp_path):
    buckets = [window(9), slots(9), balance(9)]
    edge = shared(time, tmp_path)
    taken(edge, *((bucket, 2) for bucket in buckets))
    places = [row(edge, bucket) for bucket in buckets]
    edge.close()
    edge = shared(time, tmp_path)
    taken(edge, *((bucket, 3) for bucket in buckets))
    assert [row(edge, bucket) for bucket in buckets] == places
    assert [reading(edge, bucket).used for bucket in buckets] == [5, 5, 5]
    edge.tables.forget(Kind.BALANCE)
    assert {seat.kind for seat in edge.tables.seats.values()} == {Kind.WINDOW, Kind.SLOTS}
    edge.close()


def test_a_balance_leaves_after_its_period_and_not_while_it_is_held(edges, time):
    edge, over_us = edges[0], time.us + 10
    held = [taken(edge, (balance(9, f"old{number}", keep_until_us=over_us), 1)) for number in range(40)]
    time.us += 20
    for ticket in held[:30]:
        release(edge, ticket)
    for number in range(30):
        taken(edge, (balance(9, f"new{number}"), 1))
    for number in range(30, 40):
        assert reading(edge, balance(9, f"old{number}")).used == 1


def test_a_tag_depends_on_the_salt(edges, time, tmp_path):
    elsewhere = shared(time, tmp_path / "other")
    assert elsewhere.tables.tag_of("x") != edges[0].tables.tag_of("x") == edges[1].tables.tag_of("x")
    elsewhere.close()


def test_what_a_process_remembers_is_bounded_by_the_rows(edges, time):
    for number in range(1_000):
        time.us += 5_000_000
        take(edges[0], (window(9, f"w{number}"), 1))
    assert len(edges[0].tables.seats) <= 64


def test_what_a_process_forgot_is_found_again(edges, monkeypatch):
    monkeypatch.setattr(tables, "SEATS_MAX", 10)
    buckets = [slots(99, f"s{number}") for number in range(30)]
    for _ in range(3):
        taken(edges[0], *((bucket, 1) for bucket in buckets))
    assert len(edges[0].tables.seats) <= 31
    assert [reading(edges[1], bucket).used for bucket in buckets] == [3] * 30


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 90), st.integers(0, 4_000_000)), min_size=50, max_size=200))
def test_many_buckets_on_few_rows_never_pass_their_limits(tmp_path_factory, steps):
    time = Time()
    folder = tmp_path_factory.mktemp("counters")
    edges = [shared(time, folder, name) for name in NAMES[:2]]
    admitted = {}
    for edge, number, passed in steps:
        time.us += passed
        if isinstance(take(edges[edge], (window(2, f"w{number}"), 1)), Taken):
            times = admitted.setdefault(number, [])
            times.append(time.us)
            assert sum(at > time.us - MINUTE_US for at in times) <= 2
    for edge in edges:
        edge.close()


@pytest.mark.parametrize("make", [window, slots])
def test_N2_values_that_keys_invent_leave_room_for_each_rules_own_bucket(edges, make):
    one, other = edges

    def value(key, rule, number):
        one = make(10**6, f"{key}/{rule}/{number}")
        return msgspec.structs.replace(one, share=f"key:{key}", overflow=make(10**6, f"rest/{key}/{rule}"))

    for key in "abc":
        for rule in "rt":
            for number in range(60):
                taken(one, (value(key, rule, number), 1))
    for number in range(8):
        taken(other, (make(9, f"own/{number}"), 1))


def test_N2_values_of_one_key_leave_room_for_those_of_another(edges):
    for number in range(200):
        own = slots(10**6, f"a/{number}")
        taken(edges[0], (msgspec.structs.replace(own, share="key:a", overflow=slots(10**6, "rest/a")), 1))
    mine = msgspec.structs.replace(slots(1, "b/1"), share="key:b", overflow=slots(0, "rest/b"))
    taken(edges[1], (mine, 1))
