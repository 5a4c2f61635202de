"""Thresholds of budgets: each once in a period, told to whom it concerns until somebody heard it."""

import msgspec
import pytest
from tests.control.test_budgets import USD, Books

from switchgear.config.compile import AlertSpec
from switchgear.control import budgets as budgets_service
from switchgear.control import thresholds
from switchgear.control.thresholds import RETRY_S, by_subjects, id_of
from switchgear.core.budget_rule import BudgetSpec
from switchgear.core.errors import UserError
from switchgear.courier import verbs
from switchgear.courier.verbs import Reply
from switchgear.store import balance_rows

DAY = BudgetSpec(limit="10/day", soft=["50%", "80%"])


class Hooks:
    """The courier, as far as control knows it."""

    def __init__(self):
        self.heard = []
        self.answers = []
        """Statuses, or why there is none, of the next; then 204."""

    async def ask(self, verb, notice):
        assert verb is verbs.NOTIFY
        self.heard.append(notice)
        answer = self.answers.pop(0) if self.answers else 204
        if isinstance(answer, str):
            raise UserError(answer)
        return Reply(status=answer, content_type="", retry_after="", body=b"")

    def told(self):
        found = [(one.destination, msgspec.json.decode(one.body)["data"]) for one in self.heard]
        self.heard.clear()
        return [(to, data["subject"], data["percent"]) for to, data in found]


@pytest.fixture
def hooks(desk):
    found = Hooks()
    desk.services.thresholds._courier = found
    return found


def made(desk, *written, alerts=("hooks",), **more):
    specs = tuple(AlertSpec(destination=one) if isinstance(one, str) else one for one in alerts)
    return Books(desk, *written, alerts=specs, **more)


def spend(books, written, amount, value=""):
    books.desk.services.balances.add({books.spend(written, amount, value)})
    books.desk.run(books.desk.services.thresholds.turn)


def test_each_threshold_is_told_once_in_its_period(desk, hooks, clock):
    books = made(desk, DAY)
    spend(books, DAY, 4 * USD)
    assert hooks.told() == []
    spend(books, DAY, USD)
    assert hooks.told() == [("hooks", "key:ci", 50)]
    spend(books, DAY, 4 * USD)
    spend(books, DAY, USD)
    assert hooks.told() == [("hooks", "key:ci", 80)]
    assert [line for line in desk.reports if "budget:" in line] == [
        "budget: key:ci passed 50 % of 10/day (5.000000000 of 10.000000000 usd)",
        "budget: key:ci passed 80 % of 10/day (9.000000000 of 10.000000000 usd)",
    ]
    assert desk.services.thresholds.passed == {"key": 2}
    clock.advance(86_400)
    books.now_ms = clock.wall_ms()
    spend(books, DAY, 9 * USD)
    assert hooks.told() == [("hooks", "key:ci", 50), ("hooks", "key:ci", 80)]


def test_what_is_told_says_what_one_needs_to_act(desk, hooks):
    spend(made(desk, DAY), DAY, 5 * USD)
    event = msgspec.json.decode(hooks.heard[0].body)
    resets = event["data"].pop("resets")
    assert event == {
        "type": "budget.threshold",
        "timestamp": event["timestamp"],
        "data": {
            "subject": "key:ci", "budget": "10/day", "label": "day", "per": None, "value": None, "percent": 50,
            "unit": "usd", "settled": "5.000000000", "limit": "10.000000000", "hard": True,
        },
    }  # fmt: skip
    assert resets.endswith("T00:00:00Z")


def test_what_nobody_heard_is_told_again_with_its_id_also_by_the_next_process(desk, hooks, clock):
    books = made(desk, DAY)
    hooks.answers = ["the courier does not answer", 500]
    spend(books, DAY, 5 * USD)
    turn = desk.services.thresholds.turn
    desk.run(turn)
    assert len(hooks.heard) == 1, "not at once"
    clock.advance(RETRY_S)
    desk.run(turn)
    assert desk.services.thresholds.problems == ["hooks was not told of a budget: it answered 500"]
    again = thresholds.Thresholds(
        desk.control, desk.services.publication, desk.services.budgets, desk.services.balances, hooks
    )
    desk.run(again.turn, again.turn)
    assert len({one.id for one in hooks.heard}) == 1 and len(hooks.heard) == 3
    clock.advance(RETRY_S)
    desk.run(again.turn)
    assert len(hooks.heard) == 3


def test_a_crash_between_balance_and_threshold_is_made_good_at_the_start(desk, hooks):
    books = made(desk, DAY)
    books.spend(DAY, 9 * USD)  # nobody was told that it changed
    desk.run(desk.services.thresholds.turn)
    assert hooks.told() == [("hooks", "key:ci", 50), ("hooks", "key:ci", 80)]


def test_one_of_several_that_heard_it_is_not_told_again(desk, hooks, clock):
    books = made(desk, DAY, alerts=("a", "b"))
    hooks.answers = [204, 503]
    spend(books, DAY, 5 * USD)
    clock.advance(RETRY_S)
    desk.run(desk.services.thresholds.turn)
    assert [to for to, *_ in hooks.told()] == ["a", "b", "b"]


def test_only_those_whom_it_concerns_are_told(desk, hooks):
    alerts = (
        AlertSpec(destination="teams", subjects=("team:*",)),
        AlertSpec(destination="keys", subjects=("team:*", "key:c*")),
    )
    spend(made(desk, DAY, alerts=alerts), DAY, 5 * USD)
    assert hooks.told() == [("keys", "key:ci", 50)]


def test_many_that_changed_at_once_are_looked_for_together(desk, hooks, monkeypatch):
    monkeypatch.setattr(budgets_service, "ONE_BY_ONE_MAX", 0)
    spend(made(desk, DAY), DAY, 5 * USD)
    assert hooks.told() == [("hooks", "key:ci", 50)]


def test_each_value_of_a_dimension_has_its_own_thresholds(desk, hooks):
    written = BudgetSpec(limit="10/day", soft="50%", per="end_user")
    books = made(desk, written)
    for value in ("ann", "bob", "ann"):
        spend(books, written, 5 * USD, value)
    assert [msgspec.json.decode(one.body)["data"]["value"] for one in hooks.heard] == ["ann", "bob"]


def test_a_rolling_budget_is_told_of_too(desk, hooks):
    written = BudgetSpec(limit="10/1h rolling", soft="50%")
    books = made(desk, written)
    budget = books.budget(written)
    key = (thresholds.budgets.name_of(budget), books.now_ms // 57_142)
    row = balance_rows.Added(settled=6 * USD, unit="nanousd", ends_ms=None, width_ms=57_142)
    desk.store.write(lambda c: balance_rows.add(c, [(key, row)])).result()
    desk.run(desk.services.thresholds.turn)
    assert hooks.told() == [("hooks", "key:ci", 50)]


def test_doctor_names_what_was_passed_while_its_period_runs(desk, hooks, clock):
    spend(made(desk, DAY), DAY, 9 * USD)
    read = lambda: desk.read(thresholds.running, clock.wall_ms())  # noqa: E731
    assert read() == ["key:ci passed 80 % of its budget of 10/day"]
    clock.advance(86_400)
    assert read() == []


def test_subjects_are_read_from_the_names_of_balances():
    key, each = "one/5:key:k//day", "each/12:organisation//day/user/a/b"
    assert by_subjects([key, each, "odd", "one/x:y"]) == {"key:k": {key}, "organisation": {each}}


def test_ids_tell_budgets_periods_and_percents_apart():
    def passed(*values):
        budget, period, percent = values
        return balance_rows.Passed(budget=budget, period=period, percent=percent, passed_ms=0, told_ms=None, body=b"")

    ids = {id_of(passed(*one)) for one in [("a", 1, 50), ("a", 1, 80), ("a", 2, 50), ("b", 1, 50)]}
    assert len(ids) == 4 and all(one.startswith("msg_") and "." not in one for one in ids)
