"""Rows of teams, users, projects and profiles: names, ids, versions, and what labels of older keys become."""

import os
import sqlite3

import pytest
from sqlalchemy import update

from switchgear.core import organisation
from switchgear.core.errors import ConflictError
from switchgear.store import database, holders, objects, tables
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.database import Store
from switchgear.store.holders import HolderRow
from switchgear.store.objects import KeyRow


def team(name, identity=None, **fields):
    return HolderRow(kind="team", id=identity or name, name=name, **fields)


def test_a_holder_is_found_by_its_name_and_by_its_id(store):
    row = team("research", "r1", rpm=5, parent="root", cost_center="4711", created_ms=7)
    store.write(lambda c: holders.add_holder(c, row)).result()
    assert store.read(lambda c: holders.holder_named(c, "team", "research")).result() == row
    assert store.read(lambda c: holders.holder_of(c, "team", "r1")).result() == row
    assert store.read(lambda c: holders.holder_named(c, "user", "research")).result() is None
    assert store.read(holders.holders).result() == [row]


def test_a_name_is_one_holders_of_its_kind_at_a_time(store):
    store.write(lambda c: holders.add_holder(c, team("a"))).result()
    with pytest.raises(ConflictError, match="exists already"):
        store.write(lambda c: holders.add_holder(c, team("a", "other"))).result()
    store.write(lambda c: holders.add_holder(c, HolderRow(kind="user", id="a", name="a"))).result()
    store.write(lambda c: holders.replace_holder(c, team("a", version=2, removed_ms=5), 1)).result()
    store.write(lambda c: holders.add_holder(c, team("a", "other"))).result()
    assert store.read(lambda c: holders.names_of(c, "team")).result() == {"other": "a"}


def test_S5_names_that_somebody_else_wrote_are_nobodys(store):
    for name in ("research", "evil"):
        store.write(lambda c, name=name: holders.add_holder(c, team(name))).result()
    for identity, name in (("research", "other"), ("evil", "research")):
        change = update(tables.holders).where(tables.holders.c.id == identity).values(name=name)
        store.write(lambda c, change=change: c.execute(change)).result()
    assert store.read(lambda c: holders.names_of(c, "team")).result() == {}


def test_a_change_of_a_row_that_was_changed_since_is_refused(store):
    store.write(lambda c: holders.add_holder(c, team("a"))).result()
    store.write(lambda c: holders.replace_holder(c, team("b", "a", version=2), 1)).result()
    with pytest.raises(ConflictError, match="in the meantime"):
        store.write(lambda c: holders.replace_holder(c, team("c", "a", version=2), 1)).result()


def test_an_id_is_the_name_unless_another_had_it(store):
    assert store.read(lambda c: holders.new_id(c, "team", "a", "x7")).result() == "a"
    store.write(lambda c: holders.add_holder(c, team("a", removed_ms=5))).result()
    assert store.read(lambda c: holders.new_id(c, "team", "a", "x7")).result() == "a-x7"
    store.write(lambda c: holders.add_holder(c, team("z" * 64))).result()
    assert store.read(lambda c: holders.new_id(c, "team", "z" * 64, "x7")).result() == "z" * 61 + "-x7"


def test_S5_a_row_that_somebody_else_wrote_is_not_believed(store):
    store.write(lambda c: holders.add_holder(c, team("a", rpm=1))).result()
    better = organisation.encode(organisation.HolderPolicy(rpm=1_000_000))
    store.write(lambda c: c.execute(update(tables.holders).values(policy=better))).result()
    (row,) = store.read(holders.holders).result()
    assert row.is_forged and row.rpm is None and row.models == []


def test_a_policy_that_cannot_be_read_allows_nothing(store):
    store.write(lambda c: holders.add_holder(c, team("a"))).result()

    def damage(connection):
        connection.execute(update(tables.holders).values(policy=b'{"tomorrow": 1}'))
        from switchgear.store import signing

        signing.sign(connection)

    store.write(damage).result()
    (row,) = store.read(holders.holders).result()
    assert row.is_damaged and not row.is_forged and row.models == []


def test_keys_in_force_that_name_a_holder_are_told(store):
    def fill(connection):
        for number, more in enumerate(({"team": "a"}, {"team": "a", "revoked_ms": 5}, {"team": "b"}, {})):
            objects.add_key(connection, KeyRow(id=f"k{number}", name=f"n{number}", **more))

    store.write(fill).result()
    assert [row.name for row in store.read(lambda c: list(holders.keys_of(c, "team", "a"))).result()] == ["n0"]


def test_names_that_stored_keys_said_become_holders_when_a_store_gets_the_table(tmp_path):
    path = tmp_path / "store.sqlite"
    store = Store(SqliteBackend(path), True, os.urandom, bytes(32))

    def fill(connection):
        objects.add_key(connection, KeyRow(id="k1", name="one", team="Research Team", user="ann@example.com"))
        objects.add_key(connection, KeyRow(id="k2", name="two", team="Research Team", project="p"))
        objects.add_key(connection, KeyRow(id="k3", name="three", team="of the file", source="file"))
        objects.add_key(connection, KeyRow(id="k4", name="four", team="of a revoked key", revoked_ms=1))

    store.write(fill).result()
    store.close()
    raw = sqlite3.connect(path)
    raw.executescript("DROP TABLE holders; UPDATE alembic_version SET version_num = '0010';")
    raw.close()
    again = Store(SqliteBackend(path), False, os.urandom, bytes(32))
    rows = again.read(holders.holders).result()
    again.close()
    assert [(row.kind, row.id, row.name, row.version, row.is_forged) for row in rows] == [
        ("project", "p", "p", 0, False),
        ("team", "Research Team", "Research Team", 0, False),
        ("user", "ann@example.com", "ann@example.com", 0, False),
    ]
    assert database.SCHEMA_VERSION >= database.HOLDERS_SINCE
