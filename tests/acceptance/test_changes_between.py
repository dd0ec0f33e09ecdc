"""What others change between a call's look at something and its write: the call says so.

The other change is a transaction on the state database that is open while the call looks, and
committed when the call waits for it.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.acceptance.conftest import Body
from tests.product import Customer, ok
from tests.running_product import Product

JobBody = Callable[..., Body]
Meanwhile = Callable[[str, Any, Callable[[], httpx.Response]], httpx.Response]


@pytest.fixture
def meanwhile(product: Product) -> Iterator[Meanwhile]:
    """A call, and a statement on the state database that it meets when it writes."""

    @contextmanager
    def open_change(statement: str, key: Any) -> Iterator[Callable[[], bool]]:
        with psycopg.connect(product.settings["TIDEWELL_DATABASE_URL"]) as connection:
            connection.execute(statement.encode(), [key])
            yield lambda: bool(
                connection.execute(
                    "SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY "
                    "(pg_blocking_pids(pid))"
                ).fetchall()
            )

    with ThreadPoolExecutor(1) as pool:

        def run(statement: str, key: Any, call: Callable[[], httpx.Response]) -> httpx.Response:
            with open_change(statement, key) as is_waited_for:
                calling = pool.submit(call)
                deadline = time.monotonic() + 20
                while not is_waited_for():
                    assert not calling.done(), calling.result().text
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
            return calling.result()

        yield run


@pytest.mark.usefixtures("cache")
def test_an_update_to_a_place_that_another_job_has_just_taken(
    client: httpx.Client, meanwhile: Meanwhile, job_body: JobBody, folder: Path
) -> None:
    (folder / "people2.csv").write_text("id,name\n1,Ada\n")

    def make(**params: Any) -> str:
        body = job_body(**params) | {"enabled": False}
        return str(ok(client.post("/api/job/create", json=body))["jobs"][0]["id"])

    first, second = make(cacheTable="first"), make(sourceTable="people2", cacheTable="second")
    body = job_body(cacheTable="third") | {"enabled": False}

    answer = meanwhile(
        "UPDATE job SET cache_table = 'third' WHERE id = %s",
        second,
        lambda: client.put(f"/api/job/{first}/update", json=body),
    )

    assert answer.status_code == 409, answer.text
    assert second in answer.json()["error"]["message"]


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("call", ["create", "update"])
def test_a_job_over_a_connection_that_has_just_been_deleted(
    client: httpx.Client, meanwhile: Meanwhile, job_body: JobBody, connection_id: str, call: str
) -> None:
    method, path = "POST", "/api/job/create"
    if call == "update":
        query = {"query": "SELECT 1 AS a"}
        made = job_body() | {"jobType": "ScheduledQuery", "enabled": False, "params": query}
        job_id = ok(client.post(path, json=made))["jobs"][0]["id"]
        method, path = "PUT", f"/api/job/{job_id}/update"
        query = {"query": "SELECT * FROM Office.Files.people"}
        body, field = made | {"params": query}, "params.query"
    else:
        body, field = job_body(), "params.sourceConnection"

    answer = meanwhile(
        "DELETE FROM connection WHERE id = %s",
        connection_id,
        lambda: client.request(method, path, json=body),
    )

    assert answer.status_code == 400, answer.text
    assert [one["field"] for one in answer.json()["error"]["details"]] == [field]


@pytest.mark.usefixtures("cache")
def test_a_job_of_an_account_that_has_just_been_deleted(
    customer: Customer, client: httpx.Client, meanwhile: Meanwhile, job_body: JobBody
) -> None:
    body = job_body()
    answer = meanwhile(
        "DELETE FROM account WHERE id = %s",
        customer.account_id,
        lambda: client.post("/api/job/create", json=body),
    )
    assert answer.status_code == 404, answer.text


def test_a_test_says_nothing_about_values_that_came_after_it(
    client: httpx.Client, meanwhile: Meanwhile, connection_id: str
) -> None:
    path = f"/api/connections/{connection_id}"
    answer = meanwhile(
        "UPDATE connection SET modified_at = modified_at + interval '1 second' WHERE id = %s",
        connection_id,
        lambda: client.post(f"{path}/test"),
    )
    assert ok(answer) == {"isTested": True}  # the values that it had then
    assert ok(client.get(path))["connection"]["isTested"] is False
