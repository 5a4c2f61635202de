"""Rows whose MACs do not hold, and giving them one."""

import contextlib
import os
import sqlite3

from sqlalchemy import LargeBinary, insert, select, update

from switchgear.store import holders, objects, signing, tables
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.database import Store
from switchgear.store.holders import HolderRow
from switchgear.store.objects import KeyRow, KeySecretRow

SIGNED = [
    table for table in tables.metadata.tables.values() if "mac" in table.columns and table is not tables.key_secrets
]


def fill(connection):
    secrets = tuple(KeySecretRow(mac=bytes([n]) * 32, pepper_id=1) for n in (7, 3))
    objects.add_key(connection, KeyRow(id="a", name="app", secrets=secrets))
    holders.add_holder(connection, HolderRow(kind="team", id="t1", name="crew"))
    objects.put_object(connection, "model", "m", b"{}", 1)
    objects.put_object(connection, "finding", "f", b"{}", 1)
    objects.put_freeze(connection, "all", None, "cli", 1)
    objects.put_token(connection, b"h" * 32, "t", "api", "viewer", None, 1)


def names(rows):
    return sorted((row.kind, row.name) for row in rows)


EVERY = [("finding", "f"), ("freeze", "all"), ("key", "app"), ("model", "m"), ("team", "crew"), ("token", "t")]


def test_what_this_program_writes_is_signed(store):
    store.write(fill).result()
    assert store.read(lambda c: list(signing.unsigned(c))).result() == []


def test_S5_every_table_with_macs_is_looked_at_and_signed_once(store):
    def forget(connection):
        fill(connection)
        for table in SIGNED:
            connection.execute(update(table).values(mac=None))
        return names(signing.unsigned(connection)), names(signing.others(connection)), signing.sign(connection)

    every, others, signed = store.write(forget).result()
    assert every == EVERY and others == [("finding", "f"), ("token", "t")]
    assert names(signed) == EVERY and {row.name for row in SIGNED} == {
        "keys",
        "holders",
        "objects",
        "freezes",
        "tokens",
    }
    assert store.write(signing.sign).result() == []
    assert not store.read(objects.keys).result()[0].is_forged
    assert store.read(lambda c: objects.token_role(c, b"h" * 32, "api", 5)).result() == ("t", "viewer")


def test_S5_each_value_of_a_row_counts(store):
    store.write(fill).result()
    for table in SIGNED:
        for column in table.columns:
            if column.name == "mac":
                continue

            def change(connection, table=table, column=column):
                row = connection.execute(select(table)).first()._mapping
                is_bytes = isinstance(column.type, LargeBinary)
                other = (
                    b"z" * 32 if is_bytes else "z" if isinstance(row[column.name], str) else 1 - (row[column.name] or 0)
                )
                savepoint = connection.begin_nested()
                here = [c == row[c.name] for c in table.primary_key.columns]
                connection.execute(update(table).where(*here).values({column.name: other}))
                found = len(list(signing.unsigned(connection)))
                savepoint.rollback()
                return found

            assert store.write(change).result() == 1, (table.name, column.name)


def test_S5_a_secret_of_a_key_that_changes_comes_or_goes_is_noticed(store):
    store.write(fill).result()
    for statement in (
        update(tables.key_secrets).where(tables.key_secrets.c.mac == b"\7" * 32).values(not_after_ms=1),
        update(tables.key_secrets).where(tables.key_secrets.c.mac == b"\7" * 32).values(pepper_id=2),
        tables.key_secrets.delete().where(tables.key_secrets.c.mac == b"\3" * 32),
        insert(tables.key_secrets).values(key_id="a", mac=b"x" * 32, pepper_id=1, created_ms=1),
    ):

        def change(connection, statement=statement):
            savepoint = connection.begin_nested()
            connection.execute(statement)
            found = names(signing.unsigned(connection))
            savepoint.rollback()
            return found

        assert store.write(change).result() == [("key", "app")]


def test_S5_a_row_whose_values_have_other_types_is_named_and_never_signed(tmp_path):
    path = tmp_path / "store.sqlite"
    store = Store(SqliteBackend(path), True, os.urandom, bytes(32))
    store.write(fill).result()
    for statement, where in (
        ("INSERT INTO key_secrets (key_id, mac, pepper_id, created_ms) VALUES ('a', 'text', 1, 0)", ("key", "app")),
        ("UPDATE key_secrets SET pepper_id = 'x'", ("key", "app")),
        ("UPDATE keys SET version = 'x'", ("key", "app")),
        ("UPDATE keys SET name = CAST(x'ff' AS TEXT)", ("key", "\\xff")),
        ("UPDATE objects SET version = 1.5 WHERE kind = 'model'", ("model", "m")),
        ("UPDATE objects SET name = CAST(x'ff' AS TEXT) WHERE kind = 'model'", ("model", "\\xff")),
        ("UPDATE freezes SET version = x'00'", ("freeze", "all")),
        ("UPDATE tokens SET role = x'00'", ("token", "t")),
    ):
        with contextlib.closing(sqlite3.connect(path)) as raw, raw:
            raw.execute(statement)

        def look(connection):
            return names(signing.unsigned(connection)), objects.keys(connection), objects.published(connection)

        assert store.read(look).result()[0] == [where], statement
        signed = store.write(signing.sign).result()
        is_key_name = where == ("key", "\\xff")
        assert names(signed) == ([where] if is_key_name else []), statement
        assert store.read(look).result()[0] == ([] if is_key_name else [where]), statement
        store.close()
        path.unlink()
        store = Store(SqliteBackend(path), True, os.urandom, bytes(32))
        store.write(fill).result()
    store.close()
