"""Bring the state database to this version's schema."""

import psycopg
import psycopg.errors

from tidewell.errors import TidewellError
from tidewell.state.statements import statements

HEAD = "0009"
_LOCK = 0x7469_6465_7765_6C6C  # "tidewell": one upgrade at a time, however many nodes start
_SQL = statements("tidewell.state", "schema.sql")


def upgrade(url: str) -> None:
    """Run the migrations that this database lacks; a no-op when it is up to date, or newer.

    `url` is a `postgresql://` address. Nodes that start together wait for one another. A newer
    schema still serves this version: migrations only add to what the release before them uses.
    """
    found = version(url)
    if found is None or found < HEAD:
        _migrate(url)


def version(url: str) -> str | None:
    """The newest migration that a database has; None where it has none.

    Asked without Alembic and SQLAlchemy, which take longer to import than a small command lasts.
    Raises TidewellError when the database cannot be used.
    """
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            row = connection.execute(_SQL["version"]).fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    except psycopg.ProgrammingError:
        # What cannot be read is not shown: it may hold the password.
        raise TidewellError(
            "TIDEWELL_DATABASE_URL is no PostgreSQL address: give it as "
            "postgresql://user:password@host:port/database."
        ) from None
    except psycopg.Error as error:
        raise TidewellError(
            f"The state database cannot be used ({str(error).strip()}): "
            "check TIDEWELL_DATABASE_URL."
        ) from error
    return str(row[0]) if row else None


def _migrate(url: str) -> None:
    import sqlalchemy  # noqa: PLC0415 - as `version` says
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    engine = sqlalchemy.create_engine(
        sqlalchemy.make_url(url).set(drivername="postgresql+psycopg"),
        poolclass=sqlalchemy.NullPool,
    )
    config = Config()
    config.set_main_option("script_location", "tidewell.state:migrations")
    try:
        with engine.connect() as connection, engine.connect() as guard:
            guard.execute(sqlalchemy.text(_SQL["lock"]), {"key": _LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()
