"""Rate limits: what they count and what a refusal says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.policies import limits, windows
from switchgear.policies.buckets import Bucket, Hold, Kind, Reading
from switchgear.policies.limits import Limit, Refusal, Room, Unit, Why

NOW_US = 1_000_000_000


def limit(**changed):
    return Limit(**{"subject": "key:a", "unit": Unit.REQUESTS, "amount": 60, "window": "minute"} | changed)


@pytest.mark.parametrize("amount", [0, -1, 10**15 + 1])
def test_an_amount_that_is_none_is_named(amount):
    assert "is no limit" in next(limits.check(limit(amount=amount)))


@pytest.mark.parametrize(("unit", "window"), [("requests", ""), ("total", "fortnight"), ("parallel", "minute")])
def test_a_window_that_does_not_fit_the_unit_is_named(unit, window):
    assert list(limits.check(limit(unit=Unit(unit), window=window)))


@pytest.mark.parametrize("unit", Unit)
def test_a_rule_that_is_right_has_no_complaint(unit):
    assert list(limits.check(limit(unit=unit, window="" if unit == Unit.PARALLEL else "day"))) == []


def test_a_bucket_keeps_its_identity_when_the_amount_changes():
    assert limits.bucket_of(limit(amount=1)).key == limits.bucket_of(limit(amount=2)).key


DIFFERENT = [
    *(limit(unit=unit, window="minute") for unit in Unit),
    limit(window="hour"),
    limit(subject="team:a"),
    limit(subject="key:a/x"),
    limit(per="user"),
]


def test_different_rules_subjects_and_values_have_different_buckets():
    buckets = [limits.bucket_of(rule, value) for rule in DIFFERENT for value in ("", "x", "/x")]
    assert len({b.key for b in buckets}) == len(DIFFERENT) + 2, "only a rule per value looks at it"


def test_values_share_a_rules_part_and_overflow_into_one_bucket_of_the_key():
    rule = limit(per="end_user")
    one, two = limits.bucket_of(rule, "anna", "k1"), limits.bucket_of(rule, "bert", "k1")
    assert one.key != two.key
    assert one.share == two.share != ""
    assert one.overflow == two.overflow != limits.bucket_of(rule, "anna", "k2").overflow


def test_a_rule_of_parallel_requests_counts_slots_and_others_windows():
    assert limits.bucket_of(limit(unit=Unit.PARALLEL, window="")).kind == Kind.SLOTS
    assert limits.bucket_of(limit(window="hour")).window_us == 3_600_000_000


@pytest.mark.parametrize(
    ("counted", "body_bytes", "asked", "usual", "expected"),
    [
        (120, 4_000, 500, 300, (120, 300)),  # counted; the model rarely writes as much as is asked
        (None, 4_001, 200, 300, (1_001, 200)),  # bytes ÷ 4, rounded up
        (None, 0, None, 300, (0, 300)),
        (None, 400, 32_000, None, (100, 1_024)),  # nobody has seen the model answer
    ],
)
def test_the_expectation_is_the_input_and_the_usual_output(counted, body_bytes, asked, usual, expected):
    found = limits.expected(counted, body_bytes, asked, usual)
    assert (found.input, found.output) == expected
    assert [found.amount(unit) for unit in Unit] == [1, *expected, sum(expected), 1]


def hold(kind, amount, bucket_limit, is_budget=False):
    window_us = 60_000_000 if kind == Kind.WINDOW else 0
    bucket = Bucket(key="k", kind=kind, limit=bucket_limit, window_us=window_us, is_budget=is_budget)
    return Hold(bucket, amount)


def reading(settled, held, bucket_limit, fits_us=None):
    return Reading(settled=settled, held=held, limit=bucket_limit, fits_us=fits_us)


RATE = (hold(Kind.WINDOW, 1, 5), reading(5, 0, 5, NOW_US + 1_200_001))
LATER = (hold(Kind.WINDOW, 1, 5), reading(5, 0, 5, NOW_US + 70_000_000))
PARALLEL = (hold(Kind.SLOTS, 1, 5), reading(0, 5, 5))
TOO_LARGE = (hold(Kind.WINDOW, 6, 5), reading(0, 0, 5))
HELD = (hold(Kind.BALANCE, 6, 10, True), reading(4, 5, 10))
SPENT = (hold(Kind.BALANCE, 7, 10, True), reading(4, 0, 10))
ROLLING_HELD = (hold(Kind.WINDOW, 2, 10, True), reading(3, 7, 10, NOW_US + 1))


@pytest.mark.parametrize(
    ("lacking", "expected"),
    [
        ([RATE], (Why.RATE, 0, 1_201)),  # rounded up, or it would come too early
        ([RATE, LATER], (Why.RATE, 1, 70_000)),  # the longest wait is the true one
        ([PARALLEL], (Why.PARALLEL, 0, 1_000)),
        ([PARALLEL, RATE], (Why.RATE, 1, 1_201)),
        ([RATE, TOO_LARGE], (Why.TOO_LARGE, 1, None)),
        ([HELD], (Why.HELD, 0, 1_000)),
        ([ROLLING_HELD], (Why.HELD, 0, 1_000)),
        ([SPENT], (Why.SPENT, 0, None)),
        ([HELD, SPENT], (Why.SPENT, 1, None)),
        ([HELD, RATE], (Why.RATE, 1, 1_201)),
    ],
)
def test_a_refusal_names_what_decides_and_how_long_to_wait(lacking, expected):
    holds, readings = zip(*lacking, strict=True)
    why, at, retry_after_ms = expected
    found = limits.judge(holds, range(len(holds)), readings, NOW_US)
    assert found == Refusal(why=why, at=at, retry_after_ms=retry_after_ms)


def test_holds_that_fit_are_not_blamed():
    holds, readings = zip(TOO_LARGE, PARALLEL, strict=True)
    assert limits.judge(holds, [1], readings, NOW_US).at == 1


@given(st.integers(1, 100), st.integers(0, 100), st.integers(0, 100))
def test_a_budget_is_spent_only_where_settled_and_the_own_hold_are_over_the_limit(amount, settled, held):
    """promises: 0 `insufficient_quota` while settled + own hold ≤ limit."""
    why = limits.why_full(hold(Kind.BALANCE, amount, 100, True), reading(settled, held, 100))
    assert (why == Why.SPENT) == (settled + amount > 100)


def test_the_tightest_rule_of_a_unit_is_told():
    requests = Hold(limits.bucket_of(limit(amount=10)), 1)
    daily = Hold(limits.bucket_of(limit(amount=1_000, window="day")), 1)
    tokens = Hold(limits.bucket_of(limit(unit=Unit.TOTAL, amount=100)), 40)
    budget = hold(Kind.BALANCE, 5, 10, True)
    holds, used = [requests, daily, tokens, budget], [5, 900, 99, 10]
    units = [Unit.REQUESTS, Unit.REQUESTS, Unit.TOTAL, None]
    room = limits.tightest(holds, used, units, {Unit.REQUESTS})
    assert room == Room(limit=1_000, remaining=100, reset_ms=87_771_429)
    assert limits.tightest(holds, used, units, {Unit.TOTAL, Unit.INPUT}).remaining == 1
    assert limits.tightest(holds, used, units, {Unit.OUTPUT}) is None


def test_a_changed_limit_keeps_its_bucket_unless_it_is_counted_in_other_units():
    def key(amount):
        return limits.bucket_of(Limit(subject="key:K", unit=Unit.TOTAL, amount=amount, window="day")).key

    assert key(1) == key(100) == key(2**31 - 1)
    assert key(10**12) == key(10**12 + 1)
    assert len({key(100), key(2**31), key(10**12), key(10**15)}) == 4


def test_a_limit_that_is_lowered_far_counts_each_request_as_one():
    def bucket(amount):
        return limits.bucket_of(Limit(subject="key:K", unit=Unit.REQUESTS, amount=amount, window="day"))

    assert windows.scale(bucket(100).limit) == 1
    assert bucket(10**12).key != bucket(100).key
    for amount in (2**31, 10**12, 10**15):
        assert amount // windows.scale(amount) < 2**31
