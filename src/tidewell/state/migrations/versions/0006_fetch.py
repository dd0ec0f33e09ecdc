"""The plan by which a worker's next run is found."""

from importlib.resources import files

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Hold the planner to it."""
    run = op.get_bind().exec_driver_sql
    run(files("tidewell.state.migrations").joinpath("sql/0006_fetch.sql").read_text("utf-8"))
