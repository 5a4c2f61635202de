"""The outbox, cursors of its consumers, counters of deployments; a finding about a segment is a row of its own."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from switchgear.store.migrations import steps
from switchgear.store.types import bounded

revision = "0007"
down_revision = "0006"

REASON_MAX = 512
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables; number the records that are there by the time of their admission."""
    steps.create_table(
        "settled",
        sa.Column("seq", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("request_id", bounded(40), nullable=False),
    )
    steps.create_table(
        "cursors",
        sa.Column("name", bounded(64), primary_key=True),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("seq", "lost", "created_ms", "moved_ms")),
    )
    steps.create_table(
        "deployments",
        sa.Column("name", bounded(512), primary_key=True),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
    )
    _number()
    _split_findings()


def _number() -> None:
    connection = steps.connection()
    settled = sa.table("settled", sa.column("seq", _NUMBER), sa.column("request_id"))
    meta = sa.table("meta", sa.column("name"), sa.column("value"))
    if connection.execute(sa.select(meta.c.value).where(meta.c.name == "settled_seq")).scalar_one_or_none() is not None:
        return
    requests = sa.table("requests", sa.column("id"))
    rows = sa.select(sa.func.row_number().over(order_by=requests.c.id), requests.c.id)
    connection.execute(sa.delete(settled))
    connection.execute(sa.insert(settled).from_select(["seq", "request_id"], rows))
    last = connection.execute(sa.select(sa.func.max(settled.c.seq))).scalar_one() or 0
    connection.execute(sa.insert(meta).values(name="settled_seq", value=str(last)))


def _split_findings() -> None:
    """Write the reasons of a segment, which stood in one text, as rows."""
    connection = steps.connection()
    if "reason" in sa.inspect(connection).get_pk_constraint("quarantine")["constrained_columns"]:
        return
    names = ("spool_id", "segment", "reason", "is_open", "time_ms")
    quarantine = sa.table("quarantine", *(sa.column(name) for name in names))
    rows = connection.execute(sa.select(quarantine)).mappings().all()
    op.drop_table("quarantine")
    steps.create_table(
        "quarantine",
        sa.Column("spool_id", bounded(32), primary_key=True),
        sa.Column("segment", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("reason", bounded(REASON_MAX), primary_key=True),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("time_ms", sa.BigInteger(), nullable=False),
    )
    values: list[dict[str, Any]] = [
        {**row, "reason": reason, "is_open": bool(row["is_open"])}
        for row in rows
        for reason in dict.fromkeys(text[:REASON_MAX] for text in row["reason"].split("\n"))
    ]
    if values:
        connection.execute(sa.insert(quarantine), values)
