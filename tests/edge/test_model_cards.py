"""Lists of models: what is callable, and nothing else."""

import json

import pytest

from switchgear.edge import model_cards
from switchgear.edge.resolver import Resolver
from switchgear.policies import access
from switchgear.pricing.price import Price, Rate
from switchgear.replica.entries import KeyEntry, Snapshot
from switchgear.routing import table
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable

PRICES = {
    "id": "openai",
    "fallback": [],
    "models": [
        {"id": name, "match": {"equals": name}, "context_window": 128_000, "prices": [{"meters": {"input": "1", "output": "2"}}]}
        for name in ("gpt-4o", "gpt-4o-mini", "gpt-4.1")
    ],
}  # fmt: skip
OVERRIDE = Price("qwen3", "override", {"input": Rate(1), "output": Rate(2)})


def model(name, *deployments, **more):
    deployments = tuple(DeploymentEntry(provider=p, model=m) for p, m in (t.split("/", 1) for t in deployments))
    return ModelEntry(name=name, deployments=deployments, **more)


def snapshot(*models, implicit=False, **more):
    routes = RouteTable(
        providers={
            "openai": ProviderEntry(name="openai", dialects=("openai",), credentials=("c",), pricing_id="openai"),
            "local": ProviderEntry(name="local", dialects=("openai",), credentials=("c",)),
            "closed": ProviderEntry(name="closed", dialects=("openai",), credentials=(), pricing_id="openai"),
        },
        models={entry.name: entry for entry in models},
        implicit=implicit,
    )
    return Snapshot(store_id="s", epoch=1, table=routes, price_overrides={"local/qwen3": OVERRIDE}, **more)


def key(models=None):
    return KeyEntry("k", "k", 1, [], models=models)


def listed(made, models=None):
    resolver = Resolver(lambda name: json.dumps(PRICES).encode() if name == "openai" else None)
    cards = resolver.callable_models(made, key(models), 0)
    for name in cards:  # nothing is listed that a call would refuse
        assert resolver.resolve(made, key(models), name, 0).problem is None, name
    return cards


def test_a_wildcard_lists_the_priced_models_that_it_matches():
    assert set(listed(snapshot(model("openai/gpt-4o*", "openai/gpt-4o*")))) == {"openai/gpt-4o", "openai/gpt-4o-mini"}


def test_names_that_a_pattern_gives_are_listed_by_those_names():
    made = snapshot(model("my-*", "openai/gpt-*"))
    assert set(listed(made)) == {"my-4o", "my-4o-mini", "my-4.1"}
    assert table.resolve(made.table, "my-4o").deployments[0].upstream_model == "gpt-4o"


def test_the_names_of_an_alias_to_a_pattern_are_listed():
    made = snapshot(model("my-*", "openai/gpt-*"), ModelEntry(name="your-*", alias="my-*"))
    assert {"your-4o", "my-4o"} <= set(listed(made))
    assert table.resolve(made.table, "your-4o").deployments[0].upstream_model == "gpt-4o"


def test_a_longer_pattern_or_an_exact_name_takes_its_names():
    made = snapshot(model("g*", "openai/g*"), model("gpt-4o*", "local/x-*"), model("gpt-4.1", "local/qwen3"))
    assert set(listed(made)) == {"gpt-4.1"}  # what leads to x- is not known to exist


def test_provider_and_model_are_listed_where_that_may_be_called():
    assert set(listed(snapshot(implicit=True))) == {
        "openai/gpt-4o",
        "openai/gpt-4o-mini",
        "openai/gpt-4.1",
        "local/qwen3",
    }
    assert listed(snapshot()) == {}


def test_a_model_that_a_key_may_not_call_or_that_leads_nowhere_is_not_listed():
    made = snapshot(
        model("fast", "openai/gpt-4o"), model("off", "closed/gpt-4o"), model("gone", "nowhere/x"), implicit=True
    )
    assert set(listed(made, ["fast", "off", "gone", "openai/*-mini"])) == {"fast", "openai/gpt-4o-mini"}


def test_a_frozen_or_refused_unpriced_model_is_not_listed():
    made = snapshot(model("fast", "openai/gpt-4o"), model("odd", "local/unknown"), freezes={"model:fast": None})
    assert set(listed(made)) == {"odd"}
    assert set(
        listed(snapshot(model("odd", "local/unknown"), model("fast", "openai/gpt-4o"), unpriced="refuse_all"))
    ) == {"fast"}


def test_a_card_tells_window_output_and_other_names():
    card = listed(snapshot(model("fast", "openai/gpt-4o"), ModelEntry(name="quick", alias="fast")))["fast"]
    assert (card.context_window, card.max_output_tokens, card.aliases) == (128_000, 16_384, ("quick",))


@pytest.mark.parametrize(
    ("asked", "near"),
    [("echo", "demo/echo"), ("gpt-4o-mni", "openai/gpt-4o-mini"), ("demo/ecko", "demo/echo"), ("nonsense", None)],
)
def test_the_nearest_name_is_found_without_its_provider(asked, near):
    assert access.nearest(asked, ["demo/echo", "openai/gpt-4o-mini", "openai/gpt-4.1"]) == near


def test_the_bound_of_names_is_a_bound():
    assert model_cards.NAMES_MAX >= 5_000
