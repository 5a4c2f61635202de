import msgspec

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


def test_of_many_changes_the_oldest_are_summed_up_and_hold_all_the_same():
    raw = None
    for number in range(CHANGES_MAX + 5):
        raw = budget_changes.encode(budget_changes.with_one(raw, "b", change(number)))
    kept = budget_changes.with_one(raw, "b", change(99)).changes
    assert (len(kept), kept[0].amount, kept[-1].amount) == (CHANGES_MAX, sum(range(7)), 99)
    stored = Changes(budget="b", changes=kept)
    assert budget_changes.raises_of([stored], 99)["b"].amount == sum(range(CHANGES_MAX + 5)) + 99


def test_changes_of_periods_that_are_over_go_first():
    raw = budget_changes.encode(Changes(budget="b", changes=[change(7), *[change(9, 4, 0)] * CHANGES_MAX]))
    kept = budget_changes.with_one(raw, "b", change(1)).changes
    assert (len(kept), kept[0].amount, kept[-1].amount) == (CHANGES_MAX, 7, 1)


def test_a_rolling_budget_begins_anew_with_its_last_reset_for_ever():
    reset = msgspec.structs.replace(change(-9, 0, 50, "reset"), rolls=True, time_ms=7)
    assert budget_changes.raises_of([Changes(budget="b", changes=[reset])], 10**15) == {"b": Raise(0, 0, None, 7)}
    both = Changes(budget="b", changes=[reset, change(5, 0)])
    assert budget_changes.raises_of([both], 99) == {"b": Raise(0, 5, 100, 7)}
    raw = budget_changes.encode(Changes(budget="b", changes=[reset, *[change(9, 0, 0)] * CHANGES_MAX]))
    assert budget_changes.with_one(raw, "b", change(1)).changes[0] == reset


def test_what_people_corrected_is_known_by_balance_and_period():
    stored = Changes(budget="b", changes=[change(5), change(-9, kind="reset"), change(2, kind="opening")])
    assert budget_changes.corrections_of([stored]) == {("b", 5): -7}


def test_names_of_objects_fit_the_store_and_are_no_others():
    long = "each/12:organisation//day/user/" + "x" * 500
    assert len(budget_changes.object_name(long)) <= 256
    assert budget_changes.object_name(long) != budget_changes.object_name(long + "y")
