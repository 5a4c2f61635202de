"""Freezes: subjects, and that stopping waits for nobody."""

import pytest
from sqlalchemy import update
from tests.control.test_models import FAST, serve

from switchgear.control import freezes
from switchgear.control.sample import Sample
from switchgear.core.errors import UserError
from switchgear.core.organisation import KINDS, HolderPolicy
from switchgear.routing.table import DeploymentEntry, ModelEntry
from switchgear.store import objects, tables
from switchgear.store.objects import KeyRow


def test_a_subject_is_read_as_its_kind_and_name():
    assert freezes.parse("all") == ("all", "")
    assert freezes.parse("model:a:b/c") == ("model", "a:b/c")
    assert freezes.parse("credential:openai") == ("credential", "openai/default")
    assert freezes.parse("credential:openai/main") == ("credential", "openai/main")
    assert freezes.parse("deployment:openai/a/b@c@main") == ("deployment", "openai/a/b@c@main")


@pytest.mark.parametrize("subject", ["", "key", "key:", "all:x", "planet:x", "model", "deployment:openai/main"])
def test_a_malformed_subject_is_refused(subject):
    with pytest.raises(UserError) as refused:
        freezes.parse(subject)
    assert refused.value.exit_code == 2


def test_a_freeze_is_published_stored_and_audited_and_ends(desk):
    services = desk.services
    desk.run(services.publication.publish, lambda: services.freezes.freeze("team:red", None, "ann"))
    assert desk.publisher.current().freezes == desk.read(objects.freezes) == {"team:red": None}
    assert [(line.action, line.subject) for line in desk.audit()] == [("freeze", "team:red")]
    desk.run(lambda: services.freezes.unfreeze("team:red", "ann"))
    assert desk.publisher.current().freezes == desk.read(objects.freezes) == {}


def test_a_freeze_before_anything_was_published_waits_for_the_store(desk):
    desk.run(lambda: desk.services.freezes.freeze("all", None, "ann"))
    assert desk.read(objects.freezes) == {"all": None} and desk.publisher.current() is None


def test_a_freeze_during_a_publication_survives_the_publication(desk):
    services = desk.services
    desk.run(services.publication.publish)
    services.stops.frozen["all"] = None  # frozen while a publication is under way, which read the store before
    desk.run(services.publication.publish)
    assert desk.publisher.current().freezes == {"all": None}


def test_unfreezing_a_subject_that_is_not_frozen_is_refused_with_the_nearest_name(desk):
    services = desk.services
    desk.run(services.publication.publish, lambda: services.freezes.freeze("team:red", None, "ann"))
    with pytest.raises(UserError) as refused:
        desk.run(lambda: services.freezes.unfreeze("team:rde", "ann"))
    assert "not frozen" in str(refused.value) and "team red" in refused.value.hint


def test_a_key_is_frozen_by_its_name_also_when_its_id_is_given(desk):
    services = desk.services
    row, _ = desk.run(lambda: services.keys.create(KeyRow(id="", name="app", team="red"), "ann"))
    assert desk.run(lambda: services.freezes.resolve(f"key:{row.id}", False)) == "key:app"
    assert desk.run(lambda: services.freezes.resolve("team:red", False)) == "team:red"


def test_a_deployment_is_frozen_alone_and_the_nearest_is_named(desk):
    services = desk.services
    desk.run(*serve(desk), lambda: services.freezes.freeze("deployment:openai/gpt-x@default", None, "ann"))
    told = desk.run(lambda: services.models.explain(Sample(model="fast")))
    assert [one["frozen"] for one in told["candidates"]] == [["deployment:openai/gpt-x@default"]]
    assert desk.run(lambda: services.freezes.resolve("deployment:openai/gpt-x@default", False)).endswith("@default")
    for name in ("openai/gpt-x@defualt", "openai/gtp-x@default"):
        with pytest.raises(UserError, match="nothing was frozen") as refused:
            desk.run(lambda name=name: services.freezes.resolve(f"deployment:{name}", False))
        assert "did you mean 'openai/gpt-x@default'?" in refused.value.hint


@pytest.mark.parametrize(
    "subject", ["key:nobody", "team:nobody", "credential:nobody", "provider:nobody", "model:x/y", "deployment:x/y@z"]
)
def test_a_subject_that_nobody_knows_is_refused_unless_forced(desk, subject):
    with pytest.raises(UserError, match="nothing was frozen"):
        desk.run(desk.services.publication.publish, lambda: desk.services.freezes.resolve(subject, False))
    assert desk.run(lambda: desk.services.freezes.resolve(subject, True)).startswith(subject)


def test_a_frozen_model_is_told_with_what_else_stands_still(desk):
    services = desk.services
    other = ModelEntry(name="quick", deployments=FAST.deployments)
    both = ModelEntry(name="both", deployments=(*FAST.deployments, DeploymentEntry(provider="openai", model="gpt-y")))
    desk.run(*serve(desk), lambda: services.models.add(other, "ann"), lambda: services.models.add(both, "ann"))
    assert services.freezes.also_stops("model:fast") == ["openai/gpt-x", "quick"]
    assert services.freezes.also_stops("model:openai/gpt-y") == []
    assert services.freezes.also_stops("provider:openai") == []


def test_a_team_is_frozen_by_its_present_name_also_while_the_store_is_away(desk):
    services = desk.services
    rename = lambda: services.holders.change(KINDS["team"], "red", {}, "crimson", "ann")  # noqa: E731
    desk.run(services.publication.publish, services.publication.publish_keys, rename)
    (desk.folder / "store.sqlite").rename(desk.folder / "elsewhere")
    assert desk.run(lambda: services.freezes.resolve("team:crimson", False)) == "team:red"
    (desk.folder / "elsewhere").rename(desk.folder / "store.sqlite")


def test_a_team_that_does_not_exist_is_not_frozen_unless_forced(desk):
    with pytest.raises(UserError, match="nothing was frozen") as refused:
        desk.run(lambda: desk.services.freezes.resolve("team:rde", False))
    assert "did you mean 'red'?" in refused.value.hint
    assert desk.run(lambda: desk.services.freezes.resolve("team:rde", True)) == "team:rde"


def test_S5_a_name_that_somebody_gave_another_team_in_the_database_freezes_whom_it_was_published_for(desk):
    desk.run(desk.services.publication.publish_keys)
    for name in ("research", "evil"):
        desk.run(lambda name=name: desk.services.holders.create(KINDS["team"], name, HolderPolicy(), "ann"))
    for identity, name in (("research", "other"), ("evil", "research")):
        change = update(tables.holders).where(tables.holders.c.id == identity).values(name=name)
        desk.store.write(lambda c, change=change: c.execute(change)).result()
    assert desk.run(lambda: desk.services.freezes.resolve("team:research", False)) == "team:research"
