"""What classes of requests get of one limit, against a pool of single units."""

from hypothesis import given
from hypothesis import strategies as st

from switchgear.policies import shares

NAMES = ("a", "b", shares.OTHERS)
SHARES = st.dictionaries(st.sampled_from(("a", "b")), st.integers(0, 50).map(lambda n: n / 100))


def may_take(limit, owed, used, wanting, mine, amount):
    """Ten lines: units of a pool are marked with who uses them or whom they are kept for; what is left is free."""
    pool = [name for name, count in used.items() for _ in range(count)]
    if used.get(mine, 0) + amount > owed.get(mine, 0):
        for name in wanting:
            while name != mine and pool.count(name) < owed.get(name, 0):
                pool.append(name)
    pool += [mine] * amount
    return len(pool) <= limit


@given(
    st.integers(1, 40), SHARES, st.dictionaries(st.sampled_from(NAMES), st.integers(0, 25)),
    st.sets(st.sampled_from(NAMES)), st.sampled_from(NAMES), st.integers(1, 10),
)  # fmt: skip
def test_a_class_takes_what_is_free_and_not_kept_for_others(limit, of, used, wanting, mine, amount):
    owed = shares.guarantees(limit, of)
    fits = sum(used.values()) + amount <= shares.room(limit, owed, used, wanting, mine, amount)
    assert fits == may_take(limit, owed, used, wanting, mine, amount)


@given(st.integers(1, 10**9), SHARES)
def test_guarantees_together_are_never_more_than_the_limit(limit, of):
    assert sum(shares.guarantees(limit, of).values()) <= limit


@given(st.integers(1, 60), SHARES, st.lists(st.tuples(st.sampled_from(NAMES), st.integers(1, 4)), max_size=200))
def test_when_all_want_it_from_the_beginning_each_gets_its_guarantee(limit, of, asked):
    owed, used = shares.guarantees(limit, of), dict.fromkeys(NAMES, 0)
    for name, amount in asked:
        if sum(used.values()) + amount <= shares.room(limit, owed, used, set(NAMES), name, amount):
            used[name] += amount
    assert sum(used.values()) <= limit
    for name, most in owed.items():
        while used[name] < most:  # nobody else took what is its own
            assert sum(used.values()) + 1 <= shares.room(limit, owed, used, set(NAMES), name, 1)
            used[name] += 1
