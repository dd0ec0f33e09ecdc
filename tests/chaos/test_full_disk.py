"""The cache's disk is full in the middle of a load, and has room again later."""

import os
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg import sql

from tests.chaos.campaign import Campaign
from tests.chaos.cluster import cluster
from tests.chaos.conftest import new_state, settings_of
from tests.chaos.counts import COUNTS, chance
from tests.chaos.watching import Reader
from tests.conftest import CacheDatabase, new_cache_database
from tidewell.state.embedded import EmbeddedServer, start
from tidewell.state.serveruser import server_user

_MOUNT_MB = 64
_LIMIT = 20 * 2**20
_ENOUGH_SECONDS = 60.0
_FAILURES = """
SELECT count(*) FROM run_change WHERE to_state IN ('retrying', 'failed') AND reason LIKE 'CACHE%'
"""


class Mounted:
    """A small disk with a tablespace on it."""

    rows = 4_000

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fill(self, room: int) -> None:
        """Leave so many bytes."""
        free = os.statvfs(self._folder)
        with (self._folder / "ballast").open("ab") as file:
            file.write(b"\0" * max(free.f_bavail * free.f_frsize - room, 0))

    def empty(self) -> None:
        (self._folder / "ballast").unlink()


class Limited:
    """In its place, where nothing may be mounted: files of the server cannot grow any more.

    The limit is above the size of a segment of its log, which it must go on to write.
    """

    rows = 250_000

    def __init__(self, server: EmbeddedServer, folder: Path) -> None:
        data = folder / "postgres"
        self._server = psutil.Process(int((data / "postmaster.pid").read_text().split()[0]))

    def fill(self, room: int) -> None:
        """The server's new sessions inherit it."""
        self._server.rlimit(psutil.RLIMIT_FSIZE, (_LIMIT, psutil.RLIM_INFINITY))

    def empty(self) -> None:
        self._server.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))


@contextmanager
def small_disk(
    server: EmbeddedServer, home: Path, cache: CacheDatabase
) -> Iterator[Mounted | Limited]:
    """A disk of its own for a cache."""
    folder = Path(tempfile.mkdtemp(prefix="tidewell-disk-"))  # where the server may pass through
    folder.chmod(0o755)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_MOUNT_MB}m,mode=755", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        warnings.warn(
            "No disk can be mounted here: a limit on the size of files stands for a full one. "
            "Run this test as root.",
            stacklevel=1,
        )
        folder.rmdir()
        yield Limited(server, home)
        return
    try:
        place = folder / "tablespace"
        place.mkdir(mode=0o700)
        server_user(folder).give(place)
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE TABLESPACE small LOCATION {}").format(sql.Literal(str(place)))
            )
            connection.execute(
                sql.SQL("ALTER DATABASE {} SET TABLESPACE small").format(
                    sql.Identifier(cache.database)
                )
            )
            yield Mounted(folder)
            # The empty tablespace is dropped with its server.
            connection.execute(
                sql.SQL("ALTER DATABASE {} SET TABLESPACE pg_default").format(
                    sql.Identifier(cache.database)
                )
            )
            connection.execute("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", str(folder)], check=False)
        folder.rmdir()


@pytest.mark.filterwarnings("default:No disk can be mounted")
def test_a_full_disk_of_the_cache_costs_time_and_no_row(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    state_url, plan = new_state(server), chance("full disks")
    # A server of its own: a limit on its files must not meet the state.
    home = tmp_path_factory.mktemp("small")
    with (
        start(home) as small,
        new_cache_database(server) as source,
        new_cache_database(small) as cache,
        small_disk(small, home, cache) as disk,
        cluster(tmp_path, settings_of(tmp_path, state_url), workers=1) as nodes,
    ):
        campaign = Campaign(nodes, source, cache, state_url)
        campaign.add(plan, ("keyed", "bag", "moving"), size=disk.rows)
        campaign.wait_for_all()
        with Reader(cache.url, campaign.tables).reading() as reader:
            for _ in range(COUNTS.full_disks):
                before = failures(state_url)
                disk.fill(plan.randrange(20_000, 300_000))
                until = time.monotonic() + _ENOUGH_SECONDS
                while failures(state_url) == before:
                    assert time.monotonic() < until, "the disk does not become full"
                    # One change alone may find its place in what others have left.
                    campaign.step(plan)
                    time.sleep(0.05)
                disk.empty()
                campaign.wait_for_all()
            campaign.settle()
        campaign.reckon()
        campaign.close()
    assert reader.complaints == []


def failures(state_url: str) -> int:
    """How many attempts have ended because the cache could not take them."""
    with psycopg.connect(state_url) as connection:
        row = connection.execute(_FAILURES).fetchone()
    return int(row[0]) if row else 0
