"""A real MariaDB for the tests: its own data folder, a free port, TLS, an admin with a password."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pymysql

from tests.certificates import Certificates

_START_SECONDS = 60
_USER = "nobody"


@dataclass(frozen=True)
class MariaDBServer:
    """A running server; `certificates` are those that it shows."""

    port: int
    password: str
    certificates: Certificates
    host: str = "127.0.0.1"
    user: str = "admin"

    def connect(self, database: str | None = None, **more: Any) -> "pymysql.Connection[Any]":
        """A connection of the test's own."""
        return pymysql.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            database=database,
            charset="utf8mb4",
            autocommit=True,
            **more,
        )

    def values(self, database: str, **more: str) -> dict[str, str]:
        """The values of a connection to a database."""
        return {
            "Server": self.host,
            "Port": str(self.port),
            "User": self.user,
            "Password": self.password,
            "Database": database,
        } | more

    def connection_string(self, database: str) -> str:
        """The same as text."""
        return "".join(f"{key}={value};" for key, value in self.values(database).items())

    @contextmanager
    def database(self) -> Iterator[str]:
        """A fresh, empty database."""
        name = f"shop_{uuid4().hex[:8]}"
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        try:
            yield name
        finally:
            with self.connect() as connection, connection.cursor() as cursor:
                cursor.execute(f"DROP DATABASE {name}")


@contextmanager
def mariadb_server(port: int) -> Iterator[MariaDBServer]:
    """Start one in a folder of its own, until the block ends."""
    # Not in pytest's folder: every session of pytest closes that one to other users again.
    with tempfile.TemporaryDirectory(prefix="mariadb") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with _running(folder, port) as server:
            yield server


@contextmanager
def _running(folder: Path, port: int) -> Iterator[MariaDBServer]:
    password = uuid4().hex
    data = folder / "data"
    certificates = Certificates.make(folder)
    command = [
        str(shutil.which("mariadbd") or "/usr/sbin/mariadbd"),
        "--no-defaults",
        f"--datadir={data}",
        f"--port={port}",
        f"--socket={folder / 'm.sock'}",
        f"--pid-file={folder / 'm.pid'}",
        "--bind-address=127.0.0.1",
        f"--ssl-cert={certificates.server_certificate}",
        f"--ssl-key={certificates.server_key}",
        "--innodb-buffer-pool-size=128M",
        "--innodb-flush-log-at-trx-commit=0",
        "--skip-log-bin",
        "--skip-name-resolve",
        "--local-infile=0",
    ]
    if os.getuid() == 0:
        command.append(f"--user={_USER}")
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, _USER)
    subprocess.run(
        [
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={data}",
            "--skip-test-db",
            "--auth-root-authentication-method=normal",
            *(part for part in command if part.startswith("--user")),
        ],
        check=True,
        capture_output=True,
    )
    (folder / "init.sql").write_text(
        f"CREATE USER admin@'127.0.0.1' IDENTIFIED BY '{password}';\n"
        "GRANT ALL ON *.* TO admin@'127.0.0.1' WITH GRANT OPTION;\n"
        "DROP USER root@localhost;\n"
    )
    with (folder / "server.log").open("wb") as log:
        running = subprocess.Popen(
            [*command, f"--init-file={folder / 'init.sql'}"], stdout=log, stderr=log
        )
    server = MariaDBServer(port, password, certificates)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                server.connect().close()
                break
            except pymysql.Error:
                if running.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield server
    finally:
        running.terminate()
        try:
            running.wait(30)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
