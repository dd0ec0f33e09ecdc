"""The address of a database server: the keys that name it, and the rules it is reached by."""

import os
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import certifi

from tidewell.egress import EgressRefused, EgressRules, HostNotFound
from tidewell.errors import SourceRefused, SourceUnavailable
from tidewell.given import whole_number
from tidewell.sources.protocol import Key

TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_LONGEST_CONNECT = 30
_PEM = "-----BEGIN CERTIFICATE-----"


def server_keys(product: str, port: int) -> tuple[Key, ...]:
    """The keys of a server of a product, which listens on a port unless another is given."""
    return (
        Key("Server", f"Host name or address of the {product} server.", required=True),
        Key("Port", "Its port.", default=str(port)),
        Key("User", "User that may read the tables.", required=True),
        Key("Password", "Password of the user.", secret=True, neutral=True),
        Key("Database", "Database to read from.", required=True),
        Key("UseSSL", "True: only over TLS.", choices=("True", "False"), neutral=True),
        Key(
            "SSLMode",
            "How TLS is used; verify-full: the server's certificate has to be valid for its name.",
            choices=TLS_MODES,
            neutral=True,
        ),
        Key(
            "SSLServerCert",
            "Certificate (PEM) that the server's one must be signed by, or be.",
            neutral=True,
        ),
        Key(
            "Timeout",
            "Seconds to wait for a connection (at most 30), and for each answer.",
            default="300",
            neutral=True,
        ),
    )


@dataclass(frozen=True)
class ServerAddress:
    """Where a server is and who we are there; `timeout` in seconds.

    `certificate` is the certificate itself (PEM), never a path: a path would name a file of this
    machine.
    """

    host: str
    port: int
    user: str
    database: str
    password: str = field(repr=False)
    tls: str
    certificate: str | None
    timeout: int

    @classmethod
    def of(cls, values: Mapping[str, str]) -> "ServerAddress":
        """The address that a connection's values name. Raises SourceRefused for one that cannot
        be."""
        host = values["Server"]
        if host.startswith("/") or "," in host:
            raise SourceRefused("Server must be one host name or address.")
        certificate = values.get("SSLServerCert")
        if certificate is not None and _PEM not in certificate:
            raise SourceRefused("SSLServerCert must be the certificate itself, in PEM.")
        return cls(
            host=host,
            port=_number(values, "Port", 65_535),
            user=values["User"],
            database=values.get("Database", ""),
            password=values.get("Password", ""),
            tls=_tls(values),
            certificate=certificate,
            timeout=_number(values, "Timeout", 86_400),
        )

    @property
    def connect_timeout(self) -> int:
        """Seconds to wait for a connection."""
        return min(self.timeout, _LONGEST_CONNECT)

    @property
    def place(self) -> str:
        """`host:port`, for messages."""
        return f"{self.host}:{self.port}"

    def pinned(self, rules: EgressRules) -> str:
        """The one address to connect to. Raises SourceRefused, SourceUnavailable."""
        try:
            return rules.resolve(self.host, self.port)
        except EgressRefused as error:
            raise SourceRefused(error.message) from None
        except HostNotFound as error:
            raise SourceUnavailable(f"{error.message} Check Server.") from None

    @contextmanager
    def certificate_file(self) -> Iterator[str | None]:
        """The file of the certificates to trust, for as long as connecting takes; None where the
        server's certificate is not verified."""
        if self.certificate is None:
            yield system_certificates() if self.tls.startswith("verify") else None
            return
        descriptor, name = tempfile.mkstemp(suffix=".pem")
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(self.certificate)
            yield name
        finally:
            with suppress(OSError):
                Path(name).unlink()


def system_certificates() -> str:
    """The file of the authorities that this system trusts, else Mozilla's."""
    return ssl.get_default_verify_paths().cafile or certifi.where()


def _tls(values: Mapping[str, str]) -> str:
    if values.get("SSLMode"):
        return values["SSLMode"]
    if values.get("SSLServerCert"):
        return "verify-ca"
    return {"True": "require", "False": "disable"}.get(values.get("UseSSL", ""), "prefer")


def _number(values: Mapping[str, str], name: str, most: int) -> int:
    number = whole_number(values[name], 1, most)
    if number is None:
        raise SourceRefused(f"{name} must be a number from 1 to {most}.")
    return number
