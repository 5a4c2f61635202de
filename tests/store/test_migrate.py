"""Schemas: every step is taken once, in order, and nothing is done to a database of a newer program."""

import contextlib
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, select, text

from switchgear.core.errors import UserError
from switchgear.store import database, ledger_rows, migrate, objects, outbox, tables
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.database import Store
from switchgear.store.migrations.versions import m0006_credential_id, m0007_outbox
from switchgear.store.objects import KeyRow, KeySecretRow

BEFORE_CREDENTIAL_IDS = m0006_credential_id.down_revision

OLD = Path(__file__).parent / "old"
"""Databases that older programs wrote, by schema, as SQLite's own dump tells them."""


def columns_of(connection):
    """Return the columns of each table but Alembic's."""
    found = inspect(connection)
    names = [name for name in found.get_table_names() if name not in {"alembic_version", "sqlite_sequence"}]
    return {name: {column["name"] for column in found.get_columns(name)} for name in names}


@pytest.fixture
def connection():
    engine = create_engine("sqlite://")
    with engine.begin() as made:
        yield made
    engine.dispose()


def test_the_store_expects_the_last_migration():
    assert migrate.MIGRATIONS[-1].revision == database.SCHEMA_VERSION
    chain = [(module.down_revision, module.revision) for module in migrate.MIGRATIONS]
    assert [before for before, _ in chain] == [None, *(after for _, after in chain[:-1])]


def test_a_database_of_any_age_comes_to_the_same_schema(connection):
    migrate.upgrade(connection, None)
    assert connection.execute(select(migrate.VERSION.c.version_num)).scalar_one() == database.SCHEMA_VERSION
    assert columns_of(connection) == {
        table.name: set(table.columns.keys()) for table in tables.metadata.tables.values()
    }
    migrate.upgrade(connection, database.SCHEMA_VERSION)  # nothing left to do


def test_sums_by_credential_keep_their_figures_and_get_their_name_and_deployments_are_told_apart(connection):
    migrate.upgrade(connection, None)
    for table in ("usage", "rollups"):  # as the program before left them
        connection.exec_driver_sql(f"ALTER TABLE {table} RENAME COLUMN credential_id TO deployment")
    connection.execute(migrate.VERSION.update().values(version_num=BEFORE_CREDENTIAL_IDS))
    zeros = dict.fromkeys(tables.SUMS, 0)
    names = dict.fromkeys(tables.DIMENSIONS, "") | {"provider": "openai"}
    del names["credential_id"]  # its name was "deployment"
    row = {**names, **zeros, "hour": 48, "deployment": "openai/main", "attempts": 1}
    rows = [row | {"upstream_model": "gpt-4o", "attempts": 2}, row | {"upstream_model": "gpt-4o-mini"}]
    columns = ", ".join(rows[0])
    statement = f"INSERT INTO usage ({columns}) VALUES ({', '.join(f':{name}' for name in rows[0])})"
    connection.execute(text(statement), rows)
    migrate.upgrade(connection, BEFORE_CREDENTIAL_IDS)
    for table in (tables.usage, tables.rollups):
        columns = {column["name"] for column in inspect(connection).get_columns(table.name)}
        assert columns == {column.name for column in table.columns}
    assert requests_by(connection, "credential") == {"openai/main": 3}
    assert requests_by(connection, "deployment") == {"openai/gpt-4o@main": 2, "openai/gpt-4o-mini@main": 1}
    migrate.upgrade(connection, BEFORE_CREDENTIAL_IDS)  # interrupted before its version was written: once more


def requests_by(connection, group):
    return {row[f"group_{group}"]: row["requests"] for row in ledger_rows.sum_usage(connection, [group], 0, 100)}


def test_records_that_were_there_get_numbers_and_findings_of_a_segment_become_rows(connection):
    before = m0007_outbox.down_revision
    migrate.upgrade(connection, None)
    for name in ("settled", "cursors", "deployments", "quarantine"):  # as the program before left it
        connection.exec_driver_sql(f"DROP TABLE {name}")
    connection.exec_driver_sql("DELETE FROM meta WHERE name = 'settled_seq'")
    connection.exec_driver_sql(
        "CREATE TABLE quarantine (spool_id VARCHAR(32), segment INTEGER, reason TEXT NOT NULL, is_open BOOLEAN NOT NULL, "
        "time_ms BIGINT NOT NULL, PRIMARY KEY (spool_id, segment))"
    )
    connection.exec_driver_sql(
        "INSERT INTO quarantine VALUES ('s', 1, 'bad' || char(10) || 'worse' || char(10) || 'bad', 1, 7), ('s', 2, 'x', 0, 8)"
    )
    for number in (3, 1, 2):
        connection.exec_driver_sql(
            "INSERT INTO requests (id, status, outcome, record) VALUES (?, 200, 'ok', ?)", (f"{number:032x}", b"r")
        )
    connection.execute(migrate.VERSION.update().values(version_num=before))
    migrate.upgrade(connection, before)
    assert [(row.seq, int(row.request_id, 16)) for row in outbox.after(connection, 0, 10).rows] == [
        (1, 1),
        (2, 2),
        (3, 3),
    ]
    assert outbox.head(connection) == 3
    assert ledger_rows.quarantined(connection) == [("s", 1, "bad"), ("s", 1, "worse")]
    connection.execute(migrate.VERSION.update().values(version_num=before))
    migrate.upgrade(connection, before)  # interrupted before its version was written: once more
    assert outbox.head(connection) == 3 and len(ledger_rows.quarantined(connection)) == 2


def test_a_database_of_a_newer_program_is_refused(connection):
    with pytest.raises(UserError, match="newer"):
        migrate.upgrade(connection, "9999")


@pytest.mark.parametrize("schema", sorted(path.stem for path in OLD.glob("*.sql")))
def test_a_stored_database_of_an_older_program_opens_with_its_keys(tmp_path, schema):
    with sqlite3.connect(tmp_path / "store.sqlite") as raw:
        raw.executescript((OLD / f"{schema}.sql").read_text())
    raw.close()
    store = Store(SqliteBackend(tmp_path / "store.sqlite"), True, lambda count: b"", bytes(32), may_sign=True)
    keys = {key.name: key for key in store.read(objects.keys).result()}
    frozen = store.read(objects.freezes).result()
    store.close()
    assert sorted(keys) == ["bound", "gone", "plain", "torn"]
    bound = keys["bound"]
    assert (bound.id, bound.version, bound.team, bound.user, bound.project) == (
        *("BBBBBBBBBBBB", 3, "research", "ann@example.com", "p1"),
    )
    assert (bound.models, bound.cidrs, bound.tags) == (["openai/*", "fast"], ["10.0.0.0/8"], ["cost_center=4711"])
    assert bound.expires_ms == 1_893_456_000_000
    assert bound.passthrough == (None if schema == "0001" else ["openai POST /audio/*"])
    assert bound.secrets == (
        KeySecretRow(mac=b"\2" * 32, pepper_id=1),
        KeySecretRow(mac=b"\3" * 32, pepper_id=1, not_after_ms=1_800_000_000_000),
    )
    assert (keys["plain"].models, keys["plain"].team, keys["plain"].is_damaged) == (None, None, False)
    assert (keys["gone"].models, keys["gone"].revoked_ms, keys["gone"].source) == ([], 5, "file")
    assert keys["torn"].is_damaged and not keys["torn"].secrets, "what limited it cannot be read: nobody can use it"
    assert frozen == {"team:research": None}


def set_back(path):
    """Make a database look as if it had no MACs yet, as somebody would who wants others' rows signed."""
    with contextlib.closing(sqlite3.connect(path)) as raw, raw:
        for table in ("objects", "keys", "freezes", "tokens"):
            raw.execute(f"ALTER TABLE {table} DROP COLUMN mac")
        raw.execute("UPDATE alembic_version SET version_num = '0007'")


@pytest.mark.parametrize("may_sign", [True, False])
def test_S5_rows_are_signed_by_the_migration_only_where_they_never_were(tmp_path, may_sign):
    path = tmp_path / "store.sqlite"
    store = Store(SqliteBackend(path), True, lambda count: b"", bytes(32))
    store.write(lambda c: objects.add_key(c, KeyRow(id="a", name="app"))).result()
    store.write(lambda c: objects.put_freeze(c, "all", None, "cli", 1)).result()
    store.close()
    set_back(path)
    store = Store(SqliteBackend(path), False, lambda count: b"", bytes(32), may_sign=may_sign)
    (key,), frozen = store.read(objects.keys).result(), store.read(objects.freezes).result()
    store.close()
    assert key.is_forged is not may_sign and frozen == ({"all": None} if may_sign else {})
