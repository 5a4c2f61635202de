"""Balances of budgets, and which of their thresholds were told."""

import sqlalchemy as sa

from switchgear.store.migrations import steps
from switchgear.store.types import bounded

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create the tables: empty, since no budget held before."""
    steps.create_table(
        "balances",
        sa.Column("budget", bounded(1_024), primary_key=True),
        sa.Column("period", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("settled", sa.BigInteger(), nullable=False),
        sa.Column("corrected", sa.BigInteger(), nullable=False),
        sa.Column("unit", bounded(16), nullable=False),
        sa.Column("ends_ms", sa.BigInteger()),
        sa.Column("width_ms", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    steps.create_table(
        "thresholds",
        sa.Column("budget", bounded(1_024), primary_key=True),
        sa.Column("period", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("percent", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("passed_ms", sa.BigInteger(), nullable=False),
        sa.Column("told_ms", sa.BigInteger()),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sqlite_with_rowid=False,
    )
