"""The reference vendor's own DB-API client works unchanged: only its `base_url` is another."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import cdata_connect
import duckdb
import httpx
import pandas as pd
import pytest

from tests.acceptance.conftest import caching, connect
from tests.conftest import CacheDatabase
from tests.product import Customer, command, ok, wait_for_end
from tests.running_product import Product

ROWS = 1_000_000
MANY = "SELECT id, t FROM Many.Files.many"


@pytest.fixture
def credentials(product: Product, customer: Customer) -> dict[str, str]:
    text = command("pat", "create", "--sub", customer.account_id, settings=product.settings)
    made = json.loads(text)
    return {
        "base_url": f"{product.base_url}/api",
        "username": made["user"],
        "password": made["token"],
    }


@pytest.fixture
def connection(
    credentials: dict[str, str], connection_id: str
) -> Iterator[cdata_connect.Connection]:
    with cdata_connect.connect(**credentials, max_retries=0) as connection:
        yield connection


def test_rows_are_fetched_in_every_way(connection: cdata_connect.Connection) -> None:
    cursor = connection.cursor()
    cursor.execute("SELECT id, name FROM Office.Files.people ORDER BY id")
    assert cursor.fetchone() == [1, "Ada"]
    assert cursor.fetchmany(1) == [[2, "Grace"]]
    assert cursor.fetchall() == [[3, "Edsger"]]
    assert cursor.fetchone() is None
    cursor.execute("SELECT id FROM Office.Files.people ORDER BY id DESC")
    assert list(cursor) == [[3], [2], [1]]
    cursor.arraysize = 2
    cursor.execute("SELECT id FROM Office.Files.people ORDER BY id")
    assert cursor.fetchmany() == [[1], [2]]
    with connection.cursor() as another:
        another.execute("SELECT COUNT(*) FROM Office.Files.people WHERE 1 = 0")
        assert another.fetchall() == [[0]]


def test_parameters_go_as_the_client_sends_them(connection: cdata_connect.Connection) -> None:
    cursor = connection.cursor()
    cursor.execute(
        "SELECT name FROM Office.Files.people WHERE id = %(id)s AND name <> %(not)s",
        {"id": 2, "not": "x"},
    )
    assert cursor.fetchall() == [["Grace"]]
    # The client calls every number an INTEGER, and NULL nothing at all.
    cursor.execute(
        "SELECT %(float)s + 1, %(flag)s, %(nothing)s, %(text)s",
        {"float": 0.5, "flag": True, "nothing": None, "text": "it's %"},
    )
    assert cursor.fetchall() == [[1.5, True, None, "it's %"]]


def test_executemany_runs_the_statement_for_each_set(
    connection: cdata_connect.Connection,
) -> None:
    cursor = connection.cursor()
    cursor.executemany(
        "SELECT name FROM Office.Files.people WHERE id = @id", [{"@id": 3}, {"@id": 1}]
    )
    assert cursor.fetchall() == [["Edsger"], ["Ada"]]


def test_descriptions_and_types(connection: cdata_connect.Connection) -> None:
    cursor = connection.cursor()
    cursor.execute(
        "SELECT 1 AS i, CAST(2 AS BIGINT) AS b, 'x' AS t, CAST(1.25 AS DECIMAL(10, 2)) AS d, "
        "CAST(0.5 AS DOUBLE) AS f, 1 = 1 AS flag, DATE '2024-02-29' AS day, "
        "CAST('12:30:00' AS TIME) AS at, CAST('2024-02-29 12:30:00' AS TIMESTAMP) AS moment, "
        "CAST('6f3cfe6a-72e2-4edb-914f-4409c01c1418' AS UUID) AS u, @raw AS raw, NULL AS nothing",
        {"raw": None},
    )
    described = {column[0]: column for column in cursor.description}
    assert list(described) == [
        *("i", "b", "t", "d", "f", "flag", "day", "at", "moment", "u", "raw", "nothing")
    ]
    assert described["t"][1] == cdata_connect.STRING
    assert described["d"][1] == cdata_connect.NUMBER
    assert described["d"][4:6] == (10, 2)
    assert described["moment"][1] == cdata_connect.DATETIME
    assert cursor.fetchone() == [
        *(1, 2, "x", Decimal("1.25"), 0.5, True, date(2024, 2, 29), time(12, 30)),
        *(datetime(2024, 2, 29, 12, 30), UUID("6f3cfe6a-72e2-4edb-914f-4409c01c1418")),  # noqa: DTZ001 - the client gives none
        *(None, None),
    ]


def test_errors_are_the_client_s_own_and_say_why(
    connection: cdata_connect.Connection, credentials: dict[str, str]
) -> None:
    cursor = connection.cursor()
    with pytest.raises(cdata_connect.OperationalError, match="no column 'nope'"):
        cursor.execute("SELECT nope FROM Office.Files.people")
    with pytest.raises(cdata_connect.OperationalError, match="read-only"):
        cursor.execute("DELETE FROM Office.Files.people")
    with pytest.raises(cdata_connect.OperationalError, match="no procedures"):
        cursor.callproc("anything", ("x",))
    wrong = credentials | {"password": "twpat_wrong"}
    with (
        cdata_connect.connect(**wrong, max_retries=0) as stranger,
        pytest.raises(cdata_connect.OperationalError, match="401"),
    ):
        stranger.cursor().execute("SELECT 1")


def test_a_workspace_is_accepted(credentials: dict[str, str], connection_id: str) -> None:
    with cdata_connect.connect(**credentials, workspace="Any") as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT COUNT(*) FROM Office.Files.people")
        assert cursor.fetchone() == [3]


def test_pandas_reads_over_it(connection: cdata_connect.Connection) -> None:
    with pytest.warns(UserWarning, match="pandas only supports"):
        frame = pd.read_sql(
            "SELECT id, name, DATE '2024-02-29' AS day FROM Office.Files.people ORDER BY id",
            connection,
        )
    assert list(frame.columns) == ["id", "name", "day"]
    assert frame["id"].sum() == 6
    assert frame["name"].tolist() == ["Ada", "Grace", "Edsger"]


_CLIENT = """
import json, resource, sys, cdata_connect
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
cursor = cdata_connect.connect(**json.loads(sys.argv[1])).cursor()
cursor.execute(sys.argv[2])
rows = total = 0
while part := cursor.fetchmany(10_000):
    rows += len(part)
    total += sum(row[0] for row in part)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps([rows, total, grown // 1024]))
"""


@pytest.mark.parametrize("kept", ["live", "cached"])
def test_a_million_rows_are_streamed_in_bounded_memory(
    kept: str,
    client: httpx.Client,
    credentials: dict[str, str],
    folder: Path,
    cache: CacheDatabase,
    product: Product,
) -> None:
    make_many(client, folder, kept)
    streamed(_CLIENT, json.dumps(credentials), MANY)
    assert max(_peaks("tidewell.query.child"), default=0) < 700


_PLAIN_CLIENT = """
import json, resource, sys, urllib.request, pyarrow.compute, pyarrow.csv, pyarrow.ipc
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
url, token, kind, query = sys.argv[1:]
headers = {"Authorization": f"Bearer {token}", "Accept": kind, "Content-Type": "application/json"}
body = json.dumps({"query": query}).encode()
answer = urllib.request.urlopen(urllib.request.Request(f"{url}/api/query", body, headers))
reader = pyarrow.csv.open_csv(answer) if "csv" in kind else pyarrow.ipc.open_stream(answer)
rows = total = 0
for batch in reader:
    rows += batch.num_rows
    total += pyarrow.compute.sum(batch.column(0)).as_py()
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps([rows, total, grown // 1024]))
"""


@pytest.mark.parametrize(
    ("kept", "kind"),
    [("live", "application/vnd.apache.arrow.stream"), ("cached", "text/csv")],
    ids=["live-arrow", "cached-csv"],
)
def test_arrow_and_csv_of_a_million_rows_are_streamed_in_bounded_memory(
    kept: str,
    kind: str,
    client: httpx.Client,
    customer: Customer,
    folder: Path,
    cache: CacheDatabase,
    product: Product,
) -> None:
    make_many(client, folder, kept)
    streamed(_PLAIN_CLIENT, product.base_url, customer.token(), kind, MANY)
    assert max(_peaks("tidewell.query.child"), default=0) < 700
    assert max(_peaks("tidewell\0serve"), default=0) < 700


def make_many(client: httpx.Client, folder: Path, kept: str) -> None:
    """A table of a million rows, live or cached."""
    duckdb.sql(f"SELECT range AS id, 'text ' || range AS t FROM range({ROWS})").write_parquet(  # noqa: S608 - numbers of the test
        str(folder / "many.parquet")
    )
    many = connect(client, "Many", "Files", f"URI={folder}/many.parquet")
    if kept == "cached":
        body = caching(many, sourceName="Many", sourceTable="many")
        job = ok(client.post("/api/job/create", json=body))["jobs"][0]
        assert wait_for_end(client, job["id"])["lastRun"]["status"] == "JOB_SUCCESS"


def streamed(program: str, *arguments: str) -> None:
    """A client of its own gets all rows, and its memory grows by little."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows, total, client_mb = json.loads(done.stdout)
    assert (rows, total) == (ROWS, ROWS * (ROWS - 1) // 2)
    assert client_mb < 100


def _peaks(module: str) -> list[int]:
    """The most memory, in MB, that running processes of a module have had."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if module in (folder / "cmdline").read_text():
                status = (folder / "status").read_text()
                found.append(int(status.split("VmHWM:")[1].split()[0]) // 1024)
        except (OSError, IndexError):
            continue  # no process, or it has just ended
    return found
