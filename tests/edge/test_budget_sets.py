"""Which budgets hold for an attempt, and what a record says of them."""

import pytest

from switchgear.core.budget_rule import BudgetSpec, parse
from switchgear.edge import budget_sets
from switchgear.edge.budget_time import BudgetTime
from switchgear.edge.limit_sets import Values
from switchgear.policies import budgets
from switchgear.policies.buckets import Hold
from switchgear.policies.budgets import Bound, Spends
from switchgear.replica.entries import KeyEntry, Snapshot
from switchgear.routing import table
from switchgear.routing.limited import Limited
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable

DAY = (parse("1/day"),)
WEEK = (parse("2/week"),)


def routes():
    providers = {
        "a": ProviderEntry(
            name="a", dialects=("openai",), credentials=("main",), budgets=DAY, credential_budgets={"main": WEEK}
        )
    }
    deployment = DeploymentEntry(provider="a", model="x", budgets=DAY)
    models = {
        "m": ModelEntry(name="m", deployments=(deployment,), budgets=WEEK),
        "n": ModelEntry(name="n", deployments=(DeploymentEntry(provider="a", model="x", budgets=(parse("0.5/day"),)),)),
    }
    return RouteTable(providers=providers, models=models)


def subjects(found):
    return [(one.budget.subject, one.budget.limit) for one in found.budgets]


def test_a_key_has_its_own_the_organisations_and_the_models_that_it_asks_for():
    key = KeyEntry("k", "k", 1, [], budget="5/month")
    snapshot = Snapshot(store_id="s", epoch=1, table=routes(), budgets=DAY)
    found = budget_sets.of_key(key, snapshot, table.resolve(snapshot.table, "m"))
    assert subjects(found) == [("organisation", 10**9), ("key:k", 5 * 10**9), ("model:m", 2 * 10**9)]


def test_a_key_without_any_has_the_one_empty_set():
    assert budget_sets.of_key(KeyEntry("k", "k", 1, []), Snapshot(store_id="s", epoch=1), None) is budget_sets.NONE


def test_a_deployment_has_the_smallest_of_its_own_its_providers_and_its_credentials():
    snapshot = Snapshot(store_id="s", epoch=1, table=routes())
    (deployment,) = table.resolve(snapshot.table, "m").deployments
    found = budget_sets.of_deployment(deployment.provider, deployment, Limited(snapshot.table), "m", snapshot)
    assert subjects(found) == [
        ("deployment:a/x@main", 5 * 10**8),
        ("provider:a", 10**9),
        ("credential:a/main", 2 * 10**9),
    ]
    (direct,) = table.resolve(snapshot.table, "a/x").deployments
    found = budget_sets.of_deployment(direct.provider, direct, Limited(snapshot.table), "a/x", snapshot)
    assert subjects(found)[0] == ("deployment:a/x@main", 5 * 10**8)


@pytest.mark.parametrize(
    ("models", "is_counted"),
    [(["m"], True), (["n"], True), (["x"], True), (["a/*"], True), (["@s"], True), (["o"], False)],
)
def test_a_budget_of_some_models_counts_what_is_served_by_any_of_its_names(models, is_counted):
    snapshot = Snapshot(store_id="s", epoch=1, table=routes(), model_sets={"s": ("m",)})
    key = KeyEntry("k", "k", 1, [], budget=BudgetSpec(limit="1/day", models=models))
    (deployment,) = table.resolve(snapshot.table, "m").deployments
    names = budget_sets.names_of(deployment, Limited(snapshot.table))
    assert bool(budget_sets.of_key(key, snapshot, None).of(names)) is is_counted


def test_what_is_held_follows_the_unit():
    bound = Bound(input=10, output=20, cost_nanousd=500, write_output=None)
    assert [budget_sets.amount(unit, bound) for unit in Spends] == [500, 1, 10, 20, 30]


def counted(written):
    key = KeyEntry("k", "k", 1, [], budget=written)
    return budget_sets.of_key(key, Snapshot(store_id="s", epoch=1), None).budgets[0]


def test_a_record_names_the_balance_by_identity_value_and_period(clock):
    time = BudgetTime(clock)
    one, values = counted("1/day per end_user"), Values(key_id="k", end_user="ann")
    place = time.place(one.budget, *time.now())
    bucket = one.bucket(place, values)
    held = budget_sets.recorded(one, Hold(bucket, 7), place, values)
    assert budgets.key_of(held.budget, held.period) == bucket.key
    assert (held.amount, held.unit, held.ends_ms, held.width_ms) == (7, "nanousd", place.period.ends_ms, 0)


def test_a_record_of_a_rolling_budget_names_its_sub_window(clock):
    time = BudgetTime(clock)
    one = counted("1/7d rolling")
    place = time.place(one.budget, *time.now())
    held = budget_sets.recorded(one, Hold(one.bucket(place, None), 7), place, None)
    assert held.width_ms == -(-7 * 86_400_000_000 // 63) // 1_000
    assert held.period == place.now_ms // held.width_ms
    assert held.ends_ms > place.now_ms + 7 * 86_400_000
