"""The history of configurations, and what an export and a rollback make of it."""

import os

import msgspec
import pytest

from switchgear.config import schema
from switchgear.config.compile import Compiled, Compiler, build_provider
from switchgear.config.reader import Reader
from switchgear.control import versions
from switchgear.control.versions import plan_rollback
from switchgear.pricing.price import Price, Rate
from switchgear.routing.table import DeploymentEntry, ModelEntry
from switchgear.store import objects
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.database import Store
from switchgear.store.objects import KeyRow, KeySecretRow
from switchgear.vault.verbs import Metadata


@pytest.fixture
def store(tmp_path):
    made = Store(SqliteBackend(tmp_path / "s.sqlite"), True, os.urandom, bytes(32))
    yield made
    made.close()


def compiled(text):
    reader = Reader(lambda kind, name: "sk-a-secret")
    compiler = Compiler(reader.read(reader.compose(text, "x.yaml")), reader, lambda path: None)
    return compiler.compile("/x.yaml", "d")


def remember(store, state, now_ms=1_000, actor="somebody", action="config.apply"):
    store.write(lambda c: versions.remember(c, state, actor, action, now_ms)).result()


def state(text, stored=None):
    return versions.ConfigurationState(
        compiled=compiled(text), stored={kind: (stored or {}).get(kind, {}) for kind in versions.STORED}
    )


def every(store):
    return store.read(versions.all_of).result()


def test_changes_are_numbered_and_what_changes_nothing_is_no_version(store):
    remember(store, state("models: {a: openai/x}"))
    remember(store, state("models: {a: openai/x}"), 2_000)
    remember(store, state("models: {a: openai/y}"), 3_000)
    found = every(store)
    assert [(v.number, v.time_ms, v.actor) for v in found] == [(1, 1_000, "somebody"), (2, 3_000, "somebody")]
    assert [v.summary for v in found] == ["models +1", "models ~1"]
    assert store.read(versions.latest).result() == found[-1]


def test_an_edit_that_changes_nothing_is_the_same_version_of_another_file(store):
    remember(store, state("models: {a: openai/x}"))
    other = state("models: {a: openai/x}")
    other = msgspec.structs.replace(other, compiled=msgspec.structs.replace(other.compiled, digest="e"))
    remember(store, other, 9_000)
    [only] = every(store)
    assert (only.number, only.time_ms, only.seen_ms, only.state.compiled.digest) == (1, 1_000, 9_000, "e")


def test_the_last_versions_are_kept_and_numbers_go_on(store, monkeypatch):
    monkeypatch.setattr(versions, "VERSIONS_MAX", 3)
    for number in range(6):
        remember(store, state(f"models: {{a: openai/x{number}}}"))
    assert [v.number for v in every(store)] == [4, 5, 6]


def test_no_version_holds_a_secret(store):
    remember(store, state("providers: {openai: {credentials: [{secret: {env: K}}]}}"))
    raw = store.read(lambda c: objects.objects(c, versions.KIND)).result()
    assert b"sk-a-secret" not in b"".join(raw.values())


def test_a_version_that_cannot_be_read_is_left_out(store):
    store.write(lambda c: objects.put_object(c, versions.KIND, "0000000007", b"{}", 1)).result()
    remember(store, state("models: {a: openai/x}"))
    assert [v.number for v in every(store)] == [8]


def test_the_stores_objects_become_those_of_a_version(store):
    entry = msgspec.json.encode(ModelEntry(name="m", deployments=(DeploymentEntry(provider="openai", model="x"),)))
    target = state("", {"model": {"m": msgspec.Raw(entry)}})
    store.write(lambda c: objects.put_object(c, "model", "other", b"{}", 1)).result()
    store.write(lambda c: objects.put_object(c, "price", "openai/x", b"{}", 1)).result()
    store.write(lambda c: versions.restore(c, target, 5)).result()
    assert store.read(lambda c: objects.objects(c, "model")).result() == {"m": entry}
    assert store.read(lambda c: objects.objects(c, "price")).result() == {}


def test_an_export_holds_file_store_vault_and_keys():
    mine = build_provider("mine", schema.Provider(base_url="https://a.example/v1"))
    price = Price("x", "override", {"input": Rate(1_000_000_000)})
    whole = state(
        "models: {a: openai/x}\nkeys: {filed: {sha256: %s}}" % ("ab" * 32),
        {"provider": {"mine": msgspec.Raw(msgspec.json.encode(mine))},
         "price": {"mine/x": msgspec.Raw(msgspec.json.encode(price))}},
    )  # fmt: skip
    rows = [
        KeyRow(id="1", name="made", models=["a"], secrets=(KeySecretRow(mac=b"\1" * 32, pepper_id=1),)),
        KeyRow(id="2", name="gone", revoked_ms=1, secrets=(KeySecretRow(mac=b"\2" * 32, pepper_id=1),)),
    ]
    found, notes = versions.export(whole, rows, [credential("mine", "default"), credential("mine", "off", "disabled")])
    assert found["providers"]["mine"]["credentials"] == [
        {"name": "default", "sealed": True},
        {"name": "off", "sealed": True},
    ]
    assert found["pricing"]["overrides"] == {"mine/x": {"input_per_mtok": "1"}}
    assert found["keys"] == {
        "filed": {"sha256": "ab" * 32},
        "made": {"keyed": ["1:" + "01" * 32], "models": ["a"]},
    }
    assert any("mine/off is disabled" in note for note in notes)
    assert any("pepper" in note for note in notes)


def test_an_export_refers_to_where_secrets_came_from_when_asked():
    whole = state("providers: {openai: {credentials: [{name: p, secret: {env: KEY}}]}}")
    found, notes = versions.export(whole, [], [])
    assert found["providers"]["openai"]["credentials"] == [{"name": "p", "sealed": True}]
    assert notes == ["openai/p came from {env: KEY}"]
    found, notes = versions.export(whole, [], [], references=True)
    assert found["providers"]["openai"]["credentials"] == [{"name": "p", "secret": {"env": "KEY"}}]
    assert notes == []


def credential(provider, name, state_="active", url="https://a.example/v1"):
    return Metadata(
        id=f"{provider}/{name}", provider=provider, name=name, version=1, state=state_, last4="", fingerprint="",
        base_url=url, auth="bearer", created_ms=0, changed_ms=0, opens=True,
    )  # fmt: skip


def test_a_provider_whose_credential_was_sealed_for_another_place_stays_as_it_is():
    old = "providers: {mine: {base_url: 'https://%s/v1', credentials: [{sealed: true}]}}\nmodels: {m: mine/%s}"
    now, target = state(old % ("b.example", "new")), state(old % ("a.example", "old"))
    plan = plan_rollback(now, target, [credential("mine", "default", url="https://b.example/v1")])
    assert plan.state.compiled.providers == now.compiled.providers
    assert plan.state.compiled.models == target.compiled.models
    assert "the provider mine: its credential is sealed for https://b.example/v1" in plan.stays
    assert [str(change) for change in plan.changes] == ["models.m: mine/new → mine/old"]
    gone = plan_rollback(now, target, [])
    assert any("mine has no credential any more" in line for line in gone.stays)
    assert any("the file /x.yaml" in line for line in gone.stays)


def test_the_demo_provider_belongs_to_no_version(store):
    demo = msgspec.structs.replace(
        compiled(""), providers=(build_provider("demo", schema.Provider(base_url="https://d.e")),)
    )
    assert versions.without_demo(demo).providers == ()
    assert versions.with_demo_of(Compiled(), demo).providers == demo.providers
    remember(store, versions.ConfigurationState(compiled=demo, stored={kind: {} for kind in versions.STORED}))
    assert every(store)[0].state.compiled.providers == ()


def test_a_rollback_says_what_the_next_start_makes_of_it():
    now, target = state("models: {m: openai/new}"), state("models: {m: openai/old}")
    here = plan_rollback(now, target, [], "/x.yaml").stays
    assert any("put its old content back" in line for line in here)
    for started_with, undone in (("", False), ("/y.yaml", True)):
        elsewhere = plan_rollback(now, target, [], started_with).stays
        assert any("was started with /y.yaml" in line for line in elsewhere) == undone
        assert not any("put its old content back" in line for line in elsewhere)


def test_what_processes_take_at_their_start_waits_for_a_start_with_the_file():
    said = versions.undone_at_start("/x y.yaml", "", ["workers"])
    assert said == "workers hold from a start with --config '/x y.yaml' on: this gateway was started without a file"
    assert versions.undone_at_start("/x.yaml", "", []) is None
