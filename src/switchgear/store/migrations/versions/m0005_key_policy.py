"""What a key may do stands in one column, as JSON (core/key_policy): a new field of it needs no migration."""

from typing import Any

import msgspec
import sqlalchemy as sa

from switchgear.store.migrations import steps

revision = "0005"
down_revision = "0004"

_LABELS = {"team": "team", "user_name": "user", "project": "project"}
_LISTS = ("models", "cidrs", "tags", "passthrough")
_OLD = (*_LABELS, *_LISTS, "expires_ms")
_ROWS = 1_000


def upgrade() -> None:
    """Add the column, fill it from those that it replaces, and drop these."""
    steps.add_column("keys", sa.Column("policy", sa.LargeBinary(), nullable=False, server_default="{}"))
    there = [name for name in _OLD if name in steps.columns("keys")]
    keys = sa.table("keys", *(sa.column(name) for name in ("id", "policy", *there)))
    connection = steps.connection()
    rows = connection.execute(sa.select(keys.c.id, *(keys.c[name] for name in there))).mappings().all()
    for at in range(0, len(rows), _ROWS):
        values = [{"row": row["id"], "new": _policy(row)} for row in rows[at : at + _ROWS]]
        query = sa.update(keys).where(keys.c.id == sa.bindparam("row")).values(policy=sa.bindparam("new"))
        connection.execute(query, values)
    for name in there:
        steps.drop_column("keys", name)


def _policy(row: Any) -> bytes:
    """Return a row's policy. One that cannot be read stays so: nobody can use that key."""
    policy: dict[str, Any] = {}
    for column, value in row.items():
        if column == "id" or value is None:
            continue
        try:
            policy[_LABELS.get(column, column)] = (
                msgspec.json.decode(value, type=list[str]) if column in _LISTS else value
            )
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError):
            return b""
    return msgspec.json.encode(policy)
