"""PgBouncer in transaction mode, as an operator has it before a busy PostgreSQL."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.ports import free_port

NAME = "pooled"
_SECONDS = 15
_CONFIGURATION = """
[databases]
{name} = {target}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {sessions}
max_client_conn = 500
{user}
"""


@contextmanager
def pgbouncer(url: str, folder: Path, *, sessions: int) -> Iterator[str]:
    """A pooler before the database at `url`, with so many sessions; its own address."""
    given = conninfo_to_dict(url)
    target = {name: str(given[name]) for name in ("host", "port", "dbname", "user", "password")}
    port = free_port()
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(
        _CONFIGURATION.format(
            name=NAME,
            target=make_conninfo("", **target),
            port=port,
            sessions=sessions,
            user="user = nobody" if os.getuid() == 0 else "",  # it refuses root
        )
    )
    log = folder / "pgbouncer.log"
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    with log.open("w") as output:
        running = subprocess.Popen([program, str(configuration)], stdout=output, stderr=output)
    try:
        address = f"postgresql://{target['user']}@127.0.0.1:{port}/{NAME}"
        _wait(address, log)
        yield address
    finally:
        running.terminate()
        running.wait(10)


def _wait(address: str, log: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            with psycopg.connect(address):
                return
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
