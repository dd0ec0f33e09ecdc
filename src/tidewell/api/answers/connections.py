"""Connections, and links to their forms (contract §3, §7, §9), as the API answers them."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from tidewell import __version__
from tidewell.api.answers.base import ACCOUNT, CONNECTION, Answer, Id, Time

Status = Literal["Authenticated", "NotAuthenticated", "Conditional"]

_MADE = "2026-03-02T08:00:00.000Z"
_ODATA = "URL=https://services.odata.org/V4/Northwind/Northwind.svc/"


class CacheConnectionRecord(Answer):
    """The sub-account's cache connection."""

    account_id: Id
    connection_string: str
    """Normalised; the password is masked."""
    connection_type: int
    created: Time
    driver: Literal["PostgreSQL"]
    driver_version: str
    id: Id
    is_tested: bool
    """Whether a connection with these values worked."""
    last_modified: Time
    name: Literal["CacheConnection"]
    wallet_file_present: bool
    is_canned_connection: bool
    test_error: str | None = None
    """Why it did not work; absent where it did."""


class CacheConnection(Answer):
    """The cache connection, created or replaced."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "connection": {
                        "accountId": ACCOUNT,
                        "connectionString": "server=db.example.com;port=5432;user=cache;"
                        "password=********;database=support",
                        "connectionType": 0,
                        "created": _MADE,
                        "driver": "PostgreSQL",
                        "driverVersion": __version__,
                        "id": "1c9b0ae6-3a6f-417a-8460-4ce5b5528540",
                        "isTested": True,
                        "lastModified": _MADE,
                        "name": "CacheConnection",
                        "walletFilePresent": False,
                        "isCannedConnection": False,
                    }
                }
            ]
        }
    )

    connection: CacheConnectionRecord


class ConnectionRecord(Answer):
    """A connection to a source."""

    id: Id
    account_id: Id
    name: str
    driver: str
    driver_version: str
    connection_string: str
    """Every secret in it is masked."""
    connection_type: int
    external_id: str | None
    """The vendor's own id of it."""
    created: Time
    last_modified: Time
    is_tested: bool
    """Whether its latest test worked."""
    status: Status


class Connection(Answer):
    """One connection to a source."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "connection": {
                        "id": CONNECTION,
                        "accountId": ACCOUNT,
                        "name": "OData1",
                        "driver": "OData",
                        "driverVersion": __version__,
                        "connectionString": _ODATA,
                        "connectionType": 0,
                        "externalId": "northwind-7",
                        "created": _MADE,
                        "lastModified": _MADE,
                        "isTested": True,
                        "status": "Authenticated",
                    }
                }
            ]
        }
    )

    connection: ConnectionRecord


class Tested(Answer):
    """Whether the source answered, and if not, why."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"isTested": True},
                {"isTested": False, "testError": "The source does not answer within 10 s."},
            ]
        }
    )

    is_tested: bool
    test_error: str | None = None
    """Why it did not; absent where it did."""


class ConnectionEntry(Answer):
    """A connection in the list."""

    id: Id
    name: str
    data_source: str
    """Its driver."""
    last_modified: Time
    external_id: str | None
    mcp_url: str
    status: Status


class Connections(Answer):
    """Connections, oldest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "connections": [
                        {
                            "id": CONNECTION,
                            "name": "OData1",
                            "dataSource": "OData",
                            "lastModified": _MADE,
                            "externalId": "northwind-7",
                            "mcpUrl": "",
                            "status": "Authenticated",
                        }
                    ]
                }
            ]
        }
    )

    connections: list[ConnectionEntry]


class DataSource(Answer):
    """A driver."""

    data_source: str


class DataSources(Answer):
    """The drivers that are installed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"dataSources": [{"dataSource": "Files"}, {"dataSource": "OData"}]}]
        }
    )

    data_sources: list[DataSource]


class FormLink(Answer):
    """A link to a hosted form, good for 180 seconds."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "redirectURL": "https://jobs.example.com/oem/user/cacheConnection?token=eyJhb…"
                    "&driver=PostgreSQL&redirectUrl=https%3A%2F%2Fapp.example.com%2F"
                    "&connectionName=OEMCacheConnection"
                }
            ]
        }
    )

    redirect_url: str = Field(alias="redirectURL")


class KeySet(Answer):
    """Public keys (RFC 7517)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "keys": [
                        {
                            "kty": "RSA",
                            "use": "sig",
                            "alg": "RS256",
                            "kid": "SIu9Bv5cYMG04Lao8axwOA66Y9QYAWGPwNXy09CXecs",
                            "n": "sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1Wl…",
                            "e": "AQAB",
                        }
                    ]
                }
            ]
        }
    )

    keys: list[dict[str, Any]]
