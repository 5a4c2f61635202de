"""Balances of budgets, and thresholds that were passed."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from switchgear.store import balance_rows
from switchgear.store.balance_rows import SUM_MAX, Added, BalanceRow, Passed

DAY_MS = 86_400_000


def added(settled, ends_ms=DAY_MS, **more):
    return Added(settled=settled, unit="nanousd", ends_ms=ends_ms, **more)


def add(store, *rows):
    store.write(lambda c: balance_rows.add(c, rows)).result()


def amounts(store, since_ms=0):
    return {
        (row.budget, row.period): row.amount
        for row in store.read(lambda c: list(balance_rows.running(c, since_ms))).result()
    }


def test_what_is_added_stands_in_one_row_by_budget_and_period(store):
    add(store, (("a", 1), added(5)), (("b", 1), added(7)))
    add(store, (("a", 1), added(-2)), (("a", 2), added(1, 2 * DAY_MS)), (("a", 1), added(0, corrected=10)))
    assert amounts(store) == {("a", 1): 13, ("a", 2): 1, ("b", 1): 7}
    (row,) = store.read(lambda c: balance_rows.of_budget(c, "a", 0, 1)).result()
    assert row == BalanceRow(budget="a", period=1, settled=3, corrected=10, unit="nanousd", ends_ms=DAY_MS, width_ms=0)
    found = store.read(lambda c: balance_rows.find(c, [("a", 2), ("a", 3), ("b", 1)])).result()
    assert {key: row.settled for key, row in found.items()} == {("a", 2): 1, ("b", 1): 7}


def test_a_transaction_that_fails_adds_nothing(store):
    def work(connection):
        balance_rows.add(connection, [(("a", 1), added(5))])
        raise RuntimeError

    assert isinstance(store.write(work).exception(), RuntimeError)
    assert amounts(store) == {}


def test_a_sum_stays_within_63_bits(store):
    for _ in range(3):
        add(store, (("a", 1), added(SUM_MAX)), (("b", 1), added(-(2**62))))
    assert amounts(store) == {("a", 1): SUM_MAX, ("b", 1): -SUM_MAX}


def test_only_what_may_still_count_is_given_to_counters(store):
    add(
        store,
        (("over", 1), added(1, 1_000)),
        (("runs", 1), added(2, 2_001)),
        (("total", 0), added(3, None)),
        (("rolls", 0), added(4, None, width_ms=10)),
        (("rolls", 150), added(5, None, width_ms=10)),
    )
    assert amounts(store, 2_000) == {("runs", 1): 2, ("total", 0): 3, ("rolls", 150): 5}
    assert store.write(lambda c: balance_rows.drop_before(c, 2_000, 100)).result() == 2
    assert ("rolls", 0) not in amounts(store) and ("over", 1) not in amounts(store)


def test_values_of_a_dimension_are_found_by_the_budgets_name_the_highest_first(store):
    rows = [(f"each/x/user/{name}", amount) for name, amount in (("ann", 5), ("Bob", 9), ("ü", 7))]
    add(store, *(((name, 1), added(amount)) for name, amount in rows), (("each/x/users/ann", 1), added(99)))
    found = store.read(lambda c: balance_rows.of_values(c, "each/x/user/", 1, 1, 2)).result()
    assert [row.budget.rpartition("/")[2] for row in found] == ["Bob", "ü"]


def test_each_threshold_is_passed_once_in_a_period(store):
    def passed(period, percent):
        return Passed(budget="a", period=period, percent=percent, passed_ms=5, told_ms=None, body=b"{}")

    def note(*some):
        return store.write(lambda c: balance_rows.pass_thresholds(c, some)).result()

    assert note(passed(1, 50), passed(1, 80)) == [passed(1, 50), passed(1, 80)]
    assert note(passed(1, 80), passed(2, 80)) == [passed(2, 80)]
    store.write(lambda c: balance_rows.set_told(c, passed(1, 80), 6)).result()
    untold = store.read(lambda c: balance_rows.passed_since(c, 0, 10, untold=True)).result()
    assert {(one.period, one.percent) for one in untold} == {(1, 50), (2, 80)}
    assert len(store.read(lambda c: balance_rows.passed_since(c, 5, 10)).result()) == 3
    assert store.read(lambda c: balance_rows.passed_since(c, 6, 10)).result() == []


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.dictionaries(st.tuples(st.sampled_from("ab"), st.integers(0, 2)), st.integers(-100, 100), max_size=4),
        max_size=8,
    )
)
def test_N4_balances_are_the_sum_of_what_batches_added(store, batches):
    store.write(lambda c: c.execute(balance_rows.balances.delete())).result()
    expected = {}
    for batch in batches:
        for key, value in batch.items():
            expected[key] = expected.get(key, 0) + value
        add(store, *((key, added(value)) for key, value in batch.items()))
    assert amounts(store) == expected
