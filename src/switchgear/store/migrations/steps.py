"""Steps that may be repeated: a database that was restored in part, or edited, may have what a step adds already. Level 2."""

from typing import Any

import sqlalchemy as sa
from alembic import op


def connection() -> sa.Connection:
    """Return the connection on which the step runs."""
    return op.get_bind()


def columns(table: str) -> set[str]:
    """Return the names of a table's columns."""
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}


def add_column(table: str, column: "sa.Column[Any]") -> None:
    """Add a column unless it is there."""
    if column.name not in columns(table):
        op.add_column(table, column)


def drop_column(table: str, name: str) -> None:
    """Drop a column if it is there."""
    if name in columns(table):
        op.drop_column(table, name)


def create_table(name: str, *columns: "sa.Column[Any]", **options: Any) -> None:
    """Create a table unless it is there."""
    if not sa.inspect(op.get_bind()).has_table(name):
        op.create_table(name, *columns, **options)


def create_index(name: str, table: str, *columns: str) -> None:
    """Create an index unless it is there."""
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, list(columns))


def rename_column(table: str, old: str, new: str) -> None:
    """Rename a column unless that was done."""
    if old in {known["name"] for known in sa.inspect(op.get_bind()).get_columns(table)}:
        op.alter_column(table, old, new_column_name=new)


def widen(table: str, name: str) -> None:
    """Let a column of whole numbers hold 64 bits. SQLite makes the table anew for it."""
    with op.batch_alter_table(table) as batch:
        batch.alter_column(name, type_=sa.BigInteger())
