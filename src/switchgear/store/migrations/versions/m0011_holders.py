"""Teams, users, projects and profiles are rows; those that stored keys name are made by the store (store/holders.adopt)."""

import sqlalchemy as sa

from switchgear.store.migrations import steps
from switchgear.store.types import bounded

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create the table, and find names in it."""
    steps.create_table(
        "holders",
        sa.Column("kind", bounded(16), primary_key=True),
        sa.Column("id", bounded(64), primary_key=True),
        sa.Column("name", bounded(64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("source", bounded(8), nullable=False),
        sa.Column("policy", sa.LargeBinary(), nullable=False),
        sa.Column("removed_ms", sa.BigInteger()),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(32)),
    )
    steps.create_index("holders_name", "holders", "kind", "name")
