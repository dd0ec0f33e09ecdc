"""Back up and restore: the commands of docs/backups.md, run as they stand, and the work goes on."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tests.conftest import CacheDatabase
from tests.ports import free_port
from tests.product import environment, make_customer, make_vendor, process
from tests.running_product import wait_until_ready
from tidewell.client import Client

PAGE = Path(__file__).parents[2] / "docs/backups.md"
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECRET = "hush-hush-1"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the operator works: a node's home is in it."""
    (tmp_path / "files").mkdir()
    return tmp_path


def settings(place: Path, home: str) -> dict[str, str]:
    return {
        "TIDEWELL_HOME": str(place / home),
        "TIDEWELL_FILES_ROOT": str(place / "files"),
        "TIDEWELL_EGRESS_ALLOW": "127.0.0.0/8",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


@contextmanager
def node(place: Path, home: str) -> Iterator[str]:
    """A node on the embedded PostgreSQL of a home."""
    port, log = free_port(), place / f"{home}.log"
    with process("serve", "--port", str(port), settings=settings(place, home), log=log):
        wait_until_ready(f"http://127.0.0.1:{port}", log)
        yield f"http://127.0.0.1:{port}"


def follow(place: Path, commands: str, home: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", commands],
        cwd=place,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def rows(cache: CacheDatabase) -> list[tuple[object, ...]]:
    with psycopg.connect(cache.url) as connection:
        return connection.execute('SELECT id, name FROM "Office".people ORDER BY id').fetchall()


def test_the_page_restores_what_it_has_backed_up(
    place: Path, cache_database: CacheDatabase
) -> None:
    old_home = ExitStack()
    old_node = old_home.enter_context(node(place, ".tidewell"))
    people = place / "files" / "people.csv"
    people.write_text("id,name,at\n1,Ada,2026-01-01T00:00:00Z\n2,Grace,2026-01-02T00:00:00Z\n")
    vendor = make_vendor(place, settings(place, ".tidewell"))
    customer = make_customer(old_node, vendor)
    with Client(old_node, customer.token()) as client:
        assert client.cache.set(cache_database.connection_string).is_tested
        office = client.connections.create("Office", "Files", f"URI={place / 'files'}")
        job = client.jobs.create(
            office, "Files", "people", time_check_column="at", merge_keys=["id"]
        )
        assert job.wait(timeout=60).rows_affected == 2

        secret = client.connections.create(
            "Shop", "OData", f"URL=http://127.0.0.1:1/x;AuthScheme=Basic;User=me;Password={SECRET}"
        )

    backup, key, restore = _BLOCK.findall(PAGE.read_text())
    done = follow(place, backup + key, settings(place, ".tidewell"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["file"] == "tidewell.dump"
    assert (place / "tidewell.dump").stat().st_mode & 0o777 == 0o600
    old_home.close()

    done = follow(place, restore, settings(place, ".tidewell"))
    assert done.returncode == 0, done.stdout + done.stderr
    with node(place, "restored") as url:
        again = replace(customer, base_url=url)
        with Client(url, again.token()) as client:
            [job] = client.jobs.list()
            with people.open("a") as file:
                file.write("3,Edsger,2026-01-03T00:00:00Z\n")
            run = job.run().wait(timeout=60)
            # Two rows are new to it: the one at the watermark, which is read again, and the third.
            assert (run.status, run.rows_affected) == ("JOB_SUCCESS", 1)
            assert not run.receipt.get("fullRefresh", False), run.receipt
            # The stored password opens: the address is tried with it, and nobody listens there.
            assert "refused" in client.connections.test(secret.id).test_error
    assert rows(cache_database) == [(1, "Ada"), (2, "Grace"), (3, "Edsger")]
