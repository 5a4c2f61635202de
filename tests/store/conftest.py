"""The store's tests run on every backend: a further one is one entry of BACKENDS."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Table, create_engine, insert, inspect
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from switchgear.store.backend import OPTION, Backend
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.database import Store
from switchgear.testing import postgres


class PostgresBackend:
    """PostgreSQL, as far as the store's tests need it: it shows that nothing in `store/` takes SQLite for granted."""

    def __init__(self, url: str) -> None:
        self.place = "PostgreSQL of the tests"
        self._url = url.replace("postgresql:", "postgresql+psycopg:")

    def engine(self, create: bool) -> Engine:
        return create_engine(self._url, execution_options={OPTION: self})

    def identity(self) -> str | None:
        return self._url

    def upsert(self, table: Table) -> Insert:
        return postgresql_insert(table)

    def insert_many(self, connection: Connection, table: Table, rows: list[tuple[Any, ...]]) -> None:
        names = table.columns.keys()
        connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])

    def with_room(self, work: Callable[[], Any]) -> Any:
        return work()


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[postgres.Postgres]:
    """A PostgreSQL whose texts compare as English does (a < B): nothing may depend on the database's locale."""
    if postgres.binaries() is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    running = postgres.Postgres(tmp_path_factory.mktemp("postgres"), ("--locale-provider=icu", "--icu-locale=en"))
    yield running
    running.stop()


def sqlite_backend(request) -> Iterator[Backend]:
    yield SqliteBackend(request.getfixturevalue("tmp_path") / "store.sqlite")


def postgresql_backend(request) -> Iterator[Backend]:
    backend = PostgresBackend(request.getfixturevalue("server").url)
    yield backend
    engine = backend.engine(False)
    with engine.begin() as connection:
        for name in inspect(connection).get_table_names():
            connection.exec_driver_sql(f'DROP TABLE "{name}"')
    engine.dispose()


BACKENDS: dict[str, Callable[[Any], Iterator[Backend]]] = {"sqlite": sqlite_backend, "postgresql": postgresql_backend}


@pytest.fixture(params=BACKENDS)
def backend(request) -> Iterator[Backend]:
    """An empty database of each kind."""
    yield from BACKENDS[request.param](request)


@pytest.fixture
def store(backend) -> Iterator[Store]:
    """A new store in it."""
    opened = Store(backend, True, os.urandom, bytes(32))
    yield opened
    opened.close()
