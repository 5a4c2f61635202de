"""The store's file: made once, never in place of another."""

import os
import sqlite3

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from switchgear.core.errors import UserError
from switchgear.store import ledger_rows, tables
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.database import Store, StoreGoneError


def test_the_migrations_make_the_tables(store):
    def compare(connection):
        return compare_metadata(MigrationContext.configure(connection), tables.metadata)

    differences = [
        d for d in store.read(compare).result() if not (d[0] == "remove_table" and d[1].name == "alembic_version")
    ]
    assert differences == []


def test_S1_a_missing_file_is_never_made_again(tmp_path):
    Store(SqliteBackend(tmp_path / "a.sqlite"), True, os.urandom, bytes(32)).close()
    (tmp_path / "a.sqlite").rename(tmp_path / "b.sqlite")
    with pytest.raises(UserError) as info:
        Store(SqliteBackend(tmp_path / "a.sqlite"), False, os.urandom, bytes(32))
    assert "missing" in str(info.value)
    assert not (tmp_path / "a.sqlite").exists()


def test_a_newer_database_is_refused_with_what_to_do(tmp_path):
    store = Store(SqliteBackend(tmp_path / "a.sqlite"), True, os.urandom, bytes(32))
    store.close()
    raw = sqlite3.connect(tmp_path / "a.sqlite")
    raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.commit()
    raw.close()
    with pytest.raises(UserError) as info:
        Store(SqliteBackend(tmp_path / "a.sqlite"), False, os.urandom, bytes(32))
    assert "newer than this program" in str(info.value)
    assert info.value.exit_code == 2


def test_a_file_that_is_no_database_is_said(tmp_path):
    (tmp_path / "a.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises((UserError, sqlite3.DatabaseError)):
        Store(SqliteBackend(tmp_path / "a.sqlite"), False, os.urandom, bytes(32))


def test_a_store_that_is_opened_again_has_the_same_id(backend):
    one = Store(backend, True, os.urandom, bytes(32))
    two = Store(backend, False, os.urandom, bytes(32))
    assert one.id == two.id
    one.close()
    two.close()


def test_a_store_that_waits_opens_nothing_before_it_is_told(backend):
    store = Store(backend, True, os.urandom, bytes(32), wait=True)
    assert not store.is_open
    with pytest.raises(StoreGoneError, match="not open yet"):
        store.read(ledger_rows.count_requests).result()
    store.open()
    assert store.is_open and store.read(ledger_rows.count_requests).result() == 0
    store.close()


def test_a_write_that_raises_leaves_nothing(store):
    def half(connection):
        ledger_rows.put_price(connection, "p", b"{}", 1)
        raise ValueError

    with pytest.raises(ValueError):
        store.write(half).result()
    assert store.read(lambda c: ledger_rows.price(c, "p")).result() is None


def test_a_write_with_room_is_made_in_the_backends_room(store, monkeypatch):
    asked = []

    def with_room(work):
        asked.append(True)
        return work()

    monkeypatch.setattr(store.backend, "with_room", with_room)
    store.write_with_room(lambda c: ledger_rows.put_price(c, "p", b"{}", 1)).result()
    assert asked == [True]
    assert store.read(lambda c: ledger_rows.price(c, "p")).result() == b"{}"
