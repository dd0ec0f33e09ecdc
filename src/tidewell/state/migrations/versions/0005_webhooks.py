"""Webhooks and their deliveries."""

from importlib.resources import files

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create them."""
    run = op.get_bind().exec_driver_sql
    run(files("tidewell.state.migrations").joinpath("sql/0005_webhooks.sql").read_text("utf-8"))
