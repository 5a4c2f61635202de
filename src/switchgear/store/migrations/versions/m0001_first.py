"""The first schema."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from switchgear.store.types import bounded

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

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
)


def upgrade() -> None:
    """Create everything."""
    big, blob, short = sa.BigInteger(), sa.LargeBinary(), bounded

    def column(name: str, kind: sa.types.TypeEngine[Any], required: bool = True) -> sa.Column[Any]:
        return sa.Column(name, kind, nullable=not required)

    op.create_table("meta", sa.Column("name", short(64), primary_key=True), column("value", sa.Text()))
    op.create_table(
        "objects",
        sa.Column("kind", short(32), primary_key=True),
        sa.Column("name", short(256), primary_key=True),
        column("version", sa.Integer()),
        column("spec", blob),
        column("created_ms", big),
        column("updated_ms", big),
    )
    op.create_table(
        "keys",
        sa.Column("id", short(32), primary_key=True),
        sa.Column("name", short(64), nullable=False, unique=True),
        column("version", sa.Integer()),
        column("source", short(8)),
        *(column(name, short(64), False) for name in ("team", "user_name", "project")),
        *(column(name, blob, False) for name in ("models", "cidrs", "tags")),
        column("expires_ms", big, False),
        column("revoked_ms", big, False),
        column("created_ms", big),
        column("updated_ms", big),
    )
    op.create_table(
        "key_secrets",
        sa.Column("key_id", short(32), primary_key=True),
        sa.Column("mac", sa.LargeBinary(32), primary_key=True),
        column("pepper_id", sa.Integer()),
        column("not_after_ms", big, False),
        column("created_ms", big),
    )
    op.create_table(
        "freezes",
        sa.Column("subject", short(320), primary_key=True),
        column("until_ms", big, False),
        column("created_ms", big),
        column("actor", short(128)),
    )
    op.create_table(
        "tokens",
        sa.Column("hash", sa.LargeBinary(32), primary_key=True),
        column("name", short(64)),
        column("kind", short(16)),
        column("role", short(32)),
        column("expires_ms", big, False),
        column("created_ms", big),
    )
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer(), primary_key=True, autoincrement=True),
        column("time_ms", big),
        column("actor", short(128)),
        column("action", short(64)),
        column("subject", short(320)),
        column("detail", blob),
    )
    op.create_table(
        "spools",
        sa.Column("spool_id", short(32), primary_key=True),
        column("segment", sa.Integer()),
        column("position", big),
        column("sequence", big),
        column("records", big),
    )
    op.create_table(
        "prices",
        sa.Column("id", short(32), primary_key=True),
        column("body", blob),
        column("created_ms", big),
    )
    op.create_table(
        "requests",
        sa.Column("id", short(40), primary_key=True),
        column("key_id", short(32), False),
        *(column(name, short(64), False) for name in ("key_name", "team", "user_name", "project")),
        column("model", short(256), False),
        column("provider", short(64), False),
        column("status", sa.Integer()),
        column("outcome", short(16)),
        column("cost_nanousd", big, False),
        column("latency_ms", sa.Integer(), False),
        column("record", blob),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "usage",
        sa.Column("hour", sa.Integer(), primary_key=True, autoincrement=False),
        *(sa.Column(name, short(256), primary_key=True) for name in _DIMENSIONS),
        *(column(name, big) for name in _SUMS),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "quarantine",
        sa.Column("spool_id", short(32), primary_key=True),
        sa.Column("segment", sa.Integer(), primary_key=True),
        column("reason", sa.Text()),
        column("is_open", sa.Boolean()),
        column("time_ms", big),
    )


def downgrade() -> None:
    """There is nothing before the first schema."""
    raise NotImplementedError("restore a backup instead")
