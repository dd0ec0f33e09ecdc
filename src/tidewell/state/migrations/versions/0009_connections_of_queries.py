"""The connections of a scheduled query."""

from importlib.resources import files

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Note them with the job."""
    run = op.get_bind().exec_driver_sql
    name = "sql/0009_connections_of_queries.sql"
    run(files("tidewell.state.migrations").joinpath(name).read_text("utf-8"))
