"""SQLite's file: made once, never in place of another, synced at each commit."""

import errno
import os
import sqlite3

import pytest
from sqlalchemy import select

from switchgear.store import ledger_rows, tables
from switchgear.store.backends import sqlite
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.ballast import Ballast
from switchgear.store.database import Store, StoreGoneError


@pytest.fixture
def backend(tmp_path):
    return SqliteBackend(tmp_path / "store.sqlite")


@pytest.fixture
def store(backend):
    opened = Store(backend, True, os.urandom, bytes(32))
    yield opened
    opened.close()


def test_S1_a_missing_file_is_created_only_where_that_is_asked(tmp_path):
    with pytest.raises(sqlite3.OperationalError):
        sqlite.connect(tmp_path / "a.sqlite", False)
    assert not (tmp_path / "a.sqlite").exists()
    sqlite.connect(tmp_path / "a.sqlite", True).close()
    sqlite.connect(tmp_path / "a.sqlite", False).close()


def test_L5_a_connection_syncs_each_commit_to_a_log_beside_the_file(tmp_path):
    connection = sqlite.connect(tmp_path / "a?b.sqlite", True)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
    connection.close()
    assert (tmp_path / "a?b.sqlite").exists(), "a name is no address"


def test_the_identity_is_that_of_the_file_at_the_place(backend, tmp_path):
    assert backend.identity() is None
    backend.path.write_bytes(b"")
    first = backend.identity()
    assert first is not None and backend.identity() == first
    backend.path.rename(tmp_path / "moved")
    assert backend.identity() is None
    backend.path.write_bytes(b"")
    assert backend.identity() not in {None, first}


def test_S1_a_file_that_was_moved_away_takes_no_commits(store, backend):
    path = backend.path
    path.rename(path.with_name("moved"))
    with pytest.raises(StoreGoneError):
        store.write(lambda c: ledger_rows.put_price(c, "p", b"{}", 1)).result()
    with pytest.raises(StoreGoneError):
        store.read(ledger_rows.count_requests).result()
    assert not path.exists()
    path.with_name("moved").rename(path)
    store.write(lambda c: ledger_rows.put_price(c, "p", b"{}", 1)).result()
    assert store.read(lambda c: ledger_rows.price(c, "p")).result() == b"{}"


def test_S1_another_file_at_the_place_is_refused(store, backend):
    path = backend.path
    path.rename(path.with_name("moved"))
    sqlite3.connect(path).execute("CREATE TABLE x (y)").connection.close()
    with pytest.raises(StoreGoneError):
        store.read(ledger_rows.count_requests).result()
    path.unlink()
    path.with_name("moved").rename(path)


def test_a_full_disk_gives_up_ballast_and_another_error_does_not(backend):
    class Room(Ballast):
        def spend(self, function):
            try:
                return function()
            except OSError:
                return "in the ballast's room"

    def work():
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        backend.with_room(work)
    assert SqliteBackend(backend.path, Room(backend.path.parent)).with_room(work) == "in the ballast's room"


def test_reading_only_changes_nothing(store, backend):
    store.write(lambda c: ledger_rows.put_price(c, "p", b"{}", 1)).result()
    engine = sqlite.read_only(str(backend.path))
    with engine.connect() as connection:
        assert connection.execute(select(tables.prices.c.id)).scalars().all() == ["p"]
        with pytest.raises(Exception, match="readonly"):
            connection.execute(tables.prices.delete())
    engine.dispose()
