"""Bring the state database to this version's schema."""

import sqlalchemy
from alembic import command
from alembic.config import Config

_LOCK = 0x7469_6465_7765_6C6C  # "tidewell": one upgrade at a time, however many nodes start


def upgrade(url: str) -> None:
    """Run the migrations that this database lacks; a no-op when it is up to date.

    `url` is a `postgresql://` address. Nodes that start together wait for one another.
    """
    engine = sqlalchemy.create_engine(
        sqlalchemy.make_url(url).set(drivername="postgresql+psycopg"),
        poolclass=sqlalchemy.NullPool,
    )
    config = Config()
    config.set_main_option("script_location", "tidewell.state:migrations")
    try:
        with engine.connect() as connection, engine.connect() as guard:
            guard.execute(sqlalchemy.text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()
