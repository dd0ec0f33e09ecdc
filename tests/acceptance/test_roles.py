"""API, ticker and worker as processes of their own, over one state database."""

import json
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql

from tests.acceptance.conftest import caching, connect
from tests.conftest import CacheDatabase
from tests.product import command, make_customer, make_vendor, ok, process, wait_for_end
from tests.running_product import free_port, wait_until_ready
from tidewell.state.embedded import EmbeddedServer
from tidewell.state.schema import HEAD


def test_each_role_is_a_process_of_its_own(
    server: EmbeddedServer, cache_database: CacheDatabase, tmp_path: Path
) -> None:
    name = f"roles_{uuid4().hex}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "people.csv").write_text("id,name\n1,Ada\n")
    settings = {
        "TIDEWELL_HOME": str(tmp_path / "home"),
        "TIDEWELL_DATABASE_URL": server.url(name),
        "TIDEWELL_FILES_ROOT": str(tmp_path / "files"),
        "TIDEWELL_EGRESS_ALLOW": "127.0.0.0/8",
    }
    made = json.loads(command("db", "upgrade", settings=settings))
    assert made == {"before": None, "now": HEAD}
    assert json.loads(command("db", "version", settings=settings))["needed"] == HEAD
    port = free_port()
    base_url, log = f"http://127.0.0.1:{port}", tmp_path / "log"
    api = ("serve", "--port", str(port), "--no-worker", "--no-ticker")
    with process(*api, settings=settings, log=log) as serving:
        wait_until_ready(base_url, log)
        customer = make_customer(base_url, make_vendor(tmp_path, settings))
        with customer.client() as client:
            text = cache_database.connection_string
            ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))
            office = connect(client, "Office", "Files", f"URI={tmp_path / 'files'}")
            assert ok(client.post(f"/api/connections/{office}/test"))["isTested"]
            body = caching(office, sourceTable="people", filter="id > 0") | {
                "intervalUnit": "Month",
                "definedNextRun": "2020-01-31T00:00:00Z",
            }
            job = ok(client.post("/api/job/create", json=body))["jobs"][0]
            assert job["lastRun"]["status"] == ""
            with (
                process("ticker", settings=settings, log=log) as ticking,
                process("worker", settings=settings, log=log) as working,
            ):
                ended = wait_for_end(client, job["id"])
                for role in (serving, ticking, working):
                    assert not _libraries_of_rows(role.pid)
            assert ended["lastRun"]["status"] == "JOB_SUCCESS", log.read_text()
            assert len(ok(client.get(f"/api/job/{job['id']}/runs"))["runs"]) == 1


def _libraries_of_rows(pid: int) -> set[str]:
    """What a process has mapped of the libraries that hold rows: 70 MB, for those who read some."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    mapped = {line.rsplit("/", 1)[-1] for line in lines}
    return {name for name in mapped if name.startswith(("libarrow", "_duckdb", "_multiarray"))}
