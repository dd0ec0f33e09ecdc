"""Alembic's entry: runs the steps on the connection that `tidewell.state.schema` hands in."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=None,
    version_table="schema_version",
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
