"""Whatever is rolled up, the answer is that of the sums of hours."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.store import ledger_rows, rollups
from switchgear.store.rollups import LEVELS, Part, plan
from switchgear.store.sums import SUMS, Sums


@given(
    since=st.integers(0, 10_000),
    size=st.integers(0, 5_000),
    rolled=st.integers(0, 500).map(lambda day: day * 24),
    dimensions=st.sets(st.sampled_from(["key_name", "team", "model", "provider"])),
    by_day=st.booleans(),
    by_hour=st.booleans(),
)
def test_a_plan_covers_each_hour_once_with_levels_that_know_enough(since, size, rolled, dimensions, by_day, by_hour):
    covered = []
    for part in plan(since, since + size, rolled, dimensions, by_day, by_hour):
        covered += range(part.since, part.until)
        if part.level is not None:
            known, hours = LEVELS[part.level]
            assert known >= dimensions and part.until <= rolled and not by_hour
            assert part.since % hours == 0 and part.until % hours == 0
            assert not by_day or hours == 24
    assert sorted(covered) == list(range(since, since + size))


def test_a_long_time_is_few_blocks():
    parts = plan(24 * 61, 24 * 161, 24 * 500, {"key_name", "model"}, False, False)
    read = sum((part.until - part.since) // LEVELS[part.level][1] for part in parts if part.level is not None)
    assert read <= 2 * 7 + 2 * 7 + 1 and {part.level for part in parts} == {"day", "days8", "days64"}


def sums_of(rng, hours, count):
    found = {}
    for _ in range(count):
        key, model = rng.randrange(4), rng.randrange(3)
        place = rng.randrange(2)
        name = (
            rng.choice(hours), f"k{key}", f"key-{key}", f"t{key % 2}", "", "", f"m{model}", f"u{model}", f"p{place}", f"p{place}/c",
        )  # fmt: skip
        found[name] = Sums(*(rng.randrange(9) + 1 for _ in SUMS))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_sums_are_the_same_before_and_after_and_with_what_comes_late(store, seed):
    rng = random.Random(seed)
    begin = 24 * 64 * 30 + 24 * 5
    hours = range(begin + 7, begin + 24 * 75)
    store.write(lambda c: ledger_rows.add_usage(c, sums_of(rng, hours, 1500))).result()
    questions = [
        ([], {}), (["key"], {}), (["model"], {}), (["key", "model"], {}), (["day"], {}), (["day", "team"], {}), (["hour"], {}),
        (["provider"], {}), (["team"], {"model": "m1"}), (["model"], {"key": "key-2"}), (["day", "model"], {"team": "t1"}),
    ]  # fmt: skip
    spans = [
        (0, 10**6),
        (begin + 30, begin + 24 * 70 + 5),
        (begin + 24 * 3, begin + 24 * 9),
        (begin + 7, begin + 8),
        (5, 5),
    ]

    def ask():
        return [
            sorted(
                map(str, store.read(lambda c, b=by, w=where, s=span: ledger_rows.sum_usage(c, list(b), *s, w)).result())
            )
            for by, where in questions
            for span in spans
        ]

    before = ask()
    days = 0
    while store.write(lambda c: rollups.roll_day(c, begin + 24 * 73)).result():
        days += 1
    assert days >= 68 and ask() == before
    spent = store.read(lambda c: ledger_rows.spent_by_key(c, {"k0", "k3", "no"}, begin + 24 * 50 + 3)).result()
    slow = store.read(lambda c: ledger_rows.spend_by_model(c, {"k0", "k3"}, 0, begin + 24 * 50 + 3)).result()
    assert spent == {key: sum(cost for _, cost in models.values()) for key, models in slow.items()}
    late = sums_of(rng, hours, 200)
    store.write(lambda c: ledger_rows.add_usage(c, late)).result()
    after = ask()
    store.write(lambda c: c.exec_driver_sql("delete from meta where name = 'rolled_until'")).result()
    assert ask() == after != before
    while store.write(lambda c: rollups.roll_day(c, begin + 24 * 73)).result():
        pass
    assert ask() == after


def test_a_day_is_rolled_up_only_when_over_and_only_with_rows(store):
    assert not store.write(lambda c: rollups.roll_day(c, 10**6)).result()
    store.write(lambda c: ledger_rows.add_usage(c, sums_of(random.Random(1), [24 * 640 + 3], 3))).result()
    assert not store.write(lambda c: rollups.roll_day(c, 24 * 640 + 23)).result()
    assert plan(0, 10, 0, set(), False, False) == [Part(None, 0, 10)]
