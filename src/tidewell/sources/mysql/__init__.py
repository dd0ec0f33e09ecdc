"""MySQL and MariaDB databases, over the protocol's own rows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tidewell.sources.protocol import Environment, Key, Source
from tidewell.sources.server import server_keys


def _optional(key: Key) -> Key:
    return replace(key, required=False) if key.name == "Database" else key


@dataclass(frozen=True)
class MySQLDriver:
    """The driver `MySQL`, for MariaDB too; the schemas are the server's databases."""

    name: str = "MySQL"
    dialect: str = "mysql"
    several_schemas: bool = True
    keys: tuple[Key, ...] = (
        *(_optional(key) for key in server_keys("MySQL or MariaDB", 3306)),
        Key(
            "ZeroDatesToNull",
            "Whether a day that does not exist (0000-00-00) comes as NULL; else it is an error.",
            default="True",
            choices=("True", "False"),
        ),
    )

    def open(self, values: Mapping[str, str], environment: Environment) -> Source:
        """A source over a server; nothing is sent yet."""
        from tidewell.sources.mysql.source import MySQLSource

        return MySQLSource(values, environment)


DRIVER = MySQLDriver()
