"""Keys may name raw paths of providers."""

import sqlalchemy as sa

from switchgear.store.migrations import steps

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column."""
    steps.add_column("keys", sa.Column("passthrough", sa.LargeBinary(), nullable=True))
