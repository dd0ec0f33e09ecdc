"""Whether an earlier attempt of a run may have committed."""

from importlib.resources import files

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Note it with the run."""
    run = op.get_bind().exec_driver_sql
    run(files("tidewell.state.migrations").joinpath("sql/0007_unsettled.sql").read_text("utf-8"))
