"""Schemas: every step is taken once, in order, and nothing is done to a database of a newer program."""

import pytest
from sqlalchemy import create_engine, inspect, select, text

from switchgear.core.errors import UserError
from switchgear.store import database, ledger_rows, migrate, tables
from switchgear.store.migrations.versions import m0005_credential_id

BEFORE_CREDENTIAL_IDS = m0005_credential_id.down_revision


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
    columns = {column["name"] for column in inspect(connection).get_columns("keys")}
    assert "passthrough" in columns
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


def test_a_database_of_a_newer_program_is_refused(connection):
    with pytest.raises(UserError, match="newer"):
        migrate.upgrade(connection, "9999")
