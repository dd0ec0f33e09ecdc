"""The life of a run: retries, signs of life, turns, and a record of every change."""

from importlib.resources import files

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create it."""
    run = op.get_bind().exec_driver_sql
    run(files("tidewell.state.migrations").joinpath("sql/0003_run_life.sql").read_text("utf-8"))
