"""Files of a web server and of S3: what is a table, what is fetched, and where it may lead."""

import gzip
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.file_server import file_server
from tests.s3_server import S3Server, s3_server
from tidewell.egress import EgressRules
from tidewell.errors import SourceBroken, SourceNotFound, SourceRefused, SourceUnavailable
from tidewell.sources.files import DRIVER, spool
from tidewell.sources.files.source import FilesSource
from tidewell.sources.files.version import tag_of
from tidewell.sources.protocol import Comparison, Environment, ReadRequest

DEFAULTS = {key.name: key.default for key in DRIVER.keys if key.default}
CHANGED = datetime(2015, 10, 21, 7, 28, tzinfo=UTC)


def source(uri: str, allow: str = "127.0.0.0/8", **values: str) -> FilesSource:
    environment = Environment(egress=EgressRules.parse(allow))
    return DRIVER.open(DEFAULTS | {"URI": uri} | values, environment)


def rows(opened: FilesSource, table: str, **request: Any) -> list[dict[str, Any]]:
    batches = opened.read(ReadRequest("Files", table, **request)).batches
    return [row for batch in batches for row in batch.to_pylist()]


def rows_at(uri: str, table: str, allow: str = "127.0.0.0/8", **values: str) -> list[Any]:
    with source(uri, allow, **values) as opened:
        return rows(opened, table)


def names(opened: FilesSource) -> list[str]:
    return sorted(one.name for one in opened.tables("Files"))


def parquet(**columns: list[Any]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def test_a_file_of_the_web_is_fetched_once() -> None:
    with file_server({"/data/orders.csv": b"a,b\n1,x\n2,y\n"}) as server:
        opened = source(f"{server.url}/data/orders.csv?version=3")
        with opened, pytest.raises(SourceNotFound, match="check URI"):
            opened.test()
        with source(f"{server.url}/data/orders.csv") as opened:
            opened.test()
            assert names(opened) == ["orders"]
            found = rows(opened, "orders", columns=("a", "_modified"))
            assert found == [{"a": n, "_modified": CHANGED} for n in (1, 2)]
            assert rows(opened, "orders") == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
        assert server.asked[-2:] == ["HEAD /data/orders.csv", "GET /data/orders.csv"]


def test_a_redirect_is_followed_where_the_rules_allow_it() -> None:
    with (
        file_server({"/new.csv": b"a\n7\n"}) as target,
        file_server({"/x.csv": f"{target.url}/new.csv", "/y.csv": "/y.csv"}) as server,
    ):
        assert rows_at(f"{server.url}/x.csv", "x") == [{"a": 7}]
        ours_only = server.url.removeprefix("http://")
        target.asked.clear()
        with pytest.raises(SourceRefused, match="TIDEWELL_EGRESS_ALLOW"):
            rows_at(f"{server.url}/x.csv", "x", allow=ours_only)
        assert target.asked == []
        with pytest.raises(SourceNotFound, match="circle"):
            rows_at(f"{server.url}/y.csv", "y")


def test_metadata_services_are_never_reached() -> None:
    for uri in ("http://169.254.169.254/x.csv", "s3://bucket/x.csv"):
        with pytest.raises(SourceRefused, match="reserved"):
            rows_at(uri, "x", allow="0.0.0.0/0", Endpoint="http://169.254.169.254")


def test_a_busy_server_is_asked_again() -> None:
    with file_server({"/x.csv": b"a\n1\n"}) as server:
        server.busy = 2
        assert rows_at(f"{server.url}/x.csv", "x") == [{"a": 1}]
        server.busy = 9
        with pytest.raises(SourceUnavailable, match="busy"):
            rows_at(f"{server.url}/x.csv", "x")


@pytest.mark.parametrize("status", [403, 405, 501])
def test_a_server_that_answers_no_head_is_read(status: int) -> None:
    """As those behind an address that is signed for GET."""
    with file_server({"/x.csv": b"a\n1\n"}) as server:
        server.to_head = status
        with source(f"{server.url}/x.csv") as opened:
            opened.test()
            assert opened.version("Files", "x", "")
            assert rows(opened, "x") == [{"a": 1}]
        with source(f"{server.url}/y.csv") as opened, pytest.raises(SourceNotFound):
            opened.test()


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "\0" + 85 * "数" + ".csv"])
def test_a_file_of_any_name_is_read_though_its_server_packs_it(name: str) -> None:
    path = f"/{quote(name)}"
    with file_server({path: gzip.compress(b"a\n1\n")}) as server:
        server.encoding = "gzip"
        with source(f"{server.url}{path}") as opened:
            [table] = names(opened)
            assert rows(opened, table) == [{"a": 1}]


def test_what_is_fetched_is_bounded_and_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    with file_server({"/x.csv": b"a\n" + b"1\n" * 1000}) as server:
        with source(f"{server.url}/x.csv") as opened:
            assert len(rows(opened, "x")) == 1000
            folder: Path = opened._store.folders()[0]
            assert list(folder.iterdir())
        assert not folder.exists()
        monkeypatch.setattr(spool, "MOST_BYTES", 1000)
        with source(f"{server.url}/x.csv") as opened, pytest.raises(SourceRefused, match="over"):
            rows(opened, "x")


@pytest.mark.parametrize(
    ("uri", "part"),
    [
        ("http:///x.csv", "host"),
        ("https://me:hush@host/x.csv", "credentials"),
        ("https://host/*.csv", "folders"),
        ("https://host/", "name a file"),
        ("ftp://host/x.csv", "ftp"),
        ("s3:///x.csv", "bucket"),
        ("s3://UPPER/x.csv", "bucket"),
    ],
)
def test_addresses_that_cannot_be_are_named(uri: str, part: str) -> None:
    with pytest.raises(SourceRefused, match=part) as told:
        source(uri)
    assert "hush" not in told.value.message


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"AWSAccessKey": "x"}, "AWSSecretKey"),
        ({"AWSRegion": "eu/../x"}, "AWSRegion"),
        ({"Endpoint": "ftp://x"}, "Endpoint"),
        ({"Timeout": "soon"}, "Timeout"),
    ],
)
def test_values_that_cannot_be_are_named(values: dict[str, str], part: str) -> None:
    with pytest.raises(SourceRefused, match=part):
        source("s3://bucket/x.csv", **values)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3") / "server.log") as server:
        server.put("tables", "data/Größe 1+2.csv", b"a\n1\n")
        server.put("tables", "data/people.parquet", parquet(id=[1, 2], name=["Ada", None]))
        for n in (1, 2):
            server.put("tables", f"data/parts/p{n}.parquet", parquet(n=[n]))
        server.put("tables", "data/parts/deep/p3.parquet", parquet(n=[3]))
        server.put("tables", "data/notes.md", b"no table")
        yield server


def test_objects_are_tables_as_files_are(s3: S3Server) -> None:
    with source("s3://tables/data/", **s3.values) as opened:
        opened.test()
        assert names(opened) == ["Größe 1+2", "parts", "people"]
        assert rows(opened, "people") == [{"id": 1, "name": "Ada"}, {"id": 2, "name": None}]
        assert rows(opened, "Größe 1+2") == [{"a": 1}]
        assert sorted(row["n"] for row in rows(opened, "parts")) == [1, 2]
    with source("s3://tables/data/parts/*.parquet", **s3.values) as opened:
        assert names(opened) == ["p1", "p2", "p3", "parts"]
        assert sorted(row["n"] for row in rows(opened, "parts")) == [1, 2, 3]
    with source("s3://tables/data/people.parquet", **s3.values) as opened:
        opened.test()
        assert names(opened) == ["people"]


def test_a_job_can_follow_when_objects_change(s3: S3Server) -> None:
    with source("s3://tables/data/parts/*.parquet", **s3.values) as opened:
        column = next(c for c in opened.columns("Files", "parts") if c.name == "_modified")
        assert column.moves_forward
        assert column.pseudo
        times = [row["_modified"] for row in rows(opened, "parts", columns=("n", "_modified"))]
        assert len(times) == 3
        later = Comparison("_modified", ">", max(times).isoformat().replace("+00:00", "Z"))
        assert rows(opened, "parts", columns=("n", "_modified"), where=(later,)) == []
        newest = Comparison("_modified", ">=", later.value)
        assert rows(opened, "parts", columns=("n",), where=(newest,))


def test_what_is_not_there_is_told(s3: S3Server) -> None:
    with source("s3://nosuchbucket/data/", **s3.values) as opened, pytest.raises(SourceNotFound):
        opened.test()
    with source("s3://tables/none.csv", **s3.values) as opened, pytest.raises(SourceNotFound):
        rows(opened, "none")


def test_an_endpoint_that_is_no_store_is_told() -> None:
    with (
        file_server({"/bucket/?list-type=2&prefix=": b"<html/>"}) as server,
        source("s3://bucket", Endpoint=server.url) as opened,
        pytest.raises(SourceBroken, match="Endpoint"),
    ):
        opened.test()


def test_an_object_has_a_version_that_changes_with_it(s3: S3Server) -> None:
    s3.put("versions", "orders.csv", b"a\n1\n")

    def version() -> str | None:
        with source("s3://versions/orders.csv", **s3.values) as opened:
            return opened.version("Files", "orders", "")

    first = version()
    assert first is not None
    assert version() == first
    with source("s3://versions/orders.csv", **s3.values) as opened:
        assert opened.version("Files", "orders", "") == first
        s3.put("versions", "orders.csv", b"a\n2\n")
        assert rows(opened, "orders") == [{"a": 2}]
        assert opened.version("Files", "orders", "") != first, "another was fetched than listed"
    assert version() not in (None, first)


def test_a_tag_that_another_change_could_share_is_not_taken() -> None:
    with file_server({"/x.csv": b"a\n1\n"}, tags=True) as server:
        with source(f"{server.url}/x.csv") as opened:
            settled = opened.version("Files", "x", "")
            rows(opened, "x")
            assert opened.version("Files", "x", "") == settled
        assert server.asked == ["HEAD /x.csv", "GET /x.csv"]
        server.modified = formatdate(usegmt=True)
        with source(f"{server.url}/x.csv") as opened:
            assert opened.version("Files", "x", "") != settled
        assert server.asked[2:] == ["HEAD /x.csv", "GET /x.csv"], "its bytes tell"


@pytest.mark.parametrize("tag", ["", 'W/"7"', "7", '"a" "b"'])
def test_weak_tags_vouch_for_nothing(tag: str) -> None:
    assert tag_of({"etag": tag, "content-length": "7"}) is None
