"""Any other database, over SQLAlchemy: the dialects that are listed, and no other."""

from collections.abc import Mapping
from dataclasses import dataclass

from tidewell.sources.protocol import Environment, Key, Source
from tidewell.sources.sqlalchemy.dialects import ALLOWED


@dataclass(frozen=True)
class SQLAlchemyDriver:
    """The driver `SQLAlchemy`; the schemas are the database's own."""

    name: str = "SQLAlchemy"
    dialect: str = ""
    several_schemas: bool = True
    keys: tuple[Key, ...] = (
        Key(
            "URL",
            "The database, as oracle+oracledb://host:1521/service: without user, password and "
            f"options. Before :// stands one of: {', '.join(ALLOWED)}.",
            required=True,
        ),
        Key("User", "User that may read the tables."),
        Key("Password", "Password of the user.", secret=True, neutral=True),
        Key(
            "Timeout",
            "Seconds to wait for a connection (at most 30), and for each answer.",
            default="300",
            neutral=True,
        ),
    )

    def open(self, values: Mapping[str, str], environment: Environment) -> Source:
        """A source over a database; nothing is sent yet."""
        from tidewell.sources.sqlalchemy.source import SQLAlchemySource

        return SQLAlchemySource(values, environment)


DRIVER = SQLAlchemyDriver()
