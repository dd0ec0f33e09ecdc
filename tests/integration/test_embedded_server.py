"""The embedded PostgreSQL: shared, recovered, closed to the world, stopped by the last one out."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tidewell.errors import TidewellError
from tidewell.state.embedded import EmbeddedServer, start

USE_IT = """
import signal
import sys
from pathlib import Path
from tidewell.state.embedded import start
# What a shell starts in the background ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)
with start(Path(sys.argv[1])) as server:
    print(server.url(), flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(home: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A process that uses the server of a home until its input ends; and the address it has."""
    with subprocess.Popen(
        [sys.executable, "-c", USE_IT, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as user:
        assert user.stdout is not None
        try:
            yield user, user.stdout.readline().strip()
        finally:
            if user.poll() is None:
                user.kill()


def answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=3) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def postmaster(home: Path) -> int:
    return int((home / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def test_it_is_postgresql_18_with_checksums_and_without_shortcuts(server: EmbeddedServer) -> None:
    with psycopg.connect(server.url()) as connection:

        def shown(name: str) -> object:
            row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            return row[0] if row else None

        assert connection.info.server_version // 10_000 == 18
        assert shown("data_checksums") == "on"
        assert shown("fsync") == "on"
        assert shown("full_page_writes") == "on"
        assert shown("listen_addresses") == "127.0.0.1"
        assert shown("unix_socket_directories") == ""
        assert shown("server_encoding") == "UTF8"


def test_everyone_needs_the_password(server: EmbeddedServer) -> None:
    wrong = f"postgresql://tidewell:wrong@{server.host}:{server.port}/tidewell"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_the_cache_role_reaches_its_own_database_only(server: EmbeddedServer) -> None:
    with psycopg.connect(server.cache_url) as connection:
        connection.execute("CREATE SCHEMA mine")
        row = connection.execute(
            "SELECT rolsuper OR rolcreatedb OR rolcreaterole FROM pg_roles"
            " WHERE rolname = current_user"
        ).fetchone()
        assert row == (False,)
        connection.rollback()
    state = server.cache_url.rsplit("/", 1)[0] + "/tidewell"
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(state)


def test_passwords_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    with start(tmp_path):
        for name in ("postgres.password", "cache.password"):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_two_processes_share_it_and_the_last_one_stops_it(tmp_path: Path) -> None:
    with another_process(tmp_path) as (user, url):
        with start(tmp_path) as server:
            assert server.url() == url
            assert user.stdin is not None
            user.stdin.close()
            assert user.wait(20) == 0
            assert answers(url)
        assert not answers(url)


def test_after_kill_9_of_its_user_the_next_start_joins_it(tmp_path: Path) -> None:
    with another_process(tmp_path) as (user, url):
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept (n int)")
        running = postmaster(tmp_path)
        user.kill()
        user.wait()
    assert answers(url)
    with start(tmp_path) as server:
        assert postmaster(tmp_path) == running
        with psycopg.connect(server.url()) as connection:
            connection.execute("SELECT n FROM kept")
    assert not answers(url)


def test_after_kill_9_of_the_server_the_next_start_recovers_it(tmp_path: Path) -> None:
    with start(tmp_path) as server:
        with psycopg.connect(server.url()) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
        dead = postmaster(tmp_path)
        os.kill(dead, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while answers(server.url()) and time.monotonic() < deadline:
            time.sleep(0.05)
    with start(tmp_path) as server, psycopg.connect(server.url()) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


def test_a_port_that_another_program_has_taken_is_left_to_it(tmp_path: Path) -> None:
    with start(tmp_path) as server:
        first = server.port
    with start(tmp_path) as server:
        assert server.port == first
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", first))
        other.listen()
        with start(tmp_path) as server:
            assert server.port != first
            assert answers(server.url())


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(tmp_path: Path) -> None:
    with another_process(tmp_path) as (user, url), start(tmp_path):
        running = postmaster(tmp_path)
        os.killpg(user.pid, signal.SIGINT)
        user.wait(20)
        assert answers(url)
        assert postmaster(tmp_path) == running


def test_it_runs_below_a_folder_that_is_closed_to_others(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with start(closed / "home") as server:
        assert answers(server.url())
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_a_failed_start_shows_the_end_of_the_servers_own_log(tmp_path: Path) -> None:
    with start(tmp_path):
        pass
    with (tmp_path / "postgres" / "postgresql.conf").open("a") as file:
        file.write("\nshared_buffers = 'nonsense'\n")
    with pytest.raises(TidewellError, match="shared_buffers"):
        start(tmp_path)


def test_it_starts_in_a_home_that_everybody_may_read(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    with start(home) as server:
        assert answers(server.url())
    private = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.glob("*.password")}
    assert private == {"cache.password": 0o600, "postgres.password": 0o600}
    assert stat.S_IMODE((home / "postgres").stat().st_mode) == 0o700
