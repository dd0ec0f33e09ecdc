"""PostgreSQL databases, over binary COPY."""

from collections.abc import Mapping
from dataclasses import dataclass

from tidewell.sources.protocol import Environment, Key, Source
from tidewell.sources.server import server_keys


@dataclass(frozen=True)
class PostgreSQLDriver:
    """The driver `PostgreSQL`; the schemas are the database's own."""

    name: str = "PostgreSQL"
    dialect: str = "postgres"
    several_schemas: bool = True
    keys: tuple[Key, ...] = server_keys("PostgreSQL", 5432)

    def open(self, values: Mapping[str, str], environment: Environment) -> Source:
        """A source over a database; nothing is sent yet."""
        from tidewell.sources.postgresql.source import PostgreSQLSource

        return PostgreSQLSource(values, environment)


DRIVER = PostgreSQLDriver()
