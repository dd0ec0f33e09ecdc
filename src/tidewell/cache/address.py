"""The address of a customer's PostgreSQL, how to connect to it, and its errors in plain words."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg

from tidewell.egress import EgressRefused, EgressRules, HostNotFound
from tidewell.errors import (
    CacheConflict,
    CacheError,
    CacheRefused,
    CacheUnavailable,
    Detail,
    ValueDoesNotFit,
)
from tidewell.state.statements import statements

Connection = psycopg.Connection[tuple[Any, ...]]

_SQL = statements("tidewell.cache", "session.sql")

# What each attempt to talk to a cache agrees on; a customer's server default must not change how
# values are read or compared.
_SESSION = {
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "search_path": "pg_catalog",
    "lock_timeout": "60s",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    # Sorted staging tables and hash joins of a load are few and large.
    "work_mem": "64MB",
    "temp_buffers": "32MB",
}


@dataclass(frozen=True)
class CacheAddress:
    """Where a cache is and who we are there; `connect_timeout` in seconds.

    `ssl_root_cert` is the certificate itself (PEM), never a path: a path would name a file of
    this machine. `egress` is the operator's list of private addresses that may be reached.
    """

    host: str
    port: int
    user: str
    database: str
    password: str = field(default="", repr=False)
    sslmode: str = "prefer"
    ssl_root_cert: str | None = None
    connect_timeout: int = 10
    egress: str = ""


def connect(address: CacheAddress, application_name: str = "tidewell") -> Connection:
    """Open a connection. Raises a CacheError that says in plain words why it cannot."""
    try:
        pinned = EgressRules.parse(address.egress).resolve(address.host, address.port)
    except EgressRefused as error:
        raise CacheRefused(error.message, details=[Detail("Server", error.message)]) from None
    except HostNotFound as error:
        message = f"{error.message} Check Server."
        raise CacheUnavailable(message, details=[Detail("Server", message)]) from None
    try:
        with _certificate(address) as sslrootcert:
            connection = psycopg.connect(
                host=address.host,
                hostaddr=pinned,
                port=address.port,
                user=address.user,
                password=address.password,
                dbname=address.database,
                sslmode=address.sslmode,
                connect_timeout=address.connect_timeout,
                application_name=application_name,
                # Not the database's own: a database may hold Latin 1, what we send is UTF-8.
                client_encoding="utf8",
                # Nothing of this machine's own user takes part: no password file, no key.
                passfile=os.devnull,
                sslcertmode="disable",
                gssencmode="disable",
                keepalives_idle=30,
                keepalives_interval=10,
                keepalives_count=3,
                tcp_user_timeout=60_000,
                sslrootcert=sslrootcert,
            )
    except psycopg.Error as error:
        raise explained(error, address) from error
    try:
        _configure(connection)
    except psycopg.Error as error:
        connection.close()
        raise explained(error, address) from error
    return connection


def test_address(address: CacheAddress, timeout_seconds: float) -> None:
    """Prove that the address works and that tables can be made there. Raises CacheError."""
    seconds = max(2, int(min(address.connect_timeout, timeout_seconds)))
    with connect(replace(address, connect_timeout=seconds), "tidewell test") as connection:
        row = connection.execute(_SQL["abilities"]).fetchone()
    may_create, is_standby, version = row or (False, False, 0)
    if is_standby:
        raise CacheRefused("This server is a read-only standby: name the primary server.")
    if version < 130_000:
        raise CacheRefused("This PostgreSQL is older than 13: use a newer one.")
    if not may_create:
        raise CacheRefused(
            f"The user {address.user} may not make schemas in the database {address.database}: "
            f'GRANT CREATE ON DATABASE "{address.database}" TO "{address.user}". Or give it the '
            f'schemas it needs, CREATE SCHEMA tidewell AUTHORIZATION "{address.user}" and another '
            "for its tables, which jobs then name as cacheSchema."
        )


def explained(error: psycopg.Error, address: CacheAddress | None = None) -> CacheError:
    """A PostgreSQL error as ours, in words that a person can act on."""
    state = error.sqlstate
    said = _said(error)
    if state is None:
        return _connection_error(said, address)
    kind = state[:2]
    if state == "28P01" or kind == "28":
        return CacheRefused(f"The cache does not accept the user or the password: {said}")
    if state == "3D000":
        return CacheRefused(f"The cache has no such database: {said}")
    if state in {"42501", "25006"}:
        return CacheRefused(f"The cache's user lacks a privilege: {said}")
    if state == "57014":
        return CacheUnavailable("The cache's server cancelled the statement.")
    if state == "55P03":
        return CacheUnavailable(
            "The cached table stayed locked by someone else for 60 s: end the transaction that "
            "holds it, or wait for the next run."
        )
    if kind in {"08", "40", "53", "57", "58"} or state == "25P03":
        return CacheUnavailable(f"The cache cannot do it now: {said}")
    if kind in {"22", "23"} or state in {"54000", "0A000"}:
        return ValueDoesNotFit(f"The cache refuses a value: {said}{_where(error)}")
    if state in {"42P07", "2BP01"}:
        detail = " ".join((error.diag.message_detail or "").split())[:300]
        return CacheConflict(f"Something in the cache stands in the way: {said} {detail}".rstrip())
    return CacheError(f"The cache reports an error ({state}): {said}{_where(error)}")


def _connection_error(said: str, address: CacheAddress | None) -> CacheError:
    """Why there is no connection, in plain words, with the key of the address that is to blame."""
    where = f"{address.host}:{address.port}" if address else "the cache"
    user, database = (address.user, address.database) if address else ("", "")
    known: list[tuple[tuple[str, ...], type[CacheError], str, str]] = [
        (
            ("password authentication failed", "no password supplied"),
            CacheRefused,
            "Password",
            f"{where} does not accept the user or the password.",
        ),
        (
            ("no pg_hba.conf entry",),
            CacheRefused,
            "Server",
            f"{where} does not let {user} in from here: allow this service's address in the "
            "server's pg_hba.conf, or require TLS if the server does.",
        ),
        (("role ",), CacheRefused, "User", f"{where} does not know the user {user}."),
        (('database "',), CacheRefused, "Database", f"{where} has no database {database}."),
        (
            ("Connection refused",),
            CacheUnavailable,
            "Server",
            f"{where} refused the connection: check Server and Port, and that PostgreSQL "
            "listens there.",
        ),
        (
            ("timeout expired", "timed out"),
            CacheUnavailable,
            "Server",
            f"{where} does not answer: check Server, Port and the firewall.",
        ),
        (
            ("does not support SSL",),
            CacheUnavailable,
            "SSLMode",
            f"{where} does not offer TLS: turn it on in that server, or do not require it here.",
        ),
        (
            ("certificate verify failed", "self-signed certificate"),
            CacheUnavailable,
            "SSLServerCert",
            f"The certificate of {where} is not signed by an authority that is trusted here: give "
            "its certificate.",
        ),
        (
            ("does not match host name",),
            CacheUnavailable,
            "Server",
            f"The certificate of {where} is for another host: name the host as the certificate "
            "does.",
        ),
        (
            ("certificate", "SSL"),
            CacheUnavailable,
            "SSLMode",
            f"TLS with {where} fails: {said}",
        ),
    ]
    for marks, kind, key, message in known:
        if any(mark in said for mark in marks):
            return kind(message, details=[Detail(key, message)])
    return CacheUnavailable(f"The connection to {where} was lost or refused: {said}")


def _said(error: psycopg.Error) -> str:
    text = error.diag.message_primary or str(error)
    return " ".join(text.split())[:500]


def _where(error: psycopg.Error) -> str:
    """The column, where the server names one: `COPY t, line 3, column price`."""
    context = error.diag.context or ""
    parts = [part for part in context.splitlines()[:1] if "column" in part]
    return f" ({parts[0][:200]})" if parts else ""


def _configure(connection: Connection) -> None:
    settings = dict(_SESSION)
    # From PostgreSQL 14 on a server notices in the middle of a statement that we are gone.
    if connection.info.server_version >= 140_000:
        settings["client_connection_check_interval"] = "5s"
        # A session rests while its source thinks.
        settings["idle_session_timeout"] = "0"
    values = {"names": list(settings), "values": list(settings.values())}
    connection.autocommit = True  # one round trip instead of three
    connection.execute(_SQL["set"], values)
    connection.autocommit = False


@contextmanager
def _certificate(address: CacheAddress) -> Iterator[str | None]:
    """What the server's certificate is checked against: a file of the given one, for as long as
    connecting takes, or the authorities that this system trusts."""
    pem = address.ssl_root_cert
    if not pem:
        if address.sslmode == "verify-ca":
            message = "verify-ca needs the certificate that the server's one is signed by."
            raise CacheRefused(message, details=[Detail("SSLServerCert", message)])
        yield "system" if address.sslmode == "verify-full" else None
        return
    if "-----BEGIN CERTIFICATE-----" not in pem:
        message = "SSLServerCert must be the certificate itself, in PEM."
        raise CacheRefused(message, details=[Detail("SSLServerCert", message)])
    descriptor, name = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(pem)
        yield name
    finally:
        with suppress(OSError):
            Path(name).unlink()
