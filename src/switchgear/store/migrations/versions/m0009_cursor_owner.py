"""A cursor says whose it is."""

import sqlalchemy as sa

from switchgear.store.migrations import steps
from switchgear.store.types import bounded

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column. Of cursors that are there nobody knows whose they are: null."""
    steps.add_column("cursors", sa.Column("owner", bounded(128)))
