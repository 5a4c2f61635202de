"""Keys, objects, freezes, tokens."""

import msgspec
import pytest
from sqlalchemy import update

from switchgear.core.errors import ConflictError, UserError
from switchgear.store import objects, signing, tables
from switchgear.store.objects import KeyRow, KeySecretRow

KEY = KeyRow(
    id="abc", name="bot", models=["a"], created_ms=1, updated_ms=1, secrets=(KeySecretRow(mac=b"m" * 32, pepper_id=1),)
)


def test_keys_come_back_as_they_were(store):
    store.write(lambda c: objects.add_key(c, KEY)).result()
    assert store.read(objects.keys).result() == [KEY]
    assert store.read(lambda c: objects.keys(c, "abc")).result() == [KEY]
    assert store.read(lambda c: objects.keys(c, "nobody")).result() == []


def test_a_name_is_taken_once(store):
    store.write(lambda c: objects.add_key(c, KEY)).result()
    with pytest.raises(ConflictError):
        store.write(lambda c: objects.add_key(c, msgspec.structs.replace(KEY, id="other"))).result()


def test_a_clash_is_noticed(store):
    store.write(lambda c: objects.add_key(c, KEY)).result()
    changed = msgspec.structs.replace(KEY, version=2, team="t")
    store.write(lambda c: objects.replace_key(c, changed, 1)).result()
    with pytest.raises(ConflictError):
        store.write(lambda c: objects.replace_key(c, changed, 1)).result()
    assert store.read(objects.keys).result() == [changed]


def test_objects_are_added_replaced_and_removed(store):
    store.write(lambda c: objects.put_object(c, "model", "m", b"1", 1)).result()
    with pytest.raises(ConflictError):
        store.write(lambda c: objects.put_object(c, "model", "m", b"2", 1)).result()
    store.write(lambda c: objects.set_object(c, "model", "m", b"2", 1)).result()
    assert store.read(lambda c: objects.objects(c, "model")).result() == {"m": b"2"}
    store.write(lambda c: objects.remove_object(c, "model", "m", 3)).result()
    with pytest.raises(UserError):
        store.write(lambda c: objects.remove_object(c, "model", "m", 3)).result()


def test_a_freeze_is_stored_replaced_and_removed(store):
    store.write(lambda c: objects.put_freeze(c, "all", None, "cli", 1)).result()
    store.write(lambda c: objects.put_freeze(c, "all", 5, "cli", 2)).result()
    assert store.read(objects.freezes).result() == {"all": 5}
    assert store.write(lambda c: objects.remove_freeze(c, "all", "cli", 3)).result()
    assert not store.write(lambda c: objects.remove_freeze(c, "all", "cli", 3)).result()


def test_a_one_time_token_is_used_once_and_expires(store):
    store.write(lambda c: objects.put_token(c, b"h" * 32, "n", "link", "owner", 10, 1)).result()
    assert store.read(lambda c: objects.token_role(c, b"h" * 32, "link", 9)).result() == ("n", "owner")
    assert store.read(lambda c: objects.token_role(c, b"h" * 32, "link", 10)).result() is None
    assert store.read(lambda c: objects.token_role(c, b"h" * 32, "api", 9)).result() is None
    assert store.write(lambda c: objects.use_once(c, b"h" * 32)).result()
    assert not store.write(lambda c: objects.use_once(c, b"h" * 32)).result()
    store.write(lambda c: objects.write_audit(c, 1, "a", "b", "c", {})).result()


@pytest.mark.parametrize(
    "policy", [b"\xff\x00", b"", b'{"models": ["a"], "budget_of_tomorrow": 1}', b'{"models": "a"}', b"[]"]
)
def test_a_damaged_row_is_one_keys_affair_and_lets_nobody_in(store, policy):
    for name in ("good", "bad"):
        secret = objects.KeySecretRow(mac=name.encode().ljust(32), pepper_id=1)
        row = objects.KeyRow(id=name, name=name, models=["a"], secrets=(secret,))
        store.write(lambda c, row=row: objects.add_key(c, row)).result()

    def damage(connection):
        connection.execute(update(tables.keys).where(tables.keys.c.name == "bad").values(policy=policy))
        signing.sign(connection)

    store.write(damage).result()
    bad, good = store.read(objects.keys).result()
    assert good.secrets and good.models == ["a"] and not good.is_damaged
    assert bad.is_damaged and bad.secrets == () and bad.models == [], "damage never widens what a key may do"


def test_S5_of_a_row_that_somebody_else_wrote_nothing_is_taken_but_its_name(store):
    store.write(lambda c: objects.add_key(c, KEY)).result()
    store.write(lambda c: c.execute(update(tables.keys).values(policy=b'{"team":"red"}'))).result()
    (row,) = store.read(objects.keys).result()
    assert (row.id, row.name, row.is_forged) == ("abc", "bot", True)
    assert (row.team, row.models, row.secrets, row.version) == (None, [], (), 0)
    healed = msgspec.structs.replace(KEY, version=2)
    store.write(lambda c: objects.replace_key(c, healed, None)).result()
    assert store.read(objects.keys).result() == [healed]


def test_S5_an_object_a_freeze_and_a_token_that_somebody_else_wrote_are_not_there(store):
    store.write(lambda c: objects.put_object(c, "model", "m", b"1", 1)).result()
    store.write(lambda c: objects.put_freeze(c, "all", None, "cli", 1)).result()
    store.write(lambda c: objects.put_token(c, b"h" * 32, "n", "api", "viewer", None, 1)).result()
    for change in (
        update(tables.objects).values(spec=b"2"),
        update(tables.freezes).values(until_ms=1),
        update(tables.tokens).values(role="owner"),
    ):
        store.write(lambda c, change=change: c.execute(change)).result()
    assert store.read(lambda c: objects.objects(c, "model")).result() == {}
    assert store.read(lambda c: objects.find_object(c, "model", "m")).result() is None
    assert store.read(objects.freezes).result() == {}
    assert store.read(lambda c: objects.token_role(c, b"h" * 32, "api", 9)).result() is None
    rows = store.read(objects.published).result()
    assert (rows["model"]["m"].is_signed, rows["freeze"]["all"].is_signed) == (False, False)


def test_S5_what_is_removed_leaves_a_row_whose_version_rises_with_the_clock_and_without_it(store):
    def row(now_ms):
        rows = store.read(objects.published).result()
        assert rows["model"]["m"].is_signed and rows["freeze"]["all"].is_signed
        return rows["model"]["m"], rows["freeze"]["all"]

    versions = []
    for now_ms in (100, 200, 150):
        store.write(lambda c, now_ms=now_ms: objects.set_object(c, "model", "m", b"1", now_ms)).result()
        store.write(lambda c, now_ms=now_ms: objects.put_freeze(c, "all", 7, "cli", now_ms)).result()
        versions.append([found.version for found in row(now_ms)])
        assert [found.body for found in row(now_ms)] == [b"1", b"7"]
        store.write(lambda c, now_ms=now_ms: objects.remove_object(c, "model", "m", now_ms)).result()
        store.write(lambda c, now_ms=now_ms: objects.remove_freeze(c, "all", "cli", now_ms)).result()
        versions.append([found.version for found in row(now_ms)])
        assert [found.body for found in row(now_ms)] == [None, None]
    assert versions == [[v, v] for v in (100, 101, 200, 201, 202, 203)]
    assert store.read(lambda c: objects.object_names(c, "model")).result() == []
