"""Brings a database to this program's schema. Level 2."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection

from switchgear.core.errors import UserError


def config(connection: Connection) -> Config:
    """Return Alembic's configuration for a connection."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def upgrade(connection: Connection, current: str | None) -> None:
    """Run the missing migrations. Raises UserError for a database of a newer program."""
    settings = config(connection)
    if current is not None:
        try:
            known = ScriptDirectory.from_config(settings).get_revision(current)
        except CommandError:
            known = None
        if known is None:
            raise UserError(
                f"the database has schema {current}, which is newer than this program",
                "run the newer program again, or restore a backup made before the upgrade",
                2,
            )
    command.upgrade(settings, "head")
