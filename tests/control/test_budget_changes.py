from switchgear.control import budget_changes
from switchgear.control.budget_changes import CHANGES_MAX, Change, Changes
from switchgear.policies.budgets import Raise


def change(amount=1, period=5, until_ms=100, kind=budget_changes.RAISE):
    return Change(kind=kind, period=period, until_ms=until_ms, amount=amount, time_ms=1, actor="a", reason="r")


def test_raises_of_one_period_add_up_and_end_with_it():
    stored = Changes(budget="b", changes=[change(1, 4, 50), change(2), change(3), change(-9, kind="reset")])
    assert budget_changes.raises_of([stored], 99) == {"b": Raise(5, 5, 100)}
    assert budget_changes.raises_of([stored], 100) == {}
    assert budget_changes.raises_of([Changes(budget="t", changes=[change(7, 0, None)])], 10**15) == {
        "t": Raise(0, 7, None)
    }


def test_the_newest_changes_are_kept():
    raw = None
    for number in range(CHANGES_MAX + 5):
        raw = budget_changes.encode(budget_changes.with_one(raw, "b", change(number)))
    kept = budget_changes.with_one(raw, "b", change(99)).changes
    assert (len(kept), kept[0].amount, kept[-1].amount) == (CHANGES_MAX, 6, 99)


def test_names_of_objects_fit_the_store_and_are_no_others():
    long = "each/12:organisation//day/user/" + "x" * 500
    assert len(budget_changes.object_name(long)) <= 256
    assert budget_changes.object_name(long) != budget_changes.object_name(long + "y")
