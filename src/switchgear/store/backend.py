"""What the store asks of the database below it. Level 2.

Everything that differs between databases stands behind `Backend`; the tables and their statements are the same for all. A function
of a connection reaches it through `backend_of`. A further database is one module in `backends/` and one row in the store's tests.
"""

from collections.abc import Callable, Hashable
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine, Table

T = TypeVar("T")
OPTION = "backend"
"""The engine's execution option that leads from a connection to its backend."""


class Backend(Protocol):
    """A database, opened or not."""

    @property
    def place(self) -> str:
        """Where it is, for messages: a path, or a URL without its password."""

    def engine(self, create: bool) -> Engine:
        """Return an engine whose connections lead here through `backend_of`; nothing is opened yet. Without `create` a missing
        database is an error of the first connection: an empty one must never take its place."""

    def identity(self) -> Hashable | None:
        """Return what tells the database that stands in its place from any other, None when there is none. Asked before each
        transaction: it costs a system call, no query."""

    def upsert(self, table: Table) -> Any:
        """Return an INSERT that knows `on_conflict_do_update` and `on_conflict_do_nothing`."""

    def insert_many(self, connection: Connection, table: Table, rows: list[tuple[Any, ...]]) -> None:
        """Insert rows, as tuples of all columns in order, as cheaply as the database can. Raises IntegrityError for a row that is
        there already; none is inserted then."""

    def with_room(self, work: Callable[[], T]) -> T:
        """Do work that must not fail because a disk is full; raises what it raises."""


def backend_of(connection: Connection) -> Backend:
    """Return the backend that a connection belongs to."""
    backend: Backend = connection.get_execution_options()[OPTION]
    return backend
