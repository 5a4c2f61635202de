"""SQLite: never created by accident, in WAL mode, synced at each commit, no file but its own. Level 2.

The pragmas are the only statement texts in the program; SQLAlchemy has no construct for them (a test allows them here).
"""

import functools
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, Table, create_engine, event, insert
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.pool import QueuePool

from switchgear.store.backend import OPTION
from switchgear.store.ballast import Ballast

T = TypeVar("T")
PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA busy_timeout=5000",
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=-8192",
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA temp_store=MEMORY",
)
TEXT = functools.partial(str, encoding="utf-8", errors="backslashreplace")
"""Reads a text. SQLite keeps whatever bytes somebody writes into one, and sqlite3 would refuse all rows because of one: what is no
UTF-8 is read as its escape instead, which is no row of this gateway's (store/macs) and can be named and printed."""
BEGIN = "BEGIN"
CONNECTIONS = 4
"""One writes, two read reports, one reads for whoever stops somebody."""


class SqliteBackend:
    """A database in one file, on the data folder's own disk. Ids compare by their bytes, as SQLite's texts do."""

    def __init__(self, path: Path, ballast: Ballast | None = None) -> None:
        """`ballast` is the data folder's; without one a full disk is nobody's business but the caller's."""
        self.path = path
        self._ballast = ballast

    @property
    def place(self) -> str:
        """The file's path."""
        return str(self.path)

    def engine(self, create: bool) -> Engine:
        """Return an engine whose transactions are SQLAlchemy's alone."""
        engine = create_engine(
            "sqlite://",
            creator=lambda: connect(self.path, create),
            poolclass=QueuePool,
            pool_size=CONNECTIONS,
            max_overflow=0,
            execution_options={OPTION: self},
        )

        # sqlite3 must not open transactions of its own: SQLAlchemy's begin is the only one.
        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql(BEGIN)

        return engine

    def identity(self) -> tuple[int, int] | None:
        """Return the file's device and inode: a file that was moved away keeps taking commits through its old handle."""
        try:
            info = os.stat(self.path)
        except OSError:
            return None
        return info.st_dev, info.st_ino

    def upsert(self, table: Table) -> Insert:
        """Return SQLite's INSERT."""
        return sqlite_insert(table)

    def insert_many(self, connection: Connection, table: Table, rows: list[tuple[Any, ...]]) -> None:
        """Insert rows. The statement is SQLAlchemy's; the rows go to the driver as they are, because its handling of parameters
        costs as much as the insertion."""
        connection.exec_driver_sql(str(insert(table).compile(dialect=connection.dialect)), rows)

    def with_room(self, work: Callable[[], T]) -> T:
        """Give up ballast where the disk is full."""
        return work() if self._ballast is None else self._ballast.spend(work)


def connect(path: Path, create: bool) -> sqlite3.Connection:
    """Open a database. Without `create` a missing file is an error: an empty database must never take its place."""
    mode = "rwc" if create else "rw"
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}", uri=True, check_same_thread=False, isolation_level=None, timeout=5.0
    )
    connection.text_factory = TEXT
    for pragma in PRAGMAS:
        connection.execute(pragma)
    return connection


def read_only(path: str) -> Engine:
    """Return an engine that reads the file of a stopped gateway and changes nothing, its settings neither."""
    return create_engine(f"sqlite:///file:{quote(path)}?mode=ro&uri=true")
