"""Limits of places: the same by whatever name somebody asks."""

from switchgear.core.limit_rule import LimitRule
from switchgear.routing import table
from switchgear.routing.limited import Limited
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable

DAY = LimitRule("requests", 5, "day")
STRICTER = LimitRule("requests", 3, "day")
OTHER = LimitRule("parallel", 2)


def routes(*models):
    providers = {name: ProviderEntry(name=name, dialects=("openai",), credentials=("c", "d")) for name in "ab"}
    return RouteTable(providers=providers, models={model.name: model for model in models})


def model(name, provider="a", upstream="m", credential="c", limits=(), of=()):
    entry = DeploymentEntry(provider=provider, model=upstream, credential=credential, limits=limits)
    return ModelEntry(name=name, deployments=(entry,), limits=of)


def limits(found, name):
    route = table.resolve(found, name)
    limited = Limited(found)
    return [dict(limited.of_deployment(one, route.entry)) for one in route.deployments]


def counted(found, name):
    route = table.resolve(found, name)
    return [one.name for one in Limited(found).models_of(route.deployments, route.entry)]


def test_another_model_with_the_same_deployment_has_its_limits():
    found = routes(model("fast", limits=(DAY,)), model("also"), model("elsewhere", upstream="other"))
    assert limits(found, "fast") == limits(found, "also") == [{"a/m@c": (DAY,)}]
    assert limits(found, "elsewhere") == [{}]


def test_of_rules_of_one_kind_the_strictest_holds():
    found = routes(model("fast", limits=(DAY, OTHER)), model("also", limits=(STRICTER,)))
    assert limits(found, "also") == limits(found, "fast")
    assert set(limits(found, "fast")[0]["a/m@c"]) == {STRICTER, OTHER}


def test_a_deployment_that_names_its_provider_has_the_limits_of_the_configured_one():
    found = routes(model("fast", limits=(DAY,)))
    assert limits(found, "a/m") == [{"a/m@c": (DAY,)}, {}], "the credential d is of no configured deployment"
    assert limits(routes(model("fast", credential=None, limits=(DAY,))), "a/m") == [
        {"a/m@c": (DAY,)},
        {"a/m@d": (DAY,)},
    ]


def test_all_names_behind_a_pattern_are_counted_as_one():
    found = routes(model("pat/*", upstream="*", limits=(DAY,)))
    assert limits(found, "pat/x") == limits(found, "pat/X") == limits(found, "pat/x:free") == [{"pat/*>a/*@c": (DAY,)}]
    assert limits(found, "a/x")[0] == {"pat/*>a/*@c": (DAY,)}


def test_a_model_of_its_own_is_not_counted_as_a_pattern():
    found = routes(model("pat/*", upstream="*", limits=(DAY,)), model("fast"))
    assert limits(found, "fast") == [{}]


def test_who_names_the_provider_is_counted_as_the_models_that_have_it():
    found = routes(model("fast", of=(DAY,)), model("pat/*", upstream="m-*"), ModelEntry(name="al", alias="fast"))
    assert counted(found, "a/m") == ["fast"]
    assert counted(found, "a/m-x") == ["pat/*"]
    assert counted(found, "fast") == counted(found, "al") == counted(found, "b/m") == []
