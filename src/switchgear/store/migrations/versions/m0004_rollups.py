"""Sums of days and of blocks of days, so that a report of months does not add up hours."""

import sqlalchemy as sa

from switchgear.store.migrations import steps
from switchgear.store.types import bounded

revision = "0004"
down_revision = "0003"

_DIMENSIONS = (
    "key_id",
    "key_name",
    "team",
    "user_name",
    "project",
    "model",
    "upstream_model",
    "provider",
    "deployment",
)
_SUMS = (
    "requests",
    "attempts",
    "errors",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost_nanousd",
    "list_cost_nanousd",
    "unpriced_requests",
    "estimated_requests",
    "failed_attempts",
)


def upgrade() -> None:
    """Create the table. It is filled in the background, a day at a time (control/housekeeping)."""
    steps.create_table(
        "rollups",
        sa.Column("level", bounded(8), primary_key=True),
        sa.Column("start", sa.Integer(), primary_key=True, autoincrement=False),
        *(sa.Column(name, bounded(256), primary_key=True) for name in _DIMENSIONS),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _SUMS),
        sqlite_with_rowid=False,
    )
