"""Every way to a frozen model."""

import pytest

from switchgear.routing import table
from switchgear.routing.frozen import frozen_models
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable


def model(name, *places, **more):
    deployments = tuple(DeploymentEntry(provider=p.partition("/")[0], model=p.partition("/")[2]) for p in places)
    return ModelEntry(name=name, deployments=deployments, **more)


ROUTES = RouteTable(
    providers={name: ProviderEntry(name=name, dialects=("openai",), credentials=("c",)) for name in ("a", "b")},
    models={
        "fast": model("fast", "a/m", "b/m"),
        "quick": ModelEntry(name="quick", alias="fast"),
        "x/*": model("x/*", "a/*"),
        "other": model("other", "a/big", fallback=("fast",)),
        "shared": model("shared", "a/big", "b/m"),
        "apart": model("apart", "b/big"),
    },
)


def stopped(frozen, asked):
    """Return (the name is refused, what is left of the deployments)."""
    models = frozen_models(ROUTES, frozen)
    route = table.resolve(ROUTES, asked)
    left = [f"{c.provider.name}/{c.upstream_model}" for c in route.deployments if not models.stops_deployment(c)]
    return models.stops_name(table.trace(ROUTES, asked)[0]), left


@pytest.mark.parametrize("asked", ["fast", "quick", "a/m", "b/m", "x/m"])
@pytest.mark.parametrize("frozen", ["fast", "quick"])
def test_a_configured_models_names_and_deployments_are_stopped(frozen, asked):
    is_refused, left = stopped([frozen], asked)
    assert is_refused or not left


def test_other_models_lose_only_the_deployments_that_they_share():
    assert stopped(["fast"], "other") == (False, ["a/big"])
    assert stopped(["fast"], "shared") == (False, ["a/big"])
    assert stopped(["fast"], "apart") == (False, ["b/big"])
    assert stopped(["fast"], "x/n") == (False, ["a/n"])


def test_provider_and_model_stop_that_deployment_everywhere():
    assert stopped(["a/m"], "fast") == (False, ["b/m"])
    assert stopped(["a/m"], "x/m")[1] == []
    assert stopped(["a/m"], "x/n") == (False, ["a/n"])


def test_freezing_a_pattern_stops_all_its_names_and_freezing_a_name_only_the_name():
    assert stopped(["x/*"], "x/n")[0]
    assert stopped(["x/*"], "a/big")[1] == []
    assert stopped(["x/n"], "x/m") == (False, ["a/m"])
    assert stopped(["x/n"], "a/n")[1] == []
    assert stopped(["a/*"], "fast") == (False, ["b/m"])


def test_a_star_alone_is_special():
    assert stopped(["a/?"], "a/m") == (False, ["a/m"])
    assert stopped(["a/[m]"], "a/m") == (False, ["a/m"])


def test_a_name_that_nothing_answers_to_waits_for_its_model():
    assert frozen_models(ROUTES, ["later"]).stops_name(["later"])
    assert not frozen_models(ROUTES, ["later"]).stops_name(["fast"])
    assert not frozen_models(ROUTES, []).stops_name(["fast"])
