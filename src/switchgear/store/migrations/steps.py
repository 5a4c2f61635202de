"""Steps that may be repeated: a database that was restored in part, or edited, may have what a step adds already. Level 2."""

from typing import Any

import sqlalchemy as sa
from alembic import op


def add_column(table: str, column: "sa.Column[Any]") -> None:
    """Add a column unless it is there."""
    if column.name not in {found["name"] for found in sa.inspect(op.get_bind()).get_columns(table)}:
        op.add_column(table, column)


def create_table(name: str, *columns: "sa.Column[Any]", **options: Any) -> None:
    """Create a table unless it is there."""
    if not sa.inspect(op.get_bind()).has_table(name):
        op.create_table(name, *columns, **options)


def rename_column(table: str, old: str, new: str) -> None:
    """Rename a column unless that was done."""
    if old in {known["name"] for known in sa.inspect(op.get_bind()).get_columns(table)}:
        op.alter_column(table, old, new_column_name=new)
