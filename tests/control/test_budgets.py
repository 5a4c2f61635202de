"""What administrators see of budgets, and what a raise and a reset do."""

import datetime

import msgspec
import pytest
from tests.control.conftest import sealed
from tests.control.test_credentials import OPENAI

from switchgear.config.compile import Compiled
from switchgear.control.budgets import limit_of
from switchgear.core import budget_rule, organisation
from switchgear.core.budget_rule import BudgetSpec
from switchgear.core.errors import UserError
from switchgear.core.organisation import HolderPolicy
from switchgear.policies import budgets, windows
from switchgear.policies.buckets import Reading
from switchgear.policies.periods import period_at
from switchgear.routing.table import DeploymentEntry, ModelEntry
from switchgear.store import balance_rows
from switchgear.store.balance_rows import Added
from switchgear.store.objects import KeyRow

USD = 10**9


class Books:
    """A gateway with one key and its budgets."""

    def __init__(self, desk, *written, **compiled):
        self.desk, self.service = desk, desk.services.budgets
        desk.services.publication.compiled = Compiled(**compiled)
        desk.run(desk.services.publication.publish)

        async def make():
            row = KeyRow(id="", name="ci", budget=list(written))
            return (await desk.services.keys.create(row, "ann"))[0]

        self.key = desk.run(make)
        self.now_ms = desk.clock.wall_ms()

    def budget(self, written, subject=None):
        snapshot = self.desk.services.publication.snapshot
        return budgets.of_rule(
            subject or f"key:{self.key.id}", budget_rule.parse(written), snapshot.timezone, snapshot.model_sets
        )

    def spend(self, written, amount, value="", subject=None):
        """Book as the ledger does."""
        budget = self.budget(written, subject)
        period = period_at(budget.calendar, self.now_ms)
        row = Added(settled=amount, unit=budget.unit.value, ends_ms=period.ends_ms)
        key = (budgets.name_of(budget, value), period.number)
        self.desk.store.write(lambda c: balance_rows.add(c, [(key, row)])).result()
        return key

    def show(self, subject="ci"):
        async def work():
            return await self.service.states([await self.service.find(subject)])

        return self.desk.run(work)

    def run(self, method, *arguments, **more):
        return self.desk.run(lambda: method(*arguments, **more))


def test_a_budget_is_shown_with_what_is_spent_and_left_and_when_it_begins_anew(desk):
    books = Books(desk, "5/day", "1000 requests/week", timezone="Europe/Berlin")
    books.spend("5/day", 2 * USD)
    day, week = books.show()
    assert (day["subject"], day["budget"], day["limit"], day["settled"]) == ("key:ci", "5/day", 5 * USD, 2 * USD)
    assert (day["remaining"], day["percent"], day["state"], day["held"]) == (3 * USD, 40, "ok", None)
    assert (week["unit"], week["limit"], week["settled"]) == ("requests", 1_000, 0)
    reset = datetime.datetime.fromtimestamp(day["resets_ms"] / 1000, datetime.UTC)
    assert reset.hour in {22, 23}, "midnight of Berlin"
    assert day["timezone"] == "Europe/Berlin"


def test_what_counters_know_is_shown_before_what_the_store_has(desk):
    books = Books(desk, "5/day")
    books.service.read = lambda buckets: [Reading(settled=3 * USD, held=USD, limit=one.limit) for one in buckets]
    (day,) = books.show()
    assert (day["settled"], day["held"], day["remaining"]) == (3 * USD, USD, USD)


def test_each_value_of_a_dimension_is_shown_the_highest_first(desk):
    books = Books(desk, "5/day per end_user")
    for value, amount in (("ann", 1), ("bob", 6), ("a/b", 3)):
        books.spend("5/day per end_user", amount * USD, value)
    states = books.show()
    assert [(one["value"], one["state"]) for one in states] == [("bob", "overrun"), ("a/b", "ok"), ("ann", "ok")]


def test_a_raise_holds_for_the_running_period_of_one_balance_and_says_who_and_why(desk):
    books = Books(desk, "5/day", "50/month")
    name, number = books.spend("5/day", 5 * USD)
    answer = books.run(books.service.raise_limit, "key:ci", "2.5", "load test", "ann", label="day")
    (day,) = answer["budgets"]
    assert (day["limit"], day["raised"], day["remaining"]) == (7_500_000_000, 2_500_000_000, 2_500_000_000)
    snapshot = desk.services.publication.snapshot
    assert budgets.raised(snapshot.raises, name, number, books.now_ms) == 2_500_000_000
    assert budgets.raised(snapshot.raises, name, number + 1, books.now_ms) == 0
    assert budgets.raised(snapshot.raises, name, number, day["resets_ms"]) == 0

    books.run(books.service.raise_limit, "ci", "1", "more of it", "bob", label="day")
    assert books.show()[0]["raised"] == 3_500_000_000

    async def changes():
        return await books.service.changes(await books.service.find("ci"))

    assert [(c["actor"], c["reason"], c["amount"]) for c in desk.run(changes)] == [
        ("bob", "more of it", USD),
        ("ann", "load test", 2_500_000_000),
    ]
    assert [row.action for row in desk.audit()][-2:] == ["budget.raise", "budget.raise"]


def test_a_raise_of_another_period_holds_no_more(desk, clock):
    books = Books(desk, "5/day")
    books.run(books.service.raise_limit, "ci", "5", "x", "ann")
    clock.advance(86_400)
    desk.run(desk.services.publication.publish)
    assert desk.services.publication.snapshot.raises == {}
    assert books.show()[0]["limit"] == 5 * USD


def test_a_reset_is_a_correction_beside_the_ledger_and_told_to_the_counters(desk):
    books = Books(desk, "5/day")
    key = books.spend("5/day", 6 * USD)
    told = []

    async def corrected(some):
        told.extend(some)

    books.service.corrected = corrected
    (day,) = books.run(books.service.reset, "ci", "test traffic", "ann")["budgets"]
    assert (day["settled"], day["state"], day["remaining"]) == (0, "ok", 5 * USD)
    row = desk.read(balance_rows.find, [key])[key]
    assert (row.settled, row.corrected) == (6 * USD, -6 * USD)
    assert [(one.budget, one.period, one.delta) for one in told] == [(*key, -6 * USD)]
    assert desk.services.balances.take() == {key}
    books.spend("5/day", USD)
    assert books.show()[0]["settled"] == USD


def test_a_reset_of_all_values_or_of_one(desk):
    books = Books(desk, "5/day per end_user")
    for value in ("ann", "bob", "cid"):
        books.spend("5/day per end_user", USD, value)
    books.run(books.service.reset, "ci", "x", "ann", value="bob")
    assert {one["value"]: one["settled"] for one in books.show()} == {"ann": USD, "cid": USD, "bob": 0}
    books.run(books.service.reset, "ci", "x", "ann")
    assert {one["settled"] for one in books.show()} == {0}


@pytest.mark.parametrize(
    ("subject", "arguments", "message"),
    [
        ("cj", {}, "did you mean 'key:ci'"),
        ("keys:ci", {}, "did you mean 'key'"),
        ("organisation", {}, "has no budget"),
        ("ci", {}, "has 2 budgets"),
        ("ci", {"label": "dy"}, "did you mean 'day'"),
        ("ci", {"label": "day", "amount": "0"}, "no amount"),
        ("ci", {"label": "day", "amount": "5 tokens"}, "no amount of USD"),
        ("ci", {"label": "day", "reason": " "}, "a reason is needed"),
        ("ci", {"label": "users"}, "say whose"),
    ],
)
def test_a_wrong_raise_is_refused_with_what_was_meant(desk, subject, arguments, message):
    books = Books(desk, "5/day", BudgetSpec(limit="1000 requests/day", name="users", per="user"))
    amount, reason = arguments.pop("amount", "5"), arguments.pop("reason", "why")
    with pytest.raises(UserError) as caught:
        books.run(books.service.raise_limit, subject, amount, reason, "ann", **arguments)
    assert message in f"{caught.value} {caught.value.hint}"


def test_a_bare_number_raises_requests(desk):
    books = Books(desk, "10 requests/day")
    (day,) = books.run(books.service.raise_limit, "ci", "5", "x", "ann")["budgets"]
    assert day["limit"] == 15
    with pytest.raises(UserError, match="whole number"):
        books.run(books.service.raise_limit, "ci", "0.5", "x", "ann")


def test_a_rolling_budget_is_summed_and_reset_over_its_window(desk):
    books = Books(desk, "5/1h rolling")
    budget = books.budget("5/1h rolling")
    width_ms = windows.width_us(3_600_000_000) // 1_000
    name = budgets.name_of(budget)
    now = books.now_ms // width_ms
    rows = [
        ((name, now - age), Added(settled=USD, unit="nanousd", ends_ms=None, width_ms=width_ms)) for age in (0, 30, 70)
    ]
    desk.store.write(lambda c: balance_rows.add(c, rows)).result()
    assert books.show()[0]["settled"] == 2 * USD
    snapshot = desk.services.publication.snapshot
    assert desk.read(limit_of, snapshot, name) == 5 * USD
    assert desk.read(limit_of, snapshot, name.replace(books.key.id, "k" * len(books.key.id))) is None
    books.run(books.service.reset, "ci", "x", "ann")
    (one,) = desk.publisher.current().raises.values()
    assert (one.amount, one.begun_ms) == (0, desk.clock.wall_ms())
    assert books.show()[0]["settled"] == 0


def test_budgets_of_others_than_keys_are_found_by_their_kind(desk):
    rule = budget_rule.parse("900/month")
    books = Books(desk, "5/day", budgets=(rule,))
    books.spend("900/month", USD, subject="organisation")
    assert books.show("organisation")[0]["settled"] == USD

    async def listed():
        return [holder.title for holder in await books.service.holders()]

    assert desk.run(listed) == ["organisation", "key:ci"]


@pytest.mark.parametrize(
    "subject", ["deployment:openai/gpt-4o@default", "provider:openai", "credential:openai/default"]
)
def test_a_budget_of_a_place_is_listed_shown_and_raised(desk, subject):
    rules = (budget_rule.parse("5/day"),)
    entry = DeploymentEntry(provider="openai", model="gpt-4o", budgets=rules)
    spec = msgspec.structs.replace(OPENAI, budgets=rules, credential_budgets={"default": rules})
    models = [ModelEntry(name="fast", deployments=(entry,))]
    books = Books(desk, providers=[spec], models=models)
    desk.run(lambda: desk.services.credentials.put(sealed(), None, "ann"))
    books.spend("5/day", USD, subject=subject)

    async def listed():
        return [state["subject"] for state in await books.service.states(await books.service.holders())]

    assert desk.run(listed).count(subject) == 1
    assert books.show(subject)[0]["settled"] == USD
    told = books.run(books.service.raise_limit, subject, "2", "load test", "ann")
    assert told["budgets"][0]["limit"] == 7 * USD


def test_budgets_of_a_team_and_of_a_profiles_pots_are_shown_by_their_names(desk):
    books = Books(desk, "5/day")
    service = desk.services.holders
    rules = HolderPolicy(budget=["10/day"])
    team = desk.run(lambda: service.create(organisation.KINDS["team"], "research", rules, "ann"))
    profile = desk.run(lambda: service.create(organisation.KINDS["profile"], "std", rules, "ann"))
    books.spend("10/day", USD, subject=f"team:{team.id}")
    books.spend("10/day", 2 * USD, subject=f"profile:{profile.id}/user:u1")
    assert books.show("team:research")[0]["settled"] == USD
    (pot,) = books.show("profile:std/user:u1")
    assert (pot["subject"], pot["settled"]) == ("profile:std/user:u1", 2 * USD)

    async def of(subjects):
        return {holder.title for holder in await books.service.holders_of(subjects)}

    subjects = {f"team:{team.id}", f"profile:{profile.id}/user:u1", f"key:{books.key.id}", "user:nobody"}
    assert desk.run(lambda: of(subjects)) == {"team:research", "profile:std/user:u1", "key:ci"}


def test_an_imported_key_goes_on_from_what_it_spent(desk):
    books = Books(desk, "5/day", "9 requests/day", "50 total")
    books.run(books.service.open_with, f"key:{books.key.id}", books.key, 3 * USD, "ann")
    day, requests, total = books.show()
    assert (day["settled"], requests["settled"], total["settled"]) == (3 * USD, 0, 3 * USD)
