"""Schemas: every step is taken once, in order, and nothing is done to a database of a newer program."""

import pytest
from sqlalchemy import create_engine, inspect, select

from switchgear.core.errors import UserError
from switchgear.store import database, migrate


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


def test_a_database_of_a_newer_program_is_refused(connection):
    with pytest.raises(UserError, match="newer"):
        migrate.upgrade(connection, "9999")
