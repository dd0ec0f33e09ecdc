"""SQL Server and Azure SQL databases, over Microsoft's own driver."""

from collections.abc import Mapping
from dataclasses import dataclass

from tidewell.sources.protocol import Environment, Key, Source
from tidewell.sources.server import server_keys


@dataclass(frozen=True)
class SQLServerDriver:
    """The driver `SQL Server`; the schemas are the database's own."""

    name: str = "SQL Server"
    dialect: str = "tsql"
    several_schemas: bool = True
    keys: tuple[Key, ...] = server_keys("SQL Server", 1433)

    def open(self, values: Mapping[str, str], environment: Environment) -> Source:
        """A source over a database; nothing is sent yet."""
        from tidewell.sources.sqlserver.source import SQLServerSource

        return SQLServerSource(values, environment)


DRIVER = SQLServerDriver()
