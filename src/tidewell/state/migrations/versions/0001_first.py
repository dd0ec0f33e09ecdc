"""The first schema: accounts, connections, jobs, runs, and Procrastinate's own tables."""

from importlib.resources import files

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create everything."""
    run = op.get_bind().exec_driver_sql
    run(SchemaManager.get_schema().replace("%", "%%"))
    run(files("tidewell.state.migrations").joinpath("sql/0001_first.sql").read_text("utf-8"))
