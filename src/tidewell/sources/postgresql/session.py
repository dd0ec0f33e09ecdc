"""A connection to a PostgreSQL server, and its errors in plain words."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from tidewell.egress import EgressRules
from tidewell.errors import (
    SourceBroken,
    SourceError,
    SourceNotFound,
    SourceRefused,
    SourceUnavailable,
)
from tidewell.sources.server import ServerAddress
from tidewell.state.statements import statements

Connection = psycopg.Connection[tuple[Any, ...]]

_SQL = statements("tidewell.sources.postgresql", "catalogue.sql")
_SESSION = {
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
}
_CANCEL_SECONDS = 1.0


def connect(address: ServerAddress, rules: EgressRules) -> Connection:
    """Open a connection. Raises a SourceError that says in plain words why it cannot."""
    pinned = address.pinned(rules)
    try:
        with address.certificate_file() as certificates:
            connection = psycopg.connect(
                host=address.host,
                hostaddr=pinned,
                port=address.port,
                user=address.user,
                password=address.password,
                dbname=address.database,
                sslmode=address.tls,
                sslrootcert=certificates,
                connect_timeout=address.connect_timeout,
                application_name="tidewell",
                client_encoding="UTF8",
                # Nothing of this machine's own user takes part: no password file, no key.
                passfile=os.devnull,
                sslcertmode="disable",
                gssencmode="disable",
                keepalives_idle=30,
                keepalives_interval=10,
                keepalives_count=3,
                tcp_user_timeout=60_000,
                autocommit=True,
            )
    except psycopg.Error as error:
        raise explained(error, address) from error
    try:
        _configure(connection, address)
    except psycopg.Error as error:
        connection.close()
        raise explained(error, address) from error
    return connection


def end(connection: Connection) -> None:
    """End what a connection does, from another thread: ask its server, then hang up."""
    with suppress(psycopg.Error):
        connection.cancel_safe(timeout=_CANCEL_SECONDS)
    with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as it:
        it.shutdown(socket.SHUT_RDWR)


@contextmanager
def in_words(address: ServerAddress) -> Iterator[None]:
    """PostgreSQL's errors as ours."""
    try:
        yield
    except psycopg.Error as error:
        raise explained(error, address) from error


def explained(error: psycopg.Error, address: ServerAddress) -> SourceError:
    """A PostgreSQL error as ours, in words that a person can act on."""
    state = error.sqlstate
    said = " ".join((error.diag.message_primary or str(error)).split())[:500]
    if state is None:
        return _connection_error(said, address)
    if state.startswith("28"):
        return SourceRefused(f"{address.place} does not accept the user or the password: {said}")
    if state == "3D000":
        return SourceRefused(f"{address.place} has no such database: {said}")
    if state in {"42501", "25006"}:
        return SourceRefused(f"The user {address.user} lacks a privilege: {said}")
    if state == "55P03":
        return SourceUnavailable(
            f"The table stayed locked by someone else for {address.timeout} s: end the transaction "
            "that holds it, or wait for the next run."
        )
    if state == "57014":
        return SourceUnavailable(f"{address.place} cancelled the statement: {said}")
    if state in {"42P01", "3F000", "42703"}:
        return SourceNotFound(f"The source reports: {said}")
    if state[:2] in {"08", "40", "53", "55", "57", "58"}:
        return SourceUnavailable(f"{address.place} cannot do it now: {said}")
    if state[:2] in {"22", "23", "42"}:
        return SourceRefused(f"The source refuses the statement: {said}")
    return SourceBroken(f"The source reports an error ({state}): {said}")


def _connection_error(said: str, address: ServerAddress) -> SourceError:
    known: list[tuple[tuple[str, ...], SourceError]] = [
        (
            ("password authentication failed", "no password supplied", "no pg_hba.conf entry"),
            SourceRefused(f"{address.place} does not accept the user or the password."),
        ),
        (("role ",), SourceRefused(f"{address.place} does not know the user {address.user}.")),
        (('database "',), SourceRefused(f"{address.place} has no database {address.database}.")),
        (
            ("Connection refused",),
            SourceUnavailable(
                f"{address.place} refused the connection: check Server and Port, and that "
                "PostgreSQL listens there."
            ),
        ),
        (
            ("timeout expired", "timed out"),
            SourceUnavailable(
                f"{address.place} does not answer: check Server, Port and the firewall."
            ),
        ),
        (
            ("does not support SSL", "certificate", "SSL"),
            SourceRefused(f"TLS with {address.place} fails: {said}"),
        ),
    ]
    for marks, explanation in known:
        if any(mark in said for mark in marks):
            return explanation
    return SourceUnavailable(f"The connection to {address.place} was lost or refused: {said}")


def _configure(connection: Connection, address: ServerAddress) -> None:
    settings = _SESSION | {"lock_timeout": f"{address.timeout}s"}
    # From PostgreSQL 14 on a server notices in the middle of a statement that we are gone.
    if connection.info.server_version >= 140_000:
        settings["client_connection_check_interval"] = "5s"
    for name, value in settings.items():
        connection.execute(_SQL["set"], {"name": name, "value": value})
