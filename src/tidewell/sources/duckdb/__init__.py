"""DuckDB databases: one file, under the folders that the operator allows."""

from collections.abc import Mapping
from dataclasses import dataclass

from tidewell.sources.protocol import Environment, Key, Source


@dataclass(frozen=True)
class DuckDBDriver:
    """The driver `DuckDB`; the schemas are the file's own, `main` the usual one."""

    name: str = "DuckDB"
    dialect: str = ""
    several_schemas: bool = True
    keys: tuple[Key, ...] = (
        Key("Data Source", "The database's file, as /data/shop.duckdb.", required=True),
    )

    def open(self, values: Mapping[str, str], environment: Environment) -> Source:
        """A source over a file; nothing is opened yet."""
        from tidewell.sources.duckdb.source import DuckDBSource

        return DuckDBSource(values, environment)


DRIVER = DuckDBDriver()
