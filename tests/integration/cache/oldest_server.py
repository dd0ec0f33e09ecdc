"""The oldest PostgreSQL that this system's packages bring, for tests of the cache on it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.running_product import free_port
from tidewell.state.serveruser import server_user

_INSTALLED = Path("/usr/lib/postgresql")


@contextmanager
def oldest_server(folder: Path) -> Iterator[str]:
    """Start it on 127.0.0.1, trusting; gives its superuser's address."""
    found = sorted(_INSTALLED.glob("*/bin"), key=lambda path: float(path.parent.name))
    assert found, "tests/system_packages.sh installs a PostgreSQL server"
    programs = found[0]
    data = folder / "data"
    data.mkdir(mode=0o700)
    user = server_user(folder, programs)
    user.give(data)
    initdb = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust"]
    run([*user.prefix, *initdb, "-E", "UTF8", "--locale=C.UTF-8"])
    port = free_port()
    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
    control = [*user.prefix, str(programs / "pg_ctl"), "-D", str(data), "-w"]
    run([*control, "-o", settings, "-l", str(data / "log"), "start"])
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        run([*control, "-m", "immediate", "stop"])


def run(command: list[str]) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
        env=os.environ | {"LC_ALL": "C.UTF-8"},
        check=False,
    )
    assert done.returncode == 0, done.stderr


def version(url: str) -> int:
    """Its major version."""
    with psycopg.connect(url) as connection:
        return connection.info.server_version // 10_000
