"""The store: one writer, several readers, one schema. Level 2 (docs/invariants.md S1).

Only the first start creates a store. The database's identity is checked before each use: a file that was moved away keeps
taking commits through its old handle, and a new connection at the old path would begin an empty database.
"""

import concurrent.futures
import functools
from collections.abc import Callable, Hashable
from typing import TypeVar

from sqlalchemy import Column, Connection, MetaData, String, Table, insert, inspect, select
from sqlalchemy.exc import DatabaseError, NoResultFound

from switchgear.core.errors import SwitchgearError, UserError
from switchgear.core.ids import Entropy
from switchgear.store import holders, macs, signing, tables
from switchgear.store.backend import Backend
from switchgear.store.macs import RowMacs

SCHEMA_VERSION = "0011"
SIGNED_SINCE = "0008"
"""The first schema whose rows carry MACs."""
HOLDERS_SINCE = "0011"
"""The first schema with teams, users and projects; before it they were names that keys said."""
T = TypeVar("T")


class StoreGoneError(SwitchgearError):
    """The database is not where it was; nothing was written."""


class Store:
    """An open store. `write` and `read` run in threads of their own; callers await the futures."""

    def __init__(
        self,
        backend: Backend,
        create: bool,
        entropy: Entropy,
        row_key: bytes,
        wait: bool = False,
        may_sign: bool = False,
    ) -> None:
        """Open, or create on the first start only; with `wait` nothing is opened before `open`. Raises what `open` raises.

        `row_key` makes the MACs of rows (store/macs). `may_sign`: rows of a schema that had none are signed by its migration; never
        twice in the life of a data folder, or whoever writes the database could have his own rows signed.
        """
        self.backend = backend
        self.id = ""
        """Empty until it is open."""
        self._create = create
        self._entropy = entropy
        self._macs = RowMacs(row_key)
        self._may_sign = may_sign
        self._engine = backend.engine(create)
        self._engine.update_execution_options(**{macs.OPTION: self._macs})
        self._writer = concurrent.futures.ThreadPoolExecutor(1, "store-writer")
        self._readers = concurrent.futures.ThreadPoolExecutor(2, "store-reader")
        self._urgent = concurrent.futures.ThreadPoolExecutor(1, "store-urgent")
        self._identity: Hashable | None = None
        if not wait:
            try:
                self.open()
            except StoreGoneError as exc:
                raise UserError(str(exc), "put the file back, or restore a backup", 2) from None

    @property
    def is_open(self) -> bool:
        """True once the database was opened."""
        return self._identity is not None

    def open(self) -> None:
        """Open the database and bring it to this program's schema. Raises StoreGoneError while it is missing, UserError when it is
        newer or damaged, ImportError when a migration is needed whose code was not imported in time (`forget_schema`)."""
        place = self.backend.place
        if not self._create and self.backend.identity() is None:
            raise StoreGoneError(
                f"the database {place} is missing, and this data folder had one: an empty one is never made in its place"
            )
        try:
            with self._engine.begin() as connection:
                self.id = self._migrate(connection, self._entropy)
        except DatabaseError as exc:
            self._engine.dispose()
            raise UserError(f"the database {place} cannot be opened: {exc.orig}", "restore a backup", 2) from exc
        except NoResultFound as exc:
            raise UserError(f"the database {place} has no identity", "restore a backup", 2) from exc
        self._identity = self.backend.identity()

    def write(self, function: Callable[[Connection], T]) -> "concurrent.futures.Future[T]":
        """Run a function in one write transaction, in the writer's thread."""
        return self._writer.submit(self.write_here, function)

    def write_with_room(self, function: Callable[[Connection], T]) -> "concurrent.futures.Future[T]":
        """`write`, for what must not fail because a disk is full."""
        return self.submit(lambda: self.backend.with_room(functools.partial(self.write_here, function)))

    def write_here(self, function: Callable[[Connection], T]) -> T:
        """Run a function in one write transaction, in this thread (which must be the writer's)."""
        self.check()
        with self._engine.begin() as connection:
            return function(connection)

    def read(self, function: Callable[[Connection], T]) -> "concurrent.futures.Future[T]":
        """Run a function in a read transaction, in a reader's thread."""
        return self._readers.submit(self._read, function)

    def read_urgently(self, function: Callable[[Connection], T]) -> "concurrent.futures.Future[T]":
        """Run a function in a read transaction that waits for no long report: for whoever stops somebody."""
        return self._urgent.submit(self._read, function)

    def _read(self, function: Callable[[Connection], T]) -> T:
        self.check()
        with self._engine.connect() as connection:
            return function(connection)

    def submit(self, function: Callable[[], T]) -> "concurrent.futures.Future[T]":
        """Run a function in the writer's thread, without a transaction."""
        return self._writer.submit(function)

    def check(self) -> None:
        """Raise StoreGoneError when the database in its place is not the one that was opened."""
        if self._identity is None:
            raise StoreGoneError(f"the database {self.backend.place} is not open yet")
        if self.backend.identity() != self._identity:
            raise StoreGoneError(f"the database {self.backend.place} was moved or replaced; put it back")

    def close(self) -> None:
        """Finish what was submitted and close."""
        self._writer.shutdown()
        self._readers.shutdown()
        self._urgent.shutdown()
        self._engine.dispose()

    def _migrate(self, connection: Connection, entropy: Entropy) -> str:
        version = _current_version(connection)
        if version != SCHEMA_VERSION:
            from switchgear.store import migrate  # noqa: PLC0415  Alembic costs 100 ms of start-up; rarely needed

            migrate.upgrade(connection, version)
            if version is None:
                connection.execute(insert(tables.meta), [{"name": "store_id", "value": entropy(16).hex()}])
        query = select(tables.meta.c.value).where(tables.meta.c.name == "store_id")
        store_id = str(connection.execute(query).scalar_one())
        self._macs.bind(store_id)
        if version is not None and version < SIGNED_SINCE and self._may_sign:
            signing.sign(connection)
        if version is not None and version < HOLDERS_SINCE:
            holders.adopt(connection)
        return store_id


def _current_version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    table = Table("alembic_version", MetaData(), Column("version_num", String(32)))
    return connection.execute(select(table.c.version_num)).scalar_one_or_none()
