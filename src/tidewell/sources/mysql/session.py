"""A connection to a MySQL or MariaDB server, and its errors in plain words."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pyarrow as pa
import pymysql
from psycopg import sql
from pymysql import err

from tidewell.egress import EgressRules
from tidewell.errors import (
    SourceBroken,
    SourceError,
    SourceNotFound,
    SourceRefused,
    SourceUnavailable,
)
from tidewell.sources.mysql.rows import RowConnection
from tidewell.sources.server import ServerAddress
from tidewell.state.statements import statements

_SQL = statements("tidewell.sources.mysql", "catalogue.sql")
_TLS_FAILED = 2026
_CANCEL_SECONDS = 1
_REFUSED = {1044, 1045, 1142, 1143, 1227, 1370, 1698, 1251, 1524}
_MISSING = {1049, 1051, 1054, 1146}
_LATER = {1040, 1053, 1077, 1129, 1203, 1205, 1213, 1226, 1969, 3024, 1317}


def connect(address: ServerAddress, rules: EgressRules, *, ours: bool = True) -> RowConnection:
    """Open a connection. Raises a SourceError that says in plain words why it cannot.

    `ours` sets the session up for our own statements, and not for the customer's.
    """
    pinned = address.pinned(rules)
    with in_words(address):
        if address.tls in ("prefer", "allow"):
            try:
                connection = _connected(address, pinned, encrypted=True)
            except err.OperationalError as error:
                if error.args[0] != _TLS_FAILED:
                    raise
                connection = _connected(address, pinned, encrypted=False)
        else:
            connection = _connected(address, pinned, encrypted=address.tls != "disable")
        if ours:
            try:
                with connection.cursor() as cursor:
                    timeout = sql.Literal(address.timeout)
                    cursor.execute(sql.SQL(_SQL["session"]).format(timeout=timeout).as_string())
            except pymysql.Error:
                connection.close()
                raise
        return connection


def end(connection: RowConnection, address: ServerAddress, rules: EgressRules) -> None:
    """End what a connection does, from another thread: ask its server, then hang up."""
    thread = connection.thread_id()
    with suppress(pymysql.Error, SourceError, OSError):
        killing = connect(_impatient(address), rules, ours=False)
        with killing, killing.cursor() as cursor:
            kill = sql.SQL(_SQL["kill"]).format(id=sql.Literal(thread))
            cursor.execute(kill.as_string())
    with suppress(OSError):
        connection.hang_up()


@contextmanager
def in_words(address: ServerAddress) -> Iterator[None]:
    try:
        yield
    except pa.ArrowException as error:
        raise SourceBroken(f"A value is not what its column's type says: {error}") from error
    except (pymysql.Error, OSError, RuntimeError) as error:
        raise explained(error, address) from error


def explained(error: Exception, address: ServerAddress) -> SourceError:
    """An error of MySQL's as ours, in words that a person can act on."""
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    said = " ".join(str(error.args[1] if len(error.args) > 1 else error).split())[:500]
    if number in (1045, 1698):
        return SourceRefused(f"{address.place} does not accept the user or the password.")
    if number == 1049:
        return SourceRefused(f"{address.place} has no database {address.database}.")
    if number in _REFUSED:
        return SourceRefused(f"The user {address.user} lacks a privilege: {said}")
    if number in _MISSING:
        return SourceNotFound(f"The source reports: {said}")
    beneath = getattr(error, "original_exception", error)
    if number == _TLS_FAILED or isinstance(beneath, ssl.SSLError):
        return SourceRefused(f"TLS with {address.place} fails: {said}")
    if number in (2002, 2003) or isinstance(error, ConnectionRefusedError):
        if "refused" in said:
            return SourceUnavailable(
                f"{address.place} refused the connection: check Server and Port, and that MySQL "
                "listens there."
            )
        return SourceUnavailable(
            f"{address.place} does not answer: check Server, Port and the firewall ({said})."
        )
    if number in _LATER or number in (2006, 2013, 2055) or isinstance(error, OSError):
        return SourceUnavailable(f"{address.place} cannot do it now: {said}")
    if isinstance(error, (err.DataError, err.IntegrityError, err.ProgrammingError)):
        return SourceRefused(f"The source refuses the statement: {said}")
    if isinstance(error, err.OperationalError):
        return SourceRefused(f"The source refuses it ({number}): {said}")
    return SourceBroken(f"The source reports an error ({number}): {said}")


def _connected(address: ServerAddress, pinned: str, *, encrypted: bool) -> RowConnection:
    connection = RowConnection(
        host=address.host,
        port=address.port,
        user=address.user,
        password=address.password,
        database=address.database or None,
        charset="utf8mb4",
        connect_timeout=address.connect_timeout,
        read_timeout=address.connect_timeout,
        write_timeout=address.timeout,
        # Nothing of this machine's own takes part: no option file, no local file for the server.
        read_default_file=None,
        local_infile=False,
        defer_connect=True,
        autocommit=True,
        ssl=_tls(address) if encrypted else None,
        ssl_disabled=not encrypted,
        program_name="tidewell",
    )
    # The name stays the host, so that TLS verifies it; the socket goes to the judged address.
    sock = socket.create_connection((pinned, address.port), address.connect_timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    try:
        connection.connect(sock)
    except BaseException:
        sock.close()
        raise
    connection.wait_for_answers(address.timeout)
    return connection


def _tls(address: ServerAddress) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not address.tls.startswith("verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    context.check_hostname = address.tls == "verify-full"
    if address.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = address.tls == "verify-full"
        context.load_verify_locations(cadata=address.certificate)
    return context


def _impatient(address: ServerAddress) -> ServerAddress:
    return replace(address, timeout=_CANCEL_SECONDS)
