import msgspec
import pytest
from tests.control.conftest import sealed
from tests.control.test_credentials import OPENAI

from switchgear.config.compile import Compiled
from switchgear.control.sample import Sample
from switchgear.core.errors import ConflictError, UserError
from switchgear.pricing.price import Price, Rate
from switchgear.routing.table import DeploymentEntry, ModelEntry
from switchgear.store.objects import KeyRow
from switchgear.vault import verbs

FAST = ModelEntry(name="fast", deployments=(DeploymentEntry(provider="openai", model="gpt-x"),))
PRICE = Price(model="gpt-x", source="ours", rates={"input": Rate(base=1)})


def serve(desk):
    """Add a provider with a credential, and a model."""
    return (
        lambda: desk.services.credentials.put(sealed(), OPENAI, "ann"),
        lambda: desk.services.models.add(FAST, "ann"),
    )


def test_a_model_is_published_and_removed(desk):
    desk.run(*serve(desk))
    assert list(desk.publisher.current().table.models) == ["fast"]
    desk.run(lambda: desk.services.models.remove("fast", "ann"))
    assert desk.publisher.current().table.models == {}
    assert [line.action for line in desk.audit()][-2:] == ["model.add", "model.remove"]


def test_a_model_of_an_unknown_provider_is_refused(desk):
    with pytest.raises(UserError, match="there is no provider 'openai'"):
        desk.run(lambda: desk.services.models.add(FAST, "ann"))


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"deployments": [{"provider": "openai", "model": "m", "weight": 0}]}, r"deployments\[0\].weight: 0 must lie"),
        ({"deployments": [{"provider": "openai", "model": "m", "weight": -1e9}]}, r"weight: -1e\+09 must lie"),
        ({"breaker": {"probe_s": 0}}, "breaker.probe_s: 0 must lie"),
        ({"breaker": {"failures": 0}}, "breaker.failures: 0 must lie"),
        ({"retry": {"backoff_s": 1e9}}, "retry.backoff_s: 1e"),
        ({"retries_max": 99}, "retry.max: 99 must lie"),
        ({"fallback_on": {"bad_luck": ["x"]}}, "fallback_on.bad_luck"),
        ({"timeouts": {"total_s": -1}}, "timeouts.total_s: -1 must lie"),
    ],
)
def test_a_model_of_the_api_is_held_to_the_bounds_of_a_file(desk, entry, said):
    desk.run(lambda: desk.services.credentials.put(sealed(), OPENAI, "ann"))
    given = msgspec.convert({"name": "odd", "deployments": [{"provider": "openai", "model": "m"}], **entry}, ModelEntry)
    with pytest.raises(UserError, match=said):
        desk.run(lambda: desk.services.models.add(given, "ann"))


def test_a_model_with_an_unknown_strategy_is_refused(desk):
    with pytest.raises(UserError, match="'roulette' is no strategy"):
        desk.run(
            lambda: desk.services.credentials.put(sealed(), OPENAI, "ann"),
            lambda: desk.services.models.add(msgspec.structs.replace(FAST, strategy="roulette"), "ann"),
        )


def test_a_model_of_the_file_is_changed_there(desk):
    desk.services.publication.compiled = Compiled(models=(FAST,))
    with pytest.raises(ConflictError):
        desk.run(lambda: desk.services.models.add(FAST, "ann"))
    with pytest.raises(UserError, match="is declared"):
        desk.run(lambda: desk.services.models.remove("fast", "ann"))


def test_a_price_set_in_the_store_is_found_for_its_model(desk):
    desk.run(*serve(desk))
    assert desk.services.models.find_price("openai/gpt-x") is None
    desk.run(lambda: desk.services.models.set_price("openai/gpt-x", PRICE, "ann"))
    assert desk.services.models.find_price("openai/gpt-x").rates == PRICE.rates


def test_explaining_a_model_before_the_first_publication_is_refused(desk):
    with pytest.raises(UserError, match="nothing was published yet"):
        desk.run(lambda: desk.services.models.explain(Sample(model="fast")))


def test_an_explanation_says_where_a_request_goes_and_what_is_frozen(desk):
    services = desk.services
    desk.run(*serve(desk), lambda: services.freezes.freeze("provider:openai", None, "ann"))
    told = desk.run(lambda: services.models.explain(Sample(model="fast")))
    assert not told["callable"] and told["frozen"] == ["provider:openai"]
    assert told["steps"] == ["'fast' is a configured model"]
    assert [(c["credential"], c["frozen"]) for c in told["candidates"]] == [("openai/default", ["provider:openai"])]


def test_an_explanation_for_a_key_says_that_it_may_not(desk):
    services = desk.services
    desk.run(*serve(desk), lambda: services.keys.create(KeyRow(id="", name="app", models=["other"]), "ann"))
    told = desk.run(lambda: services.models.explain(Sample(model="fast", key="app")))
    assert not told["callable"] and "not allowed" in told["steps"][0]


def test_an_explanation_of_a_model_that_is_nowhere(desk):
    desk.run(*serve(desk))
    told = desk.run(lambda: desk.services.models.explain(Sample(model="nowhere")))
    assert (told["callable"], told["candidates"]) == (False, []) and "answers to 'nowhere'" in told["steps"][-1]


@pytest.mark.parametrize(
    "subject", ["model:fast", "model:openai/gpt-x", "all", "key:app", "deployment:openai/gpt-x@default"]
)
def test_an_explanation_names_whatever_stops_every_request(desk, subject):
    services = desk.services
    desk.run(
        *serve(desk),
        lambda: services.keys.create(KeyRow(id="", name="app"), "ann"),
        lambda: services.freezes.freeze(subject, None, "ann"),
    )
    told = desk.run(lambda: services.models.explain(Sample(model="fast", key="app")))
    assert not told["callable"] and told["frozen"] == [subject]


def test_an_explanation_of_a_model_with_one_home_frozen_is_callable(desk):
    services = desk.services
    two = (DeploymentEntry(provider="openai", model="gpt-y"), *FAST.deployments)
    desk.run(
        lambda: services.credentials.put(sealed(), OPENAI, "ann"),
        lambda: services.models.add(msgspec.structs.replace(FAST, deployments=two), "ann"),
        lambda: services.freezes.freeze("model:openai/gpt-y", None, "ann"),
    )
    told = desk.run(lambda: services.models.explain(Sample(model="fast")))
    assert told["callable"] and told["frozen"] == []
    assert [c["frozen"] for c in told["candidates"]] == [["model:openai/gpt-y"], []]


def test_an_explanation_after_a_freeze_has_ended_is_callable(desk):
    services = desk.services
    desk.run(*serve(desk), lambda: services.freezes.freeze("model:fast", 1, "ann"))
    assert desk.run(lambda: services.models.explain(Sample(model="fast")))["callable"]


def test_an_explanation_says_why_a_deployment_is_not_tried(desk):
    services = desk.services
    groq = msgspec.structs.replace(OPENAI, name="groq")
    three = (
        DeploymentEntry(provider="openai", model="gpt-x", credential="second"),
        *FAST.deployments,
        DeploymentEntry(provider="groq", model="llama"),
    )
    desk.run(
        lambda: services.credentials.put(sealed(), OPENAI, "ann"),
        lambda: services.credentials.add_provider(groq, "ann"),
        lambda: services.models.add(msgspec.structs.replace(FAST, deployments=three), "ann"),
    )
    told = desk.run(lambda: services.models.explain(Sample(model="fast")))
    assert told["callable"] and len(told["candidates"]) == 1
    assert told["steps"][1:] == [
        "not tried: openai/gpt-x: the vault has no credential openai/second (switchgear credential add openai --name second)",
        "not tried: groq/llama: the vault has no credential groq/… (switchgear credential add groq)",
    ]
    desk.run(lambda: services.credentials.change(verbs.DISABLE, "openai/default", "ann"))
    told = desk.run(lambda: services.models.explain(Sample(model="fast")))
    assert not told["callable"]
    assert any(
        "openai/default is disabled (switchgear credential enable openai/default)" in step for step in told["steps"]
    )


@pytest.mark.parametrize("name", ["b a d", "", " bad", "a\tb", "x" * 257, "a*b*c*d*e*f"])
def test_a_text_that_is_no_models_name_is_refused(desk, name):
    with pytest.raises(UserError, match="is not a model name") as refused:
        desk.run(lambda: desk.services.models.add(msgspec.structs.replace(FAST, name=name), "ann"))
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("subject", "stopped"),
    [("model:fast", ["model:fast"]), ("provider:openai", ["provider:openai"]), ("all", ["all"])],
)  # fmt: skip
def test_a_model_says_because_of_what_no_request_for_it_gets_through(desk, subject, stopped):
    services = desk.services
    desk.run(*serve(desk), lambda: services.freezes.freeze(subject, None, "ann"))
    assert services.models.standing().of_model("fast") == stopped


def test_a_key_says_because_of_what_it_stands_still(desk):
    services = desk.services
    desk.run(*serve(desk), lambda: services.keys.create(KeyRow(id="", name="app", team="red"), "ann"))
    desk.run(services.publication.publish_keys)
    key = services.holders.held(desk.run(lambda: services.keys.find("app")))
    assert services.models.standing().of_key(key) == []
    for subject in ("team:red", "key:app"):
        desk.run(lambda s=subject: services.freezes.freeze(s, None, "ann"))
    assert services.models.standing().of_key(key) == ["key:app", "team:red"]
