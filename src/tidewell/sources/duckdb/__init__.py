"""DuckDB databases: one file, under the folders that the operator allows."""

from collections.abc import Mapping
from dataclasses import dataclass

from tidewell.sources.duckdb.source import DuckDBSource
from tidewell.sources.protocol import Environment, Key


@dataclass(frozen=True)
class DuckDBDriver:
    """The driver `DuckDB`; the schemas are the file's own, `main` the usual one."""

    name: str = "DuckDB"
    dialect: str = ""
    several_schemas: bool = True
    keys: tuple[Key, ...] = (
        Key("Data Source", "The database's file, as /data/shop.duckdb.", required=True),
    )

    def open(self, values: Mapping[str, str], environment: Environment) -> DuckDBSource:
        """A source over a file; nothing is opened yet."""
        return DuckDBSource(values, environment)


DRIVER = DuckDBDriver()
