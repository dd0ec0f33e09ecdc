"""SQLite databases: one file, under the folders that the operator allows."""

from collections.abc import Mapping
from dataclasses import dataclass

from tidewell.sources.protocol import Environment, Key, Source


@dataclass(frozen=True)
class SQLiteDriver:
    """The driver `SQLite`; one schema, `main`."""

    name: str = "SQLite"
    dialect: str = "sqlite"
    several_schemas: bool = False
    keys: tuple[Key, ...] = (
        Key("Data Source", "The database's file, as /data/shop.db.", required=True),
    )

    def open(self, values: Mapping[str, str], environment: Environment) -> Source:
        """A source over a file; nothing is opened yet."""
        from tidewell.sources.sqlite.source import SQLiteSource

        return SQLiteSource(values, environment)


DRIVER = SQLiteDriver()
