"""`/metrics`: what a running node tells Prometheus."""

import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.conftest import Body, caching, connect
from tests.conftest import CacheDatabase
from tests.product import make_customer, make_vendor, ok, process, run_now, wait_for_end
from tests.running_product import Product, free_port, wait_until_ready
from tidewell import __version__

POOL = ("idle", "used")

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(product: Product) -> Samples:
    answer = httpx.get(f"{product.base_url}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, tuple(sorted(labels.items()))), 0.0)


def test_runs_are_counted_with_their_rows(
    product: Product,
    client: httpx.Client,
    cache: CacheDatabase,
    job_body: Callable[..., Body],
    folder: Path,
) -> None:
    before = scraped(product)
    job_id = ok(client.post("/api/job/create", json=job_body()))["jobs"][0]["id"]
    wait_for_end(client, job_id)
    (folder / "people.csv").unlink()
    run_now(client, job_id)
    after = scraped(product)

    def grown(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert grown("tidewell_runs_total", state="success") == 1
    assert grown("tidewell_runs_total", state="failed") == 1
    assert grown("tidewell_rows_read_total") == 3
    assert grown("tidewell_rows_written_total") == 3
    assert grown("tidewell_run_seconds_count") == 2
    assert grown("tidewell_copied_bytes_total") > 0
    pool = {state: value(after, "tidewell_state_pool_connections", state=state) for state in POOL}
    assert sum(pool.values()) > 0
    assert value(after, "tidewell_info", version=__version__) == 1
    route = {"method": "POST", "route": "/api/job/create", "status": "200"}
    assert grown("tidewell_http_request_seconds_count", **route) == 1


def test_the_state_of_the_service_is_told_without_anybodys_names(
    product: Product, client: httpx.Client, cache: CacheDatabase, job_body: Callable[..., Body]
) -> None:
    body = job_body() | {"name": "Very secret project"}
    wait_for_end(client, ok(client.post("/api/job/create", json=body))["jobs"][0]["id"])
    with psycopg.connect(product.settings["TIDEWELL_DATABASE_URL"]) as connection:
        row = connection.execute(
            "SELECT count(*) FROM job WHERE enabled AND job_type = 'Caching'"
        ).fetchone() or (0,)
    samples = scraped(product)
    deadline = time.monotonic() + 30  # what was read a few seconds ago is told again
    while value(samples, "tidewell_jobs", type="Caching", enabled="true") != row[0]:
        assert time.monotonic() < deadline
        time.sleep(0.5)
        samples = scraped(product)
    assert value(samples, "tidewell_state_database_up") == 1
    assert value(samples, "tidewell_workers") == 1
    assert value(samples, "tidewell_late_jobs") == 0
    fresh = [key for key in samples if key[0] == "tidewell_job_freshness_seconds"]
    assert 0 < len(fresh) <= 50
    text = httpx.get(f"{product.base_url}/metrics").text
    assert "Very secret project" not in text
    assert cache.user not in text


def test_a_service_without_a_worker_and_a_ticker_tells_so(
    database_url: str, tmp_path: Path, cache_database: CacheDatabase
) -> None:
    (tmp_path / "people.csv").write_text("id\n1\n")
    settings = {
        "TIDEWELL_HOME": str(tmp_path / "home"),
        "TIDEWELL_DATABASE_URL": database_url,
        "TIDEWELL_FILES_ROOT": str(tmp_path),
        "TIDEWELL_EGRESS_ALLOW": "127.0.0.0/8",
    }
    port, log = free_port(), tmp_path / "serve.log"
    arguments = ("serve", "--port", str(port), "--no-worker", "--no-ticker")
    with process(*arguments, settings=settings, log=log):
        lonely = Product(f"http://127.0.0.1:{port}", settings, tmp_path, log)
        wait_until_ready(lonely.base_url, log)
        customer = make_customer(lonely.base_url, make_vendor(tmp_path, settings))
        with customer.client() as client:
            text = cache_database.connection_string
            ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))
            office = connect(client, "Office", "Files", f"URI={tmp_path}")
            made = ok(client.post("/api/job/create", json=caching(office, sourceTable="people")))
        with psycopg.connect(database_url) as connection:
            connection.execute("UPDATE job SET next_run_at = now() - interval '90 seconds'")
        samples = scraped(lonely)
        assert value(samples, "tidewell_active_runs", state="queued") == 1
        assert value(samples, "tidewell_active_runs", state="running") == 0
        assert value(samples, "tidewell_queue_depth") == 1
        assert value(samples, "tidewell_oldest_queued_run_seconds") > 0
        assert value(samples, "tidewell_workers") == 0
        assert value(samples, "tidewell_late_jobs") == 1
        assert 89 < value(samples, "tidewell_schedule_lag_seconds") < 300
        assert value(samples, "tidewell_state_pool_waiting") == 0
        assert "tidewell_state_pool_waiting" in {name for name, _ in samples}
        assert made["jobs"][0]["lastRun"]["status"] == "JOB_QUEUED"


def test_what_a_client_invents_is_no_label(product: Product) -> None:
    httpx.request("BREW", f"{product.base_url}/coffee/4711")
    assert "4711" not in str(scraped(product).keys())
    assert "BREW" not in str(scraped(product).keys())
