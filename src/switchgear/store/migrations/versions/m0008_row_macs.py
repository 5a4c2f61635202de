"""Rows that control acts on carry a MAC; what is removed leaves a row that says so. The store signs what it finds, once."""

import sqlalchemy as sa

from switchgear.store.migrations import steps

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the columns; versions of objects and freezes are times, so that they rise also after a removal."""
    for table in ("objects", "keys", "freezes", "tokens"):
        steps.add_column(table, sa.Column("mac", sa.LargeBinary(32), nullable=True))
    steps.add_column("freezes", sa.Column("version", sa.BigInteger(), nullable=False, server_default="0"))
    steps.add_column("freezes", sa.Column("is_lifted", sa.Boolean(), nullable=False, server_default=sa.false()))
    steps.widen("objects", "version")
