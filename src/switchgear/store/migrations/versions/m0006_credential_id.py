"""What was called a deployment is a credential's id: the deployment is made of provider, model and credential."""

from switchgear.store.migrations import steps

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Rename the column of the sums; nothing is written again."""
    for table in ("usage", "rollups"):
        steps.rename_column(table, "deployment", "credential_id")
