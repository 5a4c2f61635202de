"""Brings a database to this program's schema. Level 2.

Alembic's operations, without its script directory: the migrations are modules like any other, so nothing is loaded from a path
at run time.
"""

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, Connection, MetaData, String, Table, delete, insert

from switchgear.core.errors import UserError
from switchgear.store.migrations.versions import (
    m0001_first,
    m0002_passthrough,
    m0003_attempts,
    m0004_rollups,
    m0005_key_policy,
    m0006_credential_id,
    m0007_outbox,
    m0008_row_macs,
    m0009_cursor_owner,
    m0010_balances,
    m0011_holders,
)

MIGRATIONS = (
    m0001_first,
    m0002_passthrough,
    m0003_attempts,
    m0004_rollups,
    m0005_key_policy,
    m0006_credential_id,
    m0007_outbox,
    m0008_row_macs,
    m0009_cursor_owner,
    m0010_balances,
    m0011_holders,
)
"""In order. Each knows its `revision` and how to `upgrade`."""
VERSION = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True, nullable=False))


def upgrade(connection: Connection, current: str | None) -> None:
    """Run the missing migrations. Raises UserError for a database of a newer program."""
    known = [module.revision for module in MIGRATIONS]
    if current is not None and current not in known:
        raise UserError(
            f"the database has schema {current}, which is newer than this program",
            "run the newer program again, or restore a backup made before the upgrade",
            2,
        )
    missing = MIGRATIONS[known.index(current) + 1 if current is not None else 0 :]
    if not missing:
        return
    VERSION.create(connection, checkfirst=True)
    with Operations.context(MigrationContext.configure(connection, opts={"render_as_batch": True})):
        for module in missing:
            module.upgrade()
    connection.execute(delete(VERSION))
    connection.execute(insert(VERSION), [{"version_num": known[-1]}])
