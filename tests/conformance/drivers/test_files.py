"""The Files driver keeps what every driver has to: Parquet and CSV of a folder, S3, the web."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tests.file_server import file_server
from tests.s3_server import S3Server, s3_server
from tidewell.egress import EgressRules
from tidewell.sources.conformance import (
    TEXTS,
    BigTable,
    Blocked,
    CredentialsConformance,
    DriverConformance,
    Expected,
    HostConformance,
)
from tidewell.sources.files import DRIVER
from tidewell.sources.protocol import Driver, Environment, ReadRequest

FIRST = datetime(2024, 2, 29, 23, 59, 59, 999_998, tzinfo=UTC)
ODD_NAME = """we'ird "name" [1] *.x; ünd länger als dreiundsechzig Zeichen, ganz sicher"""
BIG_ROWS = 400_000
ZONED = pa.timestamp("us", "UTC")


def expected(name: str, columns: Mapping[str, pa.DataType], rows: list[tuple[Any, ...]],
             **more: Any) -> Expected:  # fmt: skip
    named = [dict(zip(columns, row, strict=True)) for row in rows]
    return Expected("Files", name, columns, named, **more)


TYPED = expected(
    "typed",
    {
        "flag": pa.bool_(),
        "i8": pa.int8(),
        "u64": pa.uint64(),
        "exact": pa.decimal128(38, 10),
        "float32": pa.float32(),
        "day": pa.date32(),
        "clock": pa.time64("us"),
        "local": pa.timestamp("us"),
        "zoned": ZONED,
        "raw": pa.binary(),
        "word": pa.string(),
    },
    [
        (None,) * 11,
        (True, -128, 2**64 - 1, Decimal("12345678901234567890.0123456789"), 0.5, date(1900, 1, 1),
         time(23, 59, 59, 999_999), FIRST.replace(tzinfo=None), FIRST, b"\0\xff", "é"),
        (False, 127, 0, Decimal("-0.0000000001"), -1.5, date(9999, 12, 31), time(0),
         datetime(1, 1, 1), datetime(2038, 1, 19, tzinfo=UTC), b"", ""),  # noqa: DTZ001
    ],
    moves_forward=("zoned", "local"),
)  # fmt: skip
TEXT_ROWS = expected("texts", {"text": pa.string()}, [(text,) for text in TEXTS])
EMPTY = expected("empty", {"id": pa.int64(), "name": pa.string()}, [])
WIDE = expected(
    "wide",
    {f"c{n}": pa.string() if n % 2 else pa.int64() for n in range(300)},
    [tuple(f"t{row}" if n % 2 else row * n for n in range(300)) for row in range(3)],
)
ODD = expected(ODD_NAME, {'a "b"': pa.int64(), "select": pa.string(), "ß": pa.bool_()}, [
    (1, "x", True)
])  # fmt: skip
PAGED = expected(
    "paged",
    {"id": pa.int64(), "changed": ZONED},
    [(n, FIRST + timedelta(microseconds=n // 4000)) for n in range(30_000)],
    moves_forward=("changed",),
)
TABLES = (TYPED, TEXT_ROWS, EMPTY, WIDE, ODD, PAGED)


def arrow(table: Expected) -> pa.Table:
    schema = pa.schema(list(table.columns.items()))
    return pa.Table.from_pylist(list(table.rows), schema=schema)


def big_table(folder: Path) -> BigTable:
    return BigTable("Files", "big", BIG_ROWS, {"URI": str(folder / "apart" / "big.parquet")})


class FilesConformance(DriverConformance):
    """What a folder of any format gives."""

    memory_bound = 160 * 2**20

    @pytest.fixture
    def driver(self) -> Driver:
        return DRIVER

    @pytest.fixture
    def typed(self) -> Expected:
        return TYPED

    @pytest.fixture
    def texts(self) -> Expected:
        return TEXT_ROWS

    @pytest.fixture
    def empty(self) -> Expected:
        return EMPTY

    @pytest.fixture
    def wide(self) -> Expected:
        return WIDE

    @pytest.fixture
    def oddly_named(self) -> Expected:
        return ODD

    @pytest.fixture
    def paged(self) -> Expected:
        return PAGED

    @pytest.fixture
    def values(self, folder: Path) -> Mapping[str, str]:
        return {"URI": str(folder)}

    @pytest.fixture
    def environment(self, folder: Path) -> Environment:
        return Environment(file_roots=(folder,), egress=EgressRules.parse("127.0.0.0/8"))

    @pytest.fixture
    def big(self, folder: Path) -> BigTable:
        return big_table(folder)

    @pytest.fixture
    def blocked(self) -> AbstractContextManager[Blocked]:
        @contextmanager
        def hanging() -> Iterator[Blocked]:
            with file_server({"/slow.csv": b"a\n1\n" * 100_000}, held=True) as server:
                request = ReadRequest("Files", "slow")
                yield Blocked({"URI": f"{server.url}/slow.csv"}, request, server.wait_until_asked)

        return hanging()


@pytest.fixture(scope="module")
def parquet_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parquet").resolve()
    for table in TABLES:
        pq.write_table(arrow(table), folder / f"{table.name}.parquet")
    (folder / "apart").mkdir()
    with pq.ParquetWriter(folder / "apart" / "big.parquet", pa.schema([("text", pa.string())]),
                          compression="none", use_dictionary=False) as big:  # fmt: skip
        for _ in range(40):
            rows = BIG_ROWS // 40
            texts = [f"{n:09}" + "x" * 991 for n in range(rows)]
            big.write_table(pa.table({"text": texts}), row_group_size=rows)
    return folder


class TestParquet(FilesConformance):
    @pytest.fixture
    def folder(self, parquet_folder: Path) -> Path:
        return parquet_folder


CSV_TYPED = expected(
    "typed",
    {
        "flag": pa.bool_(),
        "whole": pa.int64(),
        "postcode": pa.string(),
        "day": pa.date32(),
        "clock": pa.time64("us"),
        "at": pa.timestamp("us"),
        "word": pa.string(),
    },
    [
        (None,) * 7,
        (True, -(2**63), "01099", date(1900, 1, 1), time(23, 59, 59), FIRST.replace(tzinfo=None),
         "é"),
        (False, 2**63 - 1, "99999", date(9999, 12, 31), time(0),
         FIRST.replace(tzinfo=None) + timedelta(microseconds=1), "x"),
    ],
    moves_forward=("at",),
)  # fmt: skip
CSV_EMPTY = expected("empty", {"id": pa.string(), "name": pa.string()}, [])
CSV_PAGED = expected(
    "paged",
    {"id": pa.int64(), "changed": pa.timestamp("us")},
    [(row["id"], row["changed"].replace(tzinfo=None)) for row in PAGED.rows],
    moves_forward=("changed",),
)
CSV_ODD = expected(ODD_NAME, dict(ODD.columns), [(1, "x", True)])


@pytest.fixture(scope="module")
def csv_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("csv").resolve()
    for table in (CSV_TYPED, TEXT_ROWS, CSV_EMPTY, WIDE, CSV_ODD, CSV_PAGED):
        pyarrow.csv.write_csv(arrow(table), folder / f"{table.name}.csv")
    return folder


class TestCSV(FilesConformance):
    @pytest.fixture
    def folder(self, csv_folder: Path) -> Path:
        return csv_folder

    @pytest.fixture
    def environment(self, folder: Path, parquet_folder: Path) -> Environment:
        roots = (folder, parquet_folder)
        return Environment(file_roots=roots, egress=EgressRules.parse("127.0.0.0/8"))

    @pytest.fixture
    def big(self, parquet_folder: Path) -> BigTable:
        """What DuckDB may take is the same for every format; finding a CSV file's types takes it
        all, so that a file of twice as much would be the costliest of all tests."""
        return big_table(parquet_folder)

    @pytest.fixture
    def typed(self) -> Expected:
        return CSV_TYPED

    @pytest.fixture
    def empty(self) -> Expected:
        return CSV_EMPTY

    @pytest.fixture
    def paged(self) -> Expected:
        return CSV_PAGED

    @pytest.fixture
    def oddly_named(self) -> Expected:
        return CSV_ODD


class TestS3(HostConformance, CredentialsConformance):
    """Where the files are does not change what is in them: the way there is what differs."""

    @pytest.fixture
    def driver(self) -> Driver:
        return DRIVER

    @pytest.fixture
    def environment(self) -> Environment:
        return Environment(egress=EgressRules.parse("127.0.0.0/8"))

    @pytest.fixture
    def elsewhere(self) -> Callable[[str, int], Mapping[str, str]]:
        return lambda host, port: {
            "URI": "s3://bucket/folder/",
            "Endpoint": f"http://{host}:{port}",
            "Timeout": "1",
        }

    @pytest.fixture
    def guarded(self, s3: S3Server) -> Mapping[str, str]:
        return {"URI": "s3://tables/data/"} | s3.values

    @pytest.fixture
    def wrong(self) -> list[Mapping[str, str]]:
        return [
            {"AWSSecretKey": "notthesecret"},
            {"AWSAccessKey": "AKIANOSUCHKEY"},
        ]


class TestWeb(HostConformance):
    @pytest.fixture
    def driver(self) -> Driver:
        return DRIVER

    @pytest.fixture
    def environment(self) -> Environment:
        return Environment(egress=EgressRules.parse("127.0.0.0/8"))

    @pytest.fixture
    def elsewhere(self) -> Callable[[str, int], Mapping[str, str]]:
        return lambda host, port: {"URI": f"http://{host}:{port}/x.csv", "Timeout": "1"}


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3") / "server.log") as server:
        server.put("tables", "data/a.csv", b"a\n1\n")
        yield server
