"""The schema of the state database, step by step (Alembic); each step is a `.sql` file."""
