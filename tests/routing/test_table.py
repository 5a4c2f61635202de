"""From a model's name to deployments."""

import msgspec

from switchgear.routing import table
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable

ROUTES = RouteTable(
    providers={
        "a": ProviderEntry(name="a", dialects=("openai",), credentials=("one", "two")),
        "b": ProviderEntry(name="b", dialects=("openai",), credentials=("c",)),
        "empty": ProviderEntry(name="empty", dialects=("openai",), credentials=()),
    },
    models={
        "fast": ModelEntry(
            name="fast",
            deployments=(
                DeploymentEntry(provider="b", model="m", tier=2),
                DeploymentEntry(provider="a", model="m", credential="two"),
            ),
            fallback=("slow",),
        ),
        "slow": ModelEntry(name="slow", deployments=(DeploymentEntry(provider="b", model="big"),)),
        "quick": ModelEntry(name="quick", alias="fast"),
        "loop": ModelEntry(name="loop", alias="loop"),
        "x/*": ModelEntry(name="x/*", deployments=(DeploymentEntry(provider="a", model="*"),)),
        "x/y*": ModelEntry(name="x/y*", deployments=(DeploymentEntry(provider="b", model="y-*"),)),
    },
)


def places(name, routes=ROUTES):
    route = table.resolve(routes, name)
    return None if route is None else [(c.credential_id, c.upstream_model) for c in route.deployments]


def test_tiers_in_order_then_fallback():
    assert places("fast") == [("a/two", "m"), ("b/c", "m"), ("b/c", "big")]
    assert places("quick") == places("fast")


def test_patterns_carry_the_star_and_the_longest_wins():
    assert places("x/model") == [("a/one", "model"), ("a/two", "model")]
    assert places("x/yz") == [("b/c", "y-z")]


def test_provider_slash_model_is_implicit():
    assert places("b/any/thing") == [("b/c", "any/thing")]
    closed = RouteTable(providers=ROUTES.providers, models=ROUTES.models, implicit=False)
    assert places("b/any", closed) is None


def test_an_unknown_or_circular_name_has_no_route():
    assert places("nope") is None
    assert places("loop") is None
    assert places("empty/x") is None
    assert places("b/") is None


def test_a_model_that_no_client_named_is_asked_of_openai():
    theirs = ProviderEntry(name="o", dialects=("openai",), credentials=("c",), pricing_id="openai")
    routes = RouteTable(providers={**ROUTES.providers, "o": theirs}, models=ROUTES.models)
    assert table.name_of_default(routes, "judge") == "o/judge"
    assert table.name_of_default(routes, "fast") == "fast"
    assert table.name_of_default(ROUTES, "judge") == "judge"


def test_models_and_providers_of_a_team_are_there_for_that_team_alone():
    changed = {
        "providers": {**ROUTES.providers, "b": msgspec.structs.replace(ROUTES.providers["b"], team="red")},
        "models": {**ROUTES.models, "slow": msgspec.structs.replace(ROUTES.models["slow"], team="blue")},
    }
    routes = msgspec.structs.replace(ROUTES, **changed)
    assert table.owners(routes) == {"red", "blue"} and table.owners(ROUTES) == frozenset()
    nobodys, red, both = (table.seen_by(routes, teams) for teams in ((), ("red",), ("red", "blue")))
    assert places("fast", nobodys) == [("a/two", "m")], "neither the provider nor the model to fall back on"
    assert places("b/x", nobodys) is None and places("slow", nobodys) is None
    assert places("fast", red) == [("a/two", "m"), ("b/c", "m")]
    assert places("fast", both) == places("fast") and both == routes
