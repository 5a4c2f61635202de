"""The order in which the deployments of a sample are asked, and why not the others."""

from switchgear.control.sample import Sample, arranged
from switchgear.routing import table
from switchgear.routing.conditions import When
from switchgear.routing.states import Opened
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable

NOW_MS = 1_795_000_000_000
PROVIDERS = {
    name: ProviderEntry(name=name, dialects=("openai",), credentials=("c",), labels={"region": region})
    for name, region in {"a": "eu", "b": "us", "c": "eu", "d": "eu"}.items()
}


def told(sample=None, opened=(), required=None, **fields):
    deployments = (
        DeploymentEntry(provider="a", model="m"),
        DeploymentEntry(provider="b", model="m"),
        DeploymentEntry(provider="c", model="m", when=When(tokens_min=1_000)),
    )
    models = {
        "fast": ModelEntry(name="fast", deployments=deployments, fallback_on={"context_length": ("long",)}, **fields),
        "long": ModelEntry(name="long", deployments=(DeploymentEntry(provider="d", model="m"),)),
    }
    route = table.resolve(RouteTable(providers=PROVIDERS, models=models), "fast")
    found = arranged(
        sample or Sample(model="fast"), route, [None] * 4, dict(opened), ("k", None, [], required or {}), NOW_MS
    )
    return {one["deployment"][0]: (one["place"], one["left_out"]) for one in found}


def test_each_deployment_has_its_place_or_why_it_has_none():
    found = told()
    assert [found[name][0] for name in "abcd"] == [1, 2, None, None]
    assert "1000 tokens" in found["c"][1] and found["d"][1] == "only after an error of context_length"


def test_an_open_breaker_is_said():
    recent = {"a/m@c": Opened("failures", NOW_MS - 5_000, NOW_MS - 5_000)}
    assert told(opened=recent)["a"] == (None, "its breaker is open")
    due = {"a/m@c": Opened("failures", NOW_MS - 60_000, NOW_MS - 60_000)}
    assert told(opened=due)["a"][0] == 1, "it is asked to see whether it is back"


def test_labels_that_a_key_or_a_model_requires_are_said():
    found = told(required={"region": "us"})
    assert found["b"][0] == 1 and found["a"] == (None, "region: us is required, and it is eu")
    assert told(require={"region": "eu"})["b"][1] == "region: eu is required, and it is us"


def test_a_sample_says_how_long_it_is():
    assert told(Sample(model="fast", input_tokens=2_000))["c"][0] == 3
