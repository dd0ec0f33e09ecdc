"""When a job's next time was set."""

from importlib.resources import files

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Note it with the job."""
    run = op.get_bind().exec_driver_sql
    run(files("tidewell.state.migrations").joinpath("sql/0008_scheduled.sql").read_text("utf-8"))
