"""The store's file: made once, never in place of another."""

import os
import sqlite3

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from switchgear.core.errors import UserError
from switchgear.store import ledger_rows, tables
from switchgear.store.database import Store, StoreGoneError


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store.sqlite", True, os.urandom)
    yield made
    made.close()


def test_the_migrations_make_the_tables(store):
    def compare(connection):
        return compare_metadata(MigrationContext.configure(connection), tables.metadata)

    differences = [
        d for d in store.read(compare).result() if not (d[0] == "remove_table" and d[1].name == "alembic_version")
    ]
    assert differences == []


def test_S1_a_missing_file_is_never_made_again(tmp_path):
    Store(tmp_path / "a.sqlite", True, os.urandom).close()
    (tmp_path / "a.sqlite").rename(tmp_path / "b.sqlite")
    with pytest.raises(UserError) as info:
        Store(tmp_path / "a.sqlite", False, os.urandom)
    assert "missing" in str(info.value)
    assert not (tmp_path / "a.sqlite").exists()


def test_S1_a_file_that_was_moved_away_takes_no_commits(store):
    path = store.path
    path.rename(path.with_name("moved"))
    with pytest.raises(StoreGoneError):
        store.write(lambda c: ledger_rows.put_price(c, "p", b"{}", 1)).result()
    with pytest.raises(StoreGoneError):
        store.read(ledger_rows.count_requests).result()
    assert not path.exists()
    path.with_name("moved").rename(path)
    store.write(lambda c: ledger_rows.put_price(c, "p", b"{}", 1)).result()
    assert store.read(lambda c: ledger_rows.price(c, "p")).result() == b"{}"


def test_S1_another_file_at_the_place_is_refused(store):
    path = store.path
    path.rename(path.with_name("moved"))
    sqlite3.connect(path).execute("CREATE TABLE x (y)").connection.close()
    with pytest.raises(StoreGoneError):
        store.read(ledger_rows.count_requests).result()
    path.unlink()
    path.with_name("moved").rename(path)


def test_a_newer_database_is_refused_with_what_to_do(tmp_path):
    store = Store(tmp_path / "a.sqlite", True, os.urandom)
    store.close()
    raw = sqlite3.connect(tmp_path / "a.sqlite")
    raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.commit()
    raw.close()
    with pytest.raises(UserError) as info:
        Store(tmp_path / "a.sqlite", False, os.urandom)
    assert "newer than this program" in str(info.value)
    assert info.value.exit_code == 2


def test_a_file_that_is_no_database_is_said(tmp_path):
    (tmp_path / "a.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises((UserError, sqlite3.DatabaseError)):
        Store(tmp_path / "a.sqlite", False, os.urandom)


def test_the_id_stays(tmp_path):
    one = Store(tmp_path / "a.sqlite", True, os.urandom)
    two = Store(tmp_path / "a.sqlite", False, os.urandom)
    assert one.id == two.id
    one.close()
    two.close()
