"""Snowflake, over its SQL API."""

from collections.abc import Mapping
from dataclasses import dataclass

from tidewell.sources.protocol import Environment, Key, Source


@dataclass(frozen=True)
class SnowflakeDriver:
    """The driver `Snowflake`; the schemas are those of one database."""

    name: str = "Snowflake"
    dialect: str = ""
    several_schemas: bool = True
    keys: tuple[Key, ...] = (
        Key("URL", "The account's address: https://ACCOUNT.snowflakecomputing.com", required=True),
        Key(
            "Database",
            'Database to read; without quotes its name is in upper case, as in SQL: "shop".',
            required=True,
        ),
        Key("Schema", "The one schema to read; empty: all of the database."),
        Key(
            "Warehouse",
            "Warehouse that runs the queries; empty: the user's own.",
            neutral=True,
        ),
        Key("Role", "Role to read as; empty: the user's own."),
        Key(
            "AuthScheme",
            "How to sign in: by a key pair, a programmatic access token, or an OAuth access token.",
            default="PrivateKey",
            choices=("PrivateKey", "PAT", "OAuth"),
        ),
        Key("User", "User whose key it is.", only_with=("AuthScheme=PrivateKey",)),
        Key(
            "Account",
            "The account's identifier, where it is not what the address begins with.",
            only_with=("AuthScheme=PrivateKey",),
        ),
        Key(
            "PrivateKey",
            "The private key (PEM).",
            neutral=True,
            secret=True,
            only_with=("AuthScheme=PrivateKey",),
        ),
        Key(
            "PrivateKeyPassword",
            "What the private key is encrypted with, if it is.",
            neutral=True,
            secret=True,
            only_with=("AuthScheme=PrivateKey",),
        ),
        Key(
            "AccessToken", "Programmatic access token.", secret=True, only_with=("AuthScheme=PAT",)
        ),
        Key(
            "OAuthAccessToken", "OAuth access token.", secret=True, only_with=("AuthScheme=OAuth",)
        ),
        Key("Timeout", "Seconds that a statement may take.", default="300", neutral=True),
    )

    def open(self, values: Mapping[str, str], environment: Environment) -> Source:
        """A source over a database; nothing is sent yet."""
        from tidewell.sources.snowflake.source import SnowflakeSource

        return SnowflakeSource(values, environment)


DRIVER = SnowflakeDriver()
