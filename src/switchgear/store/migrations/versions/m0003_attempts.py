"""Sums by attempt: failed ones, and which requests tried a provider before their last."""

import sqlalchemy as sa

from switchgear.store.migrations import steps
from switchgear.store.types import bounded

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column and the table. What was booked before stays at the last attempt's place."""
    steps.add_column("usage", sa.Column("failed_attempts", sa.BigInteger(), nullable=False, server_default="0"))
    steps.create_table(
        "tried",
        sa.Column("provider", bounded(64), primary_key=True),
        sa.Column("request_id", bounded(40), primary_key=True),
        sqlite_with_rowid=False,
    )
