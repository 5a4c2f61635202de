import msgspec
import pytest
from tests.control.conftest import sealed
from tests.control.test_credentials import OPENAI

from switchgear.config.compile import Compiled
from switchgear.core.errors import ConflictError, UserError
from switchgear.pricing.price import Price, Rate
from switchgear.routing.table import DeploymentEntry, ModelEntry
from switchgear.store.objects import KeyRow

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
        desk.run(lambda: desk.services.models.explain("fast", None))


def test_an_explanation_says_where_a_request_goes_and_what_is_frozen(desk):
    services = desk.services
    desk.run(*serve(desk), lambda: services.freezes.freeze("provider:openai", None, "ann"))
    told = desk.run(lambda: services.models.explain("fast", None))
    assert not told["callable"] and told["frozen"] == ["provider:openai"]
    assert told["steps"] == ["'fast' is a configured model"]
    assert [(c["credential"], c["frozen"]) for c in told["candidates"]] == [("openai/default", ["provider:openai"])]


def test_an_explanation_for_a_key_says_that_it_may_not(desk):
    services = desk.services
    desk.run(*serve(desk), lambda: services.keys.create(KeyRow(id="", name="app", models=["other"]), "ann"))
    told = desk.run(lambda: services.models.explain("fast", "app"))
    assert not told["callable"] and "not allowed" in told["steps"][0]


def test_an_explanation_of_a_model_that_is_nowhere(desk):
    desk.run(*serve(desk))
    told = desk.run(lambda: desk.services.models.explain("nowhere", None))
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
    told = desk.run(lambda: services.models.explain("fast", "app"))
    assert not told["callable"] and told["frozen"] == [subject]


def test_an_explanation_of_a_model_with_one_home_frozen_is_callable(desk):
    services = desk.services
    two = (DeploymentEntry(provider="openai", model="gpt-y"), *FAST.deployments)
    desk.run(
        lambda: services.credentials.put(sealed(), OPENAI, "ann"),
        lambda: services.models.add(msgspec.structs.replace(FAST, deployments=two), "ann"),
        lambda: services.freezes.freeze("model:openai/gpt-y", None, "ann"),
    )
    told = desk.run(lambda: services.models.explain("fast", None))
    assert told["callable"] and told["frozen"] == []
    assert [c["frozen"] for c in told["candidates"]] == [["model:openai/gpt-y"], []]


def test_an_explanation_after_a_freeze_has_ended_is_callable(desk):
    services = desk.services
    desk.run(*serve(desk), lambda: services.freezes.freeze("model:fast", 1, "ann"))
    assert desk.run(lambda: services.models.explain("fast", None))["callable"]
