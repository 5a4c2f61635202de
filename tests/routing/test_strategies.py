"""Orders of deployments: by tier, and within a tier by the strategy."""

import pytest

from switchgear.routing import strategies, table
from switchgear.routing.strategies import DEFAULT, STRATEGIES, Occasion, arrange, order_of
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable

PROVIDERS = {name: ProviderEntry(name=name, dialects=("openai",), credentials=("c",)) for name in "abcd"}
NOW = Occasion(seed=7, now_ms=0)


def route(*tiers, fallback=(), strategy=DEFAULT):
    """A route to providers that are given per tier, as "ab", and to others in a model to fall back on."""

    def deployments(tiers):
        return tuple(
            DeploymentEntry(provider=p, model="m", tier=10 * n) for n, names in enumerate(tiers) for p in names
        )

    models = {"m": ModelEntry(name="m", deployments=deployments(tiers), fallback=("n",), strategy=strategy)}
    models["n"] = ModelEntry(name="n", deployments=deployments(fallback))
    return table.resolve(RouteTable(providers=PROVIDERS, models=models), "m")


def names(found, order, occasion=NOW):
    return "".join(
        found.deployments[position].provider.name for position in arrange(order, found.deployments, occasion)
    )


def backwards(tier, occasion):
    return range(len(tier))[::-1]


def test_the_configured_order_leaves_everything_where_it_is():
    assert names(route("ab", "cd"), strategies.ordered) == "abcd"


def test_a_strategy_orders_within_a_tier_and_never_across_tiers():
    assert names(route("ab", "cd"), backwards) == "badc"


def test_a_model_to_fall_back_on_is_a_tier_of_its_own_whatever_its_number():
    assert names(route("ab", fallback=("cd",)), backwards) == "badc"


def test_a_deployment_that_a_strategy_leaves_out_is_not_asked():
    assert names(route("abc"), lambda tier, occasion: [len(tier) - 1]) == "c"


def test_a_strategy_sees_the_deployments_of_a_tier_and_the_occasion():
    seen = []
    names(route("ab", "c"), lambda tier, occasion: seen.append((len(tier), occasion)) or range(len(tier)))
    assert seen == [(2, NOW), (1, NOW)]


def test_a_route_says_its_models_strategy(monkeypatch):
    monkeypatch.setitem(STRATEGIES, "backwards", backwards)
    found = route("ab", strategy="backwards")
    assert order_of(found.strategy, found.deployments) is backwards


@pytest.mark.parametrize(
    ("strategy", "tiers"), [(DEFAULT, ("ab",)), ("backwards", ("a",)), ("of another version", ("ab",))]
)
def test_where_nothing_is_to_be_decided_there_is_no_order(strategy, tiers, monkeypatch):
    monkeypatch.setitem(STRATEGIES, "backwards", backwards)
    assert order_of(strategy, route(*tiers).deployments) is None
