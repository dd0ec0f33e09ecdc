"""A connection to SQL Server, and its errors in plain words."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mssql_python

from tidewell.egress import EgressRules
from tidewell.errors import (
    SourceBroken,
    SourceError,
    SourceNotFound,
    SourceRefused,
    SourceUnavailable,
)
from tidewell.sources.server import ServerAddress

_LOGIN_TIMEOUT = 103
"""SQL_ATTR_LOGIN_TIMEOUT of ODBC."""
_LATER = (mssql_python.OperationalError, mssql_python.InterfaceError, RuntimeError)
_ENCRYPT = {"disable": "no", "allow": "no", "prefer": "yes"}


def connect(address: ServerAddress, rules: EgressRules) -> Any:
    """Open a connection. Raises a SourceError that says in plain words why it cannot."""
    pinned = address.pinned(rules)
    with address.certificate_file() as certificate, in_words(address):
        return mssql_python.connect(
            connection_string(address, pinned, certificate),
            autocommit=True,
            attrs_before={_LOGIN_TIMEOUT: address.connect_timeout},
            timeout=address.timeout,
        )


def connection_string(address: ServerAddress, pinned: str, certificate: str | None) -> str:
    """The connection string of a judged address; TLS still goes by the server's name.

    Each value stands in braces, in which only a closing one means anything: none of a customer's
    becomes a key.
    """
    host = f"[{pinned}]" if ":" in pinned else pinned
    verified = address.tls.startswith("verify")
    parts = {
        "Server": f"tcp:{host},{address.port}",
        "Database": address.database,
        "UID": address.user,
        "PWD": address.password,
        "Encrypt": _ENCRYPT.get(address.tls, "yes"),
        "TrustServerCertificate": "no" if verified else "yes",
    }
    if verified:
        parts["HostNameInCertificate"] = address.host
    if verified and address.certificate and certificate:
        parts["ServerCertificate"] = certificate
    return "".join(f"{key}={{{value.replace('}', '}}')}}};" for key, value in parts.items())


@contextmanager
def in_words(address: ServerAddress) -> Iterator[None]:
    """SQL Server's errors as ours."""
    try:
        yield
    except (mssql_python.Error, RuntimeError) as error:
        raise explained(error, address) from error


def explained(error: Exception, address: ServerAddress) -> SourceError:
    """An error of SQL Server's as ours, in words that a person can act on."""
    said = " ".join(str(error).split())[:500]
    if address.password:
        said = said.replace(address.password, "***")
    lower = said.lower()
    if "login failed" in lower or "18456" in lower:
        return SourceRefused(f"{address.place} does not accept the user or the password.")
    if "cannot open database" in lower:
        return SourceRefused(f"{address.place} has no database {address.database}.")
    if "permission was denied" in lower:
        return SourceRefused(f"The user {address.user} lacks a privilege: {said}")
    if re.search(r"invalid (object|column) name", lower):
        return SourceNotFound(f"The source reports: {said}")
    if "certificate" in lower or "ssl" in lower:
        return SourceRefused(f"TLS with {address.place} fails: {said}")
    if isinstance(
        error, mssql_python.OperationalError | mssql_python.InterfaceError | RuntimeError
    ):
        return SourceUnavailable(
            f"{address.place} does not answer or cannot do it now: check Server, Port and the "
            f"firewall ({said})."
        )
    if isinstance(error, mssql_python.DataError | mssql_python.ProgrammingError):
        return SourceRefused(f"The source refuses the statement: {said}")
    return SourceBroken(f"The source reports an error: {said}")
