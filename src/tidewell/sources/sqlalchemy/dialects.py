"""The dialects that a connection may name, and how each is told where to go.

A dialect of SQLAlchemy is code that reads a URL: some open files of this machine, some load
libraries that the URL names, most take options that lead elsewhere. So those that may be used are
listed here; each gets the address that the egress rules have judged, a user and a password, and
nothing else of what the customer wrote.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from tidewell.egress import EgressRefused, EgressRules, HostNotFound
from tidewell.errors import SourceRefused, SourceUnavailable

_DATABASE = re.compile(r"[\w.$#-]{0,128}")


@dataclass(frozen=True)
class Server:
    """What a connection says of its server; `timeout` in seconds."""

    host: str
    port: int
    timeout: int

    @property
    def connect_timeout(self) -> int:
        """Seconds to wait for a connection."""
        return min(self.timeout, 30)


@dataclass(frozen=True)
class Allowed:
    """A dialect with its driver: the module it needs, what installs that, the usual port.

    `arguments` are what its driver takes beside the judged address; `session` what each connection
    is told first; `isolation` makes all readings come from one moment. One that `is_led` goes by
    sockets of its own library wherever its server sends it, which nobody here can judge.
    """

    module: str
    package: str
    port: int
    arguments: Callable[[Server], Mapping[str, Any]]
    session: tuple[str, ...] = ()
    isolation: str | None = None
    is_led: bool = False


@dataclass(frozen=True)
class Place:
    """A checked URL."""

    name: str
    allowed: Allowed
    server: Server
    database: str

    def judged(self, rules: EgressRules) -> str:
        """The one address to connect to. Raises SourceRefused, SourceUnavailable."""
        host, port = self.server.host, self.server.port
        if self.allowed.is_led and not rules.lists(host, port):
            raise SourceRefused(
                f"URL: the driver {self.name} goes wherever its server sends it, so that the "
                f"operator of this service has to allow {host} with TIDEWELL_EGRESS_ALLOW."
            )
        try:
            return rules.resolve(host, port)
        except EgressRefused as error:
            raise SourceRefused(error.message) from None
        except HostNotFound as error:
            raise SourceUnavailable(f"{error.message} Check URL.") from None


def _psycopg(server: Server) -> Mapping[str, Any]:
    return {
        "connect_timeout": server.connect_timeout,
        "passfile": os.devnull,
        "sslcertmode": "disable",
        "gssencmode": "disable",
        "application_name": "tidewell",
        "tcp_user_timeout": server.timeout * 1000,
    }


def _pymysql(server: Server) -> Mapping[str, Any]:
    return {
        "connect_timeout": server.connect_timeout,
        "read_timeout": server.timeout,
        "write_timeout": server.timeout,
        "read_default_file": None,
        "local_infile": False,
    }


def _oracledb(server: Server) -> Mapping[str, Any]:
    # Thin mode has no configuration files of its own.
    return {"tcp_connect_timeout": float(server.connect_timeout)}


def _nothing(_: Server) -> Mapping[str, Any]:
    return {}


_MYSQL = Allowed(
    "pymysql",
    "pymysql",
    3306,
    _pymysql,
    session=("SET time_zone = '+00:00'",),
    isolation="REPEATABLE READ",
)
ALLOWED: Mapping[str, Allowed] = {
    "postgresql+psycopg": Allowed(
        "psycopg",
        "psycopg[binary]",
        5432,
        _psycopg,
        session=("SET timezone = 'UTC'",),
        isolation="REPEATABLE READ",
    ),
    "mysql+pymysql": _MYSQL,
    "mariadb+pymysql": _MYSQL,
    "oracle+oracledb": Allowed("oracledb", "oracledb", 1521, _oracledb),
    "hana+hdbcli": Allowed("hdbcli", "sqlalchemy-hana", 30015, _nothing, is_led=True),
    "vertica+vertica_python": Allowed(
        "vertica_python", "sqlalchemy-vertica-python", 5433, _nothing
    ),
}


def place_of(url: str, timeout: int) -> Place:
    """What a URL names. Raises SourceRefused for what is not allowed in one."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise SourceRefused("URL must be dialect+driver://host:port/database.") from None
    allowed = ALLOWED.get(parts.scheme)
    if allowed is None:
        raise SourceRefused(
            f"URL: {parts.scheme[:40]!r} is not read here; these are: {', '.join(ALLOWED)}."
        )
    if parts.username is not None or parts.password is not None:
        raise SourceRefused("URL must not hold credentials: use User and Password.")
    if parts.query or parts.fragment:
        raise SourceRefused("URL takes no options after '?'.")
    database = parts.path.removeprefix("/")
    if not host or not _DATABASE.fullmatch(database):
        raise SourceRefused("URL must be dialect+driver://host:port/database.")
    if find_spec(allowed.module) is None:
        raise SourceRefused(
            f"{parts.scheme} needs the Python package {allowed.package}, which is not installed: "
            f"pip install '{allowed.package}'"
        )
    return Place(parts.scheme, allowed, Server(host, port or allowed.port, timeout), database)
