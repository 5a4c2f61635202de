import contextlib
import sqlite3

import msgspec
import pytest
from sqlalchemy import select
from tests.control.conftest import sealed
from tests.control.test_credentials import OPENAI
from tests.control.test_models import FAST, PRICE

from switchgear.config.compile import Compiled
from switchgear.control.seen import Doubt, Seen
from switchgear.control.status import status
from switchgear.core.errors import UserError
from switchgear.replica import entries
from switchgear.store import objects, tables
from switchgear.store.objects import KeyRow


def test_file_and_store_are_published_as_one(desk):
    desk.services.publication.compiled = Compiled(providers=(OPENAI,))
    desk.run(
        lambda: desk.services.credentials.put(sealed(), None, "ann"), lambda: desk.services.models.add(FAST, "ann")
    )
    table = desk.publisher.current().table
    assert (list(table.providers), list(table.models)) == (["openai"], ["fast"])


@pytest.mark.parametrize("kind", ["provider", "model", "price"])
def test_a_damaged_object_is_named_once_and_the_others_are_published(desk, kind):
    publication = desk.services.publication
    publication.compiled = Compiled(providers=(OPENAI,))
    desk.store.write(lambda c: objects.put_object(c, kind, "broken", b"\xff{", 1)).result()
    desk.run(publication.publish, publication.publish)
    assert publication.damaged == {f"the {kind} 'broken' in the store is damaged and left out"}
    assert desk.reports == [f"the {kind} 'broken' in the store is damaged and left out"]
    assert list(desk.publisher.current().table.providers) == ["openai"]
    desk.store.write(lambda c: objects.remove_object(c, kind, "broken", 2)).result()


def test_every_publication_has_an_epoch_of_its_own(desk):
    desk.run(desk.services.publication.publish)
    first = desk.publisher.current().epoch
    desk.run(desk.services.publication.publish)
    assert desk.publisher.current().epoch == first + 1


def attack(desk, statement, parameters=()):
    """Write into the database as somebody who has its file."""
    with contextlib.closing(sqlite3.connect(desk.folder / "store.sqlite", timeout=30)) as raw, raw:
        raw.execute(statement, parameters)


def published(desk):
    """What edges know of keys, by name."""
    with desk.publisher._env.begin() as txn:
        raw = [bytes(value) for key, value in txn.cursor() if bytes(key).startswith(entries.KEY_PREFIX)]
    return {entry.name: entry for entry in map(entries.decode_key, raw)}


def two_keys(desk):
    """Make two keys; returns what is published of them."""
    keys, publication = desk.services.keys, desk.services.publication
    desk.run(
        lambda: keys.create(KeyRow(id="", name="app", models=["fast"], team="red"), "ann"),
        lambda: keys.create(KeyRow(id="", name="bot", models=["slow"]), "ann"),
        lambda: keys.change("app", {"models": ["fast", "faster"]}, "ann"),
        lambda: keys.create(KeyRow(id="", name="gone"), "ann"),
        lambda: keys.revoke("gone", "ann"),
        publication.publish,
        publication.look,
    )
    assert publication.doubts == []
    return published(desk)


FORGED_KEYS = {
    "its policy": "UPDATE keys SET policy = CAST('{}' AS BLOB) WHERE name = 'app'",
    "its policy, as a text": "UPDATE keys SET policy = '{}' WHERE name = 'app'",
    "its end": """UPDATE keys SET policy = CAST('{"expires_ms":9999999999999}' AS BLOB) WHERE name = 'app'""",
    "its team": """UPDATE keys SET policy = CAST('{"team":"blue"}' AS BLOB) WHERE name = 'app'""",
    "that it is revoked": "UPDATE keys SET revoked_ms = NULL WHERE name = 'gone'",
    "its version": "UPDATE keys SET version = version + 1 WHERE name = 'app'",
    "its name": "UPDATE keys SET name = 'other' WHERE name = 'app'",
    "whose it is": "UPDATE keys SET source = 'file' WHERE name = 'app'",
    "its secret": "UPDATE key_secrets SET mac = (SELECT mac FROM key_secrets WHERE key_id IN (SELECT id FROM keys WHERE name = 'bot')) WHERE key_id IN (SELECT id FROM keys WHERE name = 'app')",
    "the end of its secret": "UPDATE key_secrets SET not_after_ms = 1",
    "another secret": "INSERT INTO key_secrets SELECT id, CAST('0123456789abcdef0123456789abcdef' AS BLOB), 1, NULL, 1 FROM keys WHERE name = 'app'",
    "the content of two": "UPDATE keys SET policy = (SELECT policy FROM keys AS o WHERE o.name != keys.name AND o.name != 'gone') WHERE name != 'gone'",
    "the content and the MACs of two": "UPDATE keys SET (policy, mac, version) = (SELECT policy, mac, version FROM keys AS o WHERE o.name != keys.name AND o.name != 'gone') WHERE name != 'gone'",
    "values of other types": "UPDATE keys SET version = 'x', name = CAST(name AS BLOB), mac = 5, revoked_ms = 'y', policy = 1.5",
    "a secret of another type": "INSERT INTO key_secrets SELECT id, 'text', 1, NULL, 1 FROM keys WHERE name = 'app'",
    "its name, in no UTF-8": "UPDATE keys SET name = CAST(x'ff' AS TEXT) WHERE name = 'app'",
    "the largest number": "UPDATE keys SET version = 9223372036854775807",
    "no MAC at all": "UPDATE keys SET mac = NULL WHERE name = 'app'",
}  # fmt: skip


@pytest.mark.parametrize("what", FORGED_KEYS)
def test_S5_what_somebody_else_writes_of_a_key_is_not_published_and_named(desk, what):
    before = two_keys(desk)
    attack(desk, FORGED_KEYS[what])
    doubts = desk.run(desk.services.publication.look)
    assert doubts and {(doubt.kind, doubt.why) for doubt in doubts} == {("key", "forged")}
    assert published(desk) == before
    assert any("not written by this gateway" in line for line in desk.reports)
    assert any("not written by this gateway" in line for line in status(desk.services)["problems"])


def test_S5_a_key_that_somebody_else_adds_is_never_published(desk):
    before = two_keys(desk)
    columns = "id, name, version, source, policy, revoked_ms, created_ms, updated_ms, mac"
    copied = columns.replace("id, name", "'evilevilevil', 'evil'")
    attack(desk, f"INSERT INTO keys ({columns}) SELECT {copied} FROM keys WHERE name = 'app'")
    assert desk.run(desk.services.publication.look) == [Doubt("key", "evil", "forged")]
    assert published(desk) == before


def test_S5_a_key_whose_row_of_yesterday_is_put_back_stays_as_it_was_published(desk):
    keys, publication = desk.services.keys, desk.services.publication
    desk.run(lambda: keys.create(KeyRow(id="", name="app", models=["fast"]), "ann"))
    yesterday = desk.read(lambda c: c.execute(select(tables.keys)).one())
    desk.run(lambda: keys.change("app", {"models": ["slow"]}, "ann"), publication.look)
    attack(
        desk, "UPDATE keys SET version = ?, policy = ?, updated_ms = ?, mac = ?",
        (yesterday.version, yesterday.policy, yesterday.updated_ms, yesterday.mac),
    )  # fmt: skip
    assert desk.run(publication.look) == [Doubt("key", "app", "older")]
    assert published(desk)["app"].models == ["slow"]
    desk.run(publication.accept)
    assert published(desk)["app"].models == ["fast"] and publication.doubts == []


def test_S5_a_key_whose_row_is_gone_stays_until_an_operator_accepts_it(desk):
    before = two_keys(desk)
    publication = desk.services.publication
    attack(desk, "DELETE FROM keys WHERE name IN ('app', 'gone')")
    assert desk.run(publication.look) == [Doubt("key", "app", "missing")], "a revoked one stays revoked"
    assert published(desk) == before
    desk.run(publication.accept)
    assert sorted(published(desk)) == ["bot", "gone"] and published(desk)["gone"].revoked and publication.doubts == []


def test_S5_of_a_forged_key_what_was_published_stays_also_when_the_store_is_accepted(desk):
    before = two_keys(desk)
    publication = desk.services.publication
    attack(desk, FORGED_KEYS["its policy"])
    desk.run(publication.accept)
    assert published(desk) == before and publication.doubts == [Doubt("key", "app", "forged")]


def test_a_key_that_changes_while_all_are_published_is_no_doubt(desk):
    publication, keys = desk.services.publication, desk.services.keys
    two_keys(desk)
    rows = desk.read(objects.keys)
    desk.run(lambda: keys.change("app", {"team": "blue"}, "ann"), lambda: keys.create(KeyRow(id="", name="new"), "ann"))
    read = desk.control.read

    async def late(function):
        return rows if function is objects.keys else await read(function)

    desk.control.read = late
    assert desk.run(publication.look) == []
    assert published(desk)["app"].team == "blue" and "new" in published(desk)


FORGED_OBJECTS = {
    "a model's deployment": ("model", "UPDATE objects SET spec = CAST(replace(CAST(spec AS TEXT), 'gpt-x', 'gpt-y') AS BLOB) WHERE kind = 'model'", "forged"),
    "a model's row": ("model", "DELETE FROM objects WHERE kind = 'model'", "missing"),
    "a price": ("price", "UPDATE objects SET spec = CAST('{}' AS BLOB) WHERE kind = 'price'", "forged"),
    "a provider's host": ("provider", "UPDATE objects SET spec = CAST(replace(CAST(spec AS TEXT), 'api.openai.com', 'evil.example') AS BLOB) WHERE kind = 'provider'", "forged"),
    "a provider's row": ("provider", "DELETE FROM objects WHERE kind = 'provider'", "missing"),
    "a freeze's end": ("freeze", "UPDATE freezes SET until_ms = 1", "forged"),
    "that a freeze holds": ("freeze", "UPDATE freezes SET is_lifted = 1", "forged"),
    "a freeze's types": ("freeze", "UPDATE freezes SET version = 'x', until_ms = 'y', mac = 5, is_lifted = 'z'", "forged"),
    "a freeze's row": ("freeze", "DELETE FROM freezes", "missing"),
}  # fmt: skip


def furnish(desk):
    """Put one of each kind into the store, and publish it."""
    services = desk.services
    desk.run(
        lambda: services.credentials.put(sealed(), OPENAI, "ann"),
        lambda: services.models.add(FAST, "ann"),
        lambda: services.models.set_price("openai/gpt-4o", PRICE, "ann"),
        lambda: services.freezes.freeze("team:red", None, "ann"),
        services.publication.publish,
    )
    services.stops.frozen.clear()  # as after a restart
    return contents(desk)


def contents(desk):
    """What edges know of everything but keys."""
    return msgspec.structs.replace(desk.publisher.current(), epoch=0)


@pytest.mark.parametrize("what", FORGED_OBJECTS)
def test_S5_what_somebody_else_writes_of_an_object_or_a_freeze_is_not_published_and_named(desk, what):
    before = furnish(desk)
    kind, statement, why = FORGED_OBJECTS[what]
    attack(desk, statement)
    desk.run(desk.services.publication.publish)
    assert [(doubt.kind, doubt.why) for doubt in desk.services.publication.doubts] == [(kind, why)]
    assert contents(desk) == before
    assert any(
        line.startswith(f"the {kind} ") and line.endswith("store check") for line in status(desk.services)["problems"]
    )
    restarted = Seen(desk.folder / "seen")
    restarted.load()
    desk.services.publication.seen = restarted
    desk.run(desk.services.publication.publish)
    assert contents(desk) == before, "what was seen survives a restart"


def test_S5_an_object_of_another_gateway_or_an_added_one_is_never_published(desk):
    before = furnish(desk)
    attack(desk, "INSERT INTO objects SELECT kind, 'evil', version, spec, created_ms, updated_ms, mac FROM objects")
    attack(
        desk,
        "INSERT INTO freezes (subject, until_ms, created_ms, actor, version, is_lifted, mac) SELECT 'all', until_ms, created_ms, actor, version, is_lifted, mac FROM freezes",
    )
    desk.run(desk.services.publication.publish)
    assert contents(desk) == before
    assert {doubt.name for doubt in desk.services.publication.doubts} == {"evil", "all"}


def test_S5_names_of_another_type_keep_nothing_from_being_published(desk):
    before = furnish(desk)
    attack(desk, "UPDATE objects SET name = CAST(name AS BLOB), version = 'x', spec = 7")
    attack(desk, "UPDATE freezes SET subject = CAST(subject AS BLOB)")
    desk.run(desk.services.publication.publish)
    assert contents(desk) == before
    assert {doubt.why for doubt in desk.services.publication.doubts} == {"forged", "missing"}


def test_S5_rows_that_were_removed_are_not_brought_back(desk):
    furnish(desk)
    services = desk.services
    before = desk.read(lambda c: (c.execute(select(tables.objects)).all(), c.execute(select(tables.freezes)).all()))
    desk.run(lambda: services.models.remove("fast", "ann"), lambda: services.freezes.unfreeze("team:red", "ann"))
    after = contents(desk)
    assert after.table.models == {} and after.freezes == {}
    for table, rows in zip(("objects", "freezes"), before, strict=True):
        attack(desk, f"DELETE FROM {table}")
        for row in rows:
            names = ", ".join(row._fields)
            attack(desk, f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", tuple(row))
    desk.run(services.publication.publish)
    assert contents(desk) == after
    assert {(doubt.kind, doubt.why) for doubt in services.publication.doubts} == {
        ("model", "older"),
        ("freeze", "older"),
    }
    desk.run(services.publication.accept)
    assert list(contents(desk).table.models) == ["fast"] and contents(desk).freezes == {"team:red": None}


def test_S5_what_is_doubted_can_be_removed_and_made_anew(desk):
    before = furnish(desk)
    services = desk.services
    attack(desk, FORGED_OBJECTS["a model's deployment"][1])
    attack(desk, FORGED_OBJECTS["a freeze's row"][1])
    desk.run(
        lambda: services.models.remove("fast", "ann"),
        lambda: services.models.add(FAST, "ann"),
        lambda: services.freezes.freeze("team:red", None, "ann"),
        services.publication.publish,
    )
    assert contents(desk) == before and services.publication.doubts == []


def test_S5_a_full_disk_keeps_nothing_from_being_published(desk, monkeypatch):
    def full(marks):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(desk.services.seen, "keep", full)
    furnish(desk)
    assert contents(desk).freezes == {"team:red": None}
    assert any("could not be kept: No space left" in line for line in desk.reports)


def test_a_key_that_was_revoked_while_all_were_published_stays_revoked(desk):
    services = desk.services
    row, _ = desk.run(lambda: services.keys.create(KeyRow(id="", name="app"), "ann"))
    services.stops.revoked.add(row.id)
    desk.run(services.publication.publish_keys)
    assert desk.publisher.find_key("app").revoked


def test_freezes_are_not_published_before_the_first_snapshot(desk):
    assert desk.run(desk.services.publication.publish_freezes) is False


def test_what_an_older_version_stored_and_this_one_refuses_is_named_and_the_others_are_published(desk):
    services, publication = desk.services, desk.services.publication
    place = msgspec.structs.replace(OPENAI.endpoint, headers=(("x-a", "b\r\nx: y"),))
    older = msgspec.structs.replace(OPENAI, name="older", endpoint=place)
    model = msgspec.structs.replace(FAST, name=" old")
    desk.run(lambda: services.credentials.put(sealed(), OPENAI, "ann"), lambda: services.models.add(FAST, "ann"))
    for kind, one in (("provider", older), ("model", model)):
        body = msgspec.json.encode(one)
        desk.store.write(lambda c, k=kind, n=one.name, b=body: objects.put_object(c, k, n, b, 1)).result()
    desk.run(publication.publish)
    table = desk.publisher.current().table
    assert list(table.providers) == ["openai"] and list(table.models) == ["fast"]
    assert len(publication.damaged) == 2 and len(desk.reports) == 2
    assert all("is left out: " in what for what in publication.damaged)
    desk.run(publication.publish)
    assert len(desk.reports) == 2, "it is told once"
    desk.run(
        lambda: services.credentials.remove_provider("older", "ann"), lambda: services.models.remove(" old", "ann")
    )
    assert publication.damaged == set()


def test_a_purge_of_kept_answers_outlives_what_is_published_after_it_and_the_process(desk):
    publication = desk.services.publication
    desk.run(publication.publish, publication.purge_cache)
    purged = desk.publisher.current().cache_epoch
    assert purged > 0
    publication.snapshot = None  # as in a process that begins
    desk.run(publication.publish)
    assert desk.publisher.current().cache_epoch == purged
    desk.run(publication.purge_cache)
    assert desk.publisher.current().cache_epoch > purged


def test_nothing_is_purged_before_anything_was_published(desk):
    with pytest.raises(UserError, match="nothing was published"):
        desk.run(desk.services.publication.purge_cache)
