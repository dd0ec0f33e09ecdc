"""The Python client, as a vendor's program uses it against a running server."""

import re
import textwrap
from datetime import date
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from tests.conftest import CacheDatabase
from tests.odata_server import ODataServer
from tests.product import Customer
from tidewell.client import (
    ApiError,
    AsyncClient,
    Client,
    ConnectionFailed,
    RunFailed,
    WaitTimeout,
)

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


@pytest.fixture
def ours(customer: Customer, cache: CacheDatabase) -> Client:
    """The client of a customer that has a cache."""
    return Client(customer.base_url, customer.token())


def test_from_a_connection_to_a_cached_table(
    ours: Client, cache: CacheDatabase, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ours as client:
        office = client.connections.create("Office", "Files", f"URI={folder}")
        assert client.connections.test(office.id).is_tested
        job = client.jobs.create(office, "Files", "people", interval_unit="Day", cacheTable="crew")

        run = job.wait(timeout=60, progress=True)

        assert (run.status, run.rows_read, run.rows_affected) == ("JOB_SUCCESS", 3, 3)
        assert job.params["cacheTable"] == "crew"
        with psycopg.connect(cache.url) as connection:
            found = connection.execute('SELECT count(*) FROM "Office".crew').fetchone()
        assert found == (3,)
        assert [line.level for line in client.runs.log(run.id)] == [1] * 3
        assert client.runs.log(run.id, after=client.runs.log(run.id)[-1].line) == []
        assert "people" in capsys.readouterr().err

        again = job.run().wait(timeout=60)
        assert (again.rows_affected, again.cause) == (0, "request")
        assert [one.id for one in job.runs()] == [again.id, run.id]

        changed = client.jobs.update(
            job.id, intervalValue=3, params={"autoTruncateStrings": "true"}
        )
        assert (changed.interval_unit, changed.interval_value) == ("Day", 3)
        assert changed.params["autoTruncateStrings"] == "true"
        assert changed.params["cacheTable"] == "crew"
        assert [one.name for one in client.jobs.list()] == ["people"]

        client.connections.delete(office.id, force=True)
        assert client.jobs.list() == []
        assert client.connections.list() == []


def test_a_failed_run_is_raised_with_its_reason(ours: Client, folder: Path) -> None:
    with ours as client:
        office = client.connections.create("Office", "Files", f"URI={folder}")
        job = client.jobs.create(office.id, "Files", "people", enabled=False)
        with pytest.raises(WaitTimeout, match="not been queued"):
            job.wait()
        job = client.jobs.create(
            client.connections.create("Other", "Files", f"URI={folder}"), "Files", "people"
        )
        job.wait(timeout=60)
        (folder / "people.csv").unlink()
        with pytest.raises(RunFailed, match="people") as failed:
            job.run().wait(timeout=60)
        assert failed.value.run.error
        assert failed.value.run.error.code == "SOURCE_NOT_FOUND"


def test_the_services_errors_arrive_with_code_and_fields(ours: Client) -> None:
    with ours as client, pytest.raises(ApiError) as refused:
        client.connections.create("Office", "Fils", "URI=/x")
    error = refused.value
    assert (error.status, error.code) == (400, "INVALID_REQUEST")
    assert error.details[0]["field"] == "driver"
    assert error.request_id


def test_what_is_no_job_api_is_told(customer: Customer) -> None:
    with Client("http://127.0.0.1:1", "x") as client, pytest.raises(ConnectionFailed, match="127"):
        client.jobs.list()
    with (
        Client(f"{customer.base_url}/docs", customer.token()) as client,
        pytest.raises((ApiError, ConnectionFailed)),
    ):
        client.jobs.list()


async def test_the_asynchronous_client_has_the_same_calls(
    customer: Customer, cache: CacheDatabase, folder: Path
) -> None:
    async with AsyncClient(customer.base_url, customer.token()) as client:
        office = await client.connections.create("Office", "Files", f"URI={folder}")
        job = await client.jobs.create(office, "Files", "people")
        assert (await job.wait(timeout=60)).rows_read == 3
        assert (await job.refresh()).last_run.status == "JOB_SUCCESS"
        await (await job.run()).stop()
        await job.delete()
        assert await client.jobs.list() == []


def test_a_vendor_keeps_its_sub_accounts(customer: Customer) -> None:
    with Client(customer.base_url, customer.token(sub=None)) as client:
        made = client.accounts.create("Acme", f"crm-{customer.account_id}")
        assert client.accounts.get(f"crm-{customer.account_id}") == made
        assert client.accounts.update(made.id, accountName="Acme Ltd").account_name == "Acme Ltd"
        client.accounts.delete(made.id)
        assert made.id not in {one.id for one in client.accounts.list()}


PEOPLE = "SELECT id, name FROM Office.Files.people WHERE id >= @least ORDER BY id"


def test_a_result_is_arrow_pandas_and_plain_rows(ours: Client, folder: Path) -> None:
    with ours as client:
        client.connections.create("Office", "Files", f"URI={folder}")
        result = client.query(PEOPLE, {"least": 2})
        assert result.to_arrow().to_pydict() == {"id": [2, 3], "name": ["Grace", "Edsger"]}
        assert list(result.to_pandas()["name"]) == ["Grace", "Edsger"]
        assert list(result) == [(2, "Grace"), (3, "Edsger")]
        assert (len(result), result.columns) == (2, ["id", "name"])
        assert result.to_dicts()[0] == {"id": 2, "name": "Grace"}
        # A value of any kind arrives as it was given.
        for value in (b"\x00\xff", 1.5, "x", True, date(2026, 1, 31), Decimal("1.10")):
            [(same,)] = client.query("SELECT @value AS value", {"value": value})
            assert same == value


async def test_the_asynchronous_result_is_the_same(
    customer: Customer, cache: CacheDatabase, folder: Path
) -> None:
    async with AsyncClient(customer.base_url, customer.token()) as client:
        await client.connections.create("Office", "Files", f"URI={folder}")
        result = await client.query(PEOPLE, {"least": 3})
        assert result.to_arrow().to_pydict() == {"id": [3], "name": ["Edsger"]}
        assert (await client.links.jobs()).startswith(customer.base_url)


def test_webhooks_links_and_logs(ours: Client, customer: Customer, folder: Path) -> None:
    with ours as client:
        made = client.webhooks.create("https://example.com/hook", ["run.failed"])
        assert made.secret.startswith("whsec_")
        assert client.webhooks.get(made.id).secret != made.secret
        changed = client.webhooks.update(made.id, made.url, enabled=False, new_secret=True)
        assert (changed.enabled, changed.secret != made.secret) == (False, True)
        assert [one.id for one in client.webhooks.list()] == [made.id]
        assert client.webhooks.deliveries(made.id) == []
        client.webhooks.delete(made.id)
        assert client.webhooks.list() == []

        office = client.connections.create("Office", "Files", f"URI={folder}")
        back = "https://vendor.example/"
        for link in (
            client.links.jobs(back),
            client.links.cache(back),
            client.links.connection(back, "Files"),
            client.links.edit_connection(office.id, back),
        ):
            assert link.startswith(f"{customer.base_url}/oem/user/")

        client.query("SELECT * FROM Office.Files.people")
        [asked] = client.logs.queries()
        assert asked.rows_returned == 3
        assert client.logs.query(asked.query_id).query == asked.query
        assert "Office" in {event.target_name for event in client.logs.audit()}


def test_the_page_of_the_client(
    customer: Customer,
    cache: CacheDatabase,
    shop: ODataServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The pieces of docs/python.md, run as they stand but for the two addresses in them."""
    page = PAGE.read_text()
    pieces = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    first, asynchronous, lines, token = (
        piece.replace("https://jobs.example.com", customer.base_url).replace(
            "https://example.com/odata/v4/shop", shop.url
        )
        for piece in pieces
    )
    known = {
        "VENDOR": customer.vendor.id,
        "CUSTOMER": customer.account_id,
        "private_key_pem": customer.vendor.private,
    }
    indented = textwrap.indent(lines, "    ")
    follow_up = f"with Client({customer.base_url!r}, token) as client:\n{indented}"
    wrapped = f"async def main():\n{textwrap.indent(asynchronous, '    ')}\nasyncio.run(main())"
    for piece in (token, first, follow_up, f"import asyncio\n{wrapped}"):
        exec(piece, known)  # noqa: S102 - the page's own text

    assert known["run"].rows_read == shop.rows
    assert len(known["frame"]) == known["table"].num_rows > 0
    said = capsys.readouterr().out
    assert "Committed" in said
    assert "Orders JOB_SUCCESS" in said
