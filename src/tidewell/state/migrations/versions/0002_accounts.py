"""Return hosts and frames of vendors, our own signing keys, the audit."""

from importlib.resources import files

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create them."""
    run = op.get_bind().exec_driver_sql
    run(files("tidewell.state.migrations").joinpath("sql/0002_accounts.sql").read_text("utf-8"))
