"""The cache connection of a sub-account: its connection string, and the one row that keeps it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from tidewell import __version__
from tidewell.cache import CacheAddress, test_address
from tidewell.clock import to_wire
from tidewell.connections import strings
from tidewell.connections.sealing import SealingBox
from tidewell.errors import CacheError, InvalidRequest
from tidewell.given import whole_number
from tidewell.sources.protocol import Key
from tidewell.state.database import Connection
from tidewell.state.statements import statements

NAME = "CacheConnection"
DRIVER = "PostgreSQL"
TEST_SECONDS = 5.0
"""With what else a replacement does, the call answers within 10 s (contract §3)."""

KEYS = (
    Key("Server", "Host name or address of the PostgreSQL server.", required=True),
    Key("Port", "Its port.", default="5432"),
    Key("User", "User that owns, or may create, the cached tables.", required=True),
    Key("Password", "Password of the user.", secret=True),
    Key("Database", "Database that the cached tables stand in.", required=True),
    Key("BrowsableSchemas", "Accepted for compatibility."),
    Key("UseSSL", "True: only over TLS.", choices=("True", "False")),
    Key(
        "SSLMode",
        "How TLS is used, as PostgreSQL's sslmode says.",
        choices=("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    ),
    Key("SSLServerCert", "Certificate (PEM) that the server's one must be signed by."),
    Key("Timeout", "Seconds to wait for a connection.", default="8"),
)
# fmt: off
IGNORED = frozenset({
    "authscheme", "browsablecatalogs", "cachelocation", "connectiontype", "defaultdomain",
    "firewallpassword", "firewallport", "firewallserver", "firewalltype", "firewalluser",
    "location", "logfile", "logmodules", "maxlogfilecount", "maxlogfilesize", "maxrows",
    "maxstringlength", "other", "pagesize", "poolidletimeout", "poolmaxsize", "poolminsize",
    "poolwaittime", "pseudocolumns", "querypassthrough", "readonly", "rtk", "schema",
    "sslclientcert", "sslclientcertpassword", "sslclientcertsubject", "sslclientcerttype",
    "tables", "useconnectionpooling", "useodbc", "verbosity", "views", "visibility",
})
# fmt: on
"""Keys of the reference's driver that change nothing here."""
_SQL = statements("tidewell.connections", "queries.sql")


@dataclass(frozen=True)
class Tested:
    """Whether a connection with these values worked, and if not, why, and which key is to blame."""

    worked: bool
    error: str | None = None
    key: str | None = None


def address(text: str, egress: str = "") -> CacheAddress:
    """The address that a connection string names; `egress` is TIDEWELL_EGRESS_ALLOW.

    Raises:
        InvalidRequest: a key is unknown or missing, or a value cannot be.
    """
    values = strings.parse(text, KEYS, IGNORED)
    ssl_mode = values.get("SSLMode", "").lower()
    if not ssl_mode:
        ssl_mode = "require" if values.get("UseSSL") == "True" else "prefer"
    server = values["Server"]
    if server.startswith("/") or "," in server:
        raise InvalidRequest.of(strings.FIELD, "Server must be one host name or address")
    return CacheAddress(
        host=server,
        port=_number(values, "Port", 65_535),
        user=values["User"],
        password=values.get("Password", ""),
        database=values["Database"],
        sslmode=ssl_mode,
        ssl_root_cert=values.get("SSLServerCert"),
        connect_timeout=min(_number(values, "Timeout", 3600), 30),
        egress=egress,
    )


def shown(text: str) -> str:
    """The normalised connection string without its password, as the Job API answers it."""
    values = strings.masked(strings.parse(text, KEYS, IGNORED), KEYS)
    given = {name.lower() for name in strings.split(text)}
    order = ("Server", "Port", "User", "Password", "Database")
    rest = [key.name for key in KEYS if key.name not in order and key.name.lower() in given]
    return strings.write({name.lower(): values[name] for name in (*order, *rest) if name in values})


async def test(text: str, egress: str) -> Tested:
    """Try the connection, within `TEST_SECONDS`, whether or not the server is up."""
    target = address(text, egress)
    trial = asyncio.create_task(asyncio.to_thread(test_address, target, TEST_SECONDS))
    done, _ = await asyncio.wait([trial], timeout=TEST_SECONDS + 1)
    if not done:
        trial.add_done_callback(lambda task: task.cancelled() or task.exception())
        error = f"The server {target.host} does not answer within {TEST_SECONDS:.0f} s."
        return Tested(False, error, "Server")
    try:
        trial.result()
    except CacheError as error:
        key = error.details[0].field if error.details else None
        return Tested(False, error.message, key)
    return Tested(True)


async def lock(connection: Connection, account_id: UUID) -> dict[str, Any] | None:
    """The account's cache connection, sealed, held against changes; None when it has none yet."""
    cursor = await connection.execute(_SQL["lock_cache"], {"account_id": account_id})
    return await cursor.fetchone()


async def save(
    connection: Connection,
    sealing: SealingBox,
    account_id: UUID,
    text: str,
    tested: Tested,
    now: datetime,
) -> dict[str, Any]:
    """Create the account's cache connection, or replace it; its id and creation time stay.

    Another server, database or user makes every caching job start from a full load.
    """
    old = await lock(connection, account_id)
    row_id = old["id"] if old else uuid4()
    cursor = await connection.execute(
        _SQL["save_cache"],
        {
            "id": row_id,
            "account_id": account_id,
            "sealed": sealing.seal(text, row_id),
            "is_tested": tested.worked,
            "test_error": tested.error,
            "now": now,
        },
    )
    row = await cursor.fetchone()
    if old and is_another(sealing.open(old["sealed"], row_id), text):
        await connection.execute(_SQL["reload_jobs"], {"account_id": account_id})
    return dict(row or {})


async def stored(connection: Connection, account_id: UUID) -> dict[str, Any] | None:
    """The account's cache connection, sealed, and whether it worked; None: there is none yet."""
    cursor = await connection.execute(_SQL["stored_cache"], {"account_id": account_id})
    return await cursor.fetchone()


def to_wire_connection(row: Mapping[str, Any], text: str) -> dict[str, Any]:
    """The answer of POST /api/job/cacheConnection (contract §3)."""
    answer: dict[str, Any] = {
        "connection": {
            "accountId": str(row["account_id"]),
            "connectionString": shown(text),
            "connectionType": 0,
            "created": to_wire(row["created_at"]),
            "driver": DRIVER,
            "driverVersion": __version__,
            "id": str(row["id"]),
            "isTested": row["is_tested"],
            "lastModified": to_wire(row["modified_at"]),
            "name": NAME,
            "walletFilePresent": False,
            "isCannedConnection": False,
        }
    }
    if row["test_error"]:
        answer["connection"]["testError"] = row["test_error"]
    return answer


def is_another(old: str, new: str) -> bool:
    """Whether two connection strings name different caches: another server, database or user."""
    return _identity(old) != _identity(new)


def is_same_database(old: str, new: str) -> bool:
    """Whether two connection strings lead to the same tables, whoever the user is."""
    return _identity(old)[:2] == _identity(new)[:2]


def _identity(text: str) -> tuple[tuple[str, int], str, str]:
    """What makes a cache another one: its server, database and user."""
    target = address(text)
    return (target.host.lower(), target.port), target.database, target.user


def _number(values: Mapping[str, str], name: str, most: int) -> int:
    number = whole_number(values.get(name, ""), 1, most)
    if number is None:
        raise InvalidRequest.of(strings.FIELD, f"{name} must be a number from 1 to {most}")
    return number
