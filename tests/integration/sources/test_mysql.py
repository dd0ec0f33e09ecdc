"""The MySQL driver against a real MariaDB: every value arrives as it is."""

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest

from tests.mariadb_server import MariaDBServer
from tidewell.egress import EgressRules
from tidewell.errors import (
    SourceBroken,
    SourceNotFound,
    SourceRefused,
    SourceUnavailable,
    Stopped,
)
from tidewell.sources.mysql import DRIVER
from tidewell.sources.mysql.source import MySQLSource
from tidewell.sources.protocol import Comparison, Environment, ReadRequest, WritableSource
from tidewell.sources.residual import apply_residual

ALLOWED = Environment(egress=EgressRules.parse("127.0.0.0/8 ::1"))


class Shop:
    """A database of the test's own."""

    def __init__(self, server: MariaDBServer, name: str) -> None:
        self.server = server
        self.name = name

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        with self.server.connect(self.name) as connection, connection.cursor() as cursor:
            # Days that do not exist can be written as by old programs.
            cursor.execute("SET sql_mode = ''")
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def opened(self, **changes: str) -> MySQLSource:
        defaults = {key.name: key.default for key in DRIVER.keys if key.default}
        return DRIVER.open(defaults | self.server.values(self.name) | changes, ALLOWED)


@pytest.fixture
def shop(mariadb: MariaDBServer) -> Iterator[Shop]:
    with mariadb.database() as name:
        yield Shop(mariadb, name)


@pytest.fixture
def source(shop: Shop) -> Iterator[MySQLSource]:
    with shop.opened() as source:
        yield source


def rows(source: MySQLSource, schema: str, table: str, **request: Any) -> list[dict[str, Any]]:
    reading = source.read(ReadRequest(schema, table, **request))
    return [
        row
        for batch in reading.batches
        for row in apply_residual(batch, reading.residual).to_pylist()
    ]


def test_every_type_arrives_as_it_is(shop: Shop, source: MySQLSource) -> None:
    shop.execute(
        """CREATE TABLE t (
            ti TINYINT, tu TINYINT UNSIGNED, si SMALLINT, mi MEDIUMINT UNSIGNED, i INT,
            iu INT UNSIGNED, bi BIGINT, bu BIGINT UNSIGNED, f FLOAT, d DOUBLE, n DECIMAL(38,10),
            n65 DECIMAL(65,30), flag BIT(1), bits BIT(40), y YEAR, day DATE, at DATETIME(6),
            ts TIMESTAMP(3) NULL, tm TIME(6), c CHAR(4), v VARCHAR(7), latin VARCHAR(5) CHARACTER
            SET latin1, t LONGTEXT, e ENUM('sad','happy'), s SET('a','b'), b BLOB, fb BINARY(3),
            j JSON, u UUID, p POINT, ip INET6)""",
        """INSERT INTO t VALUES (-128, 255, -32768, 16777215, -2147483648, 4294967295,
            -9223372036854775808, 18446744073709551615, 0.1, 0.1,
            -1234567890123456789012345678.0123456789,
            12345678901234567890123456789012345.123456789012345678901234567890, 1, 1099511627775,
            2155, '9999-12-31', '1000-01-01 00:00:00.000001', '2026-01-31 10:00:00.125',
            '23:59:59.999999', 'ab', 'Größe', 'ñ', REPEAT('東', 100000), 'happy', 'a,b', x'00ff',
            x'01', '{"a": [1, null]}', '00000000-0000-4000-8000-000000000001', POINT(1, 2),
            '::1')""",
        "INSERT INTO t (i) VALUES (NULL)",
    )
    full, empty = rows(source, shop.name, "t")
    assert full == {
        "ti": -128,
        "tu": 255,
        "si": -32768,
        "mi": 16777215,
        "i": -2147483648,
        "iu": 4294967295,
        "bi": -9223372036854775808,
        "bu": 18446744073709551615,
        "f": pytest.approx(0.1, abs=1e-8),
        "d": 0.1,
        "n": Decimal("-1234567890123456789012345678.0123456789"),
        "n65": "12345678901234567890123456789012345.123456789012345678901234567890",
        "flag": True,
        "bits": 1099511627775,
        "y": 2155,
        "day": date(9999, 12, 31),
        "at": datetime(1000, 1, 1, 0, 0, 0, 1),  # noqa: DTZ001 (it has no zone)
        "ts": datetime(2026, 1, 31, 10, 0, 0, 125000, UTC),
        "tm": time(23, 59, 59, 999999),
        "c": "ab",
        "v": "Größe",
        "latin": "ñ",
        "t": "東" * 100_000,
        "e": "happy",
        "s": "a,b",
        "b": b"\x00\xff",
        "fb": b"\x01\x00\x00",
        "j": '{"a": [1, null]}',
        "u": UUID("00000000-0000-4000-8000-000000000001"),
        "p": "POINT(1 2)",
        "ip": "::1",
    }
    assert set(empty.values()) == {None}
    lengths = {c.name: c.length for c in source.columns(shop.name, "t") if c.length}
    assert lengths == {"c": 4, "v": 7, "latin": 5}


def test_a_float_keeps_all_its_digits(shop: Shop, source: MySQLSource) -> None:
    shop.execute("CREATE TABLE t (f FLOAT)", "INSERT INTO t VALUES (16777215), (0.123456789)")
    found = [row["f"] for row in rows(source, shop.name, "t")]
    assert found == [16777215.0, pa.scalar(0.123456789, pa.float32()).as_py()]


def test_rows_and_values_of_any_length_arrive(shop: Shop, source: MySQLSource) -> None:
    lengths = [0, 1, 250, 251, 65_535, 65_536, 16_777_205, 16_777_215, 16_777_216, 20_000_000, 3]
    shop.execute("SET GLOBAL max_allowed_packet = 67108864", "CREATE TABLE t (n INT, s LONGTEXT)")
    for length in lengths:
        shop.execute(f"INSERT INTO t VALUES ({length}, REPEAT('x', {length}))")  # noqa: S608
    found = rows(source, shop.name, "t")
    assert [(row["n"], len(row["s"])) for row in found] == [(n, n) for n in lengths]


def test_days_that_do_not_exist_are_told(shop: Shop) -> None:
    shop.execute(
        "CREATE TABLE t (i INT, d DATE NOT NULL, at DATETIME, ts TIMESTAMP NULL)",
        "INSERT INTO t VALUES (1, '0000-00-00', '2026-00-00 10:00:00', '0000-00-00'), "
        "(2, '2026-01-31', '2026-01-31 10:00:00', '2026-01-31 10:00:00')",
    )
    told: list[str] = []
    with shop.opened() as source:
        assert rows(source, shop.name, "t")[0] == {"i": 1, "d": None, "at": None, "ts": None}
        assert rows(source, shop.name, "t")[1]["d"] == date(2026, 1, 31)
    environment = Environment(egress=ALLOWED.egress, trace=lambda _, text: told.append(text))
    values = {"Port": "3306", "Timeout": "9"} | shop.server.values(shop.name)
    with DRIVER.open(values, environment) as source:
        rows(source, shop.name, "t", columns=("d",))
    assert any("In d 1 value is no day" in text for text in told)
    with (
        shop.opened(ZeroDatesToNull="False") as source,
        pytest.raises(SourceBroken, match=r"column d holds 0000-00-00.*ZeroDatesToNull"),
    ):
        rows(source, shop.name, "t")


def test_a_time_that_is_no_time_of_a_day_is_said(shop: Shop, source: MySQLSource) -> None:
    shop.execute("CREATE TABLE t (tm TIME)", "INSERT INTO t VALUES ('10:00'), ('-838:59:59')")
    with pytest.raises(SourceBroken, match="-838:59:59"):
        rows(source, shop.name, "t")


def test_comparisons_are_by_value_whatever_the_collation(shop: Shop, source: MySQLSource) -> None:
    shop.execute(
        "CREATE TABLE t (s VARCHAR(9), KEY (s)) COLLATE utf8mb4_general_ci",
        "INSERT INTO t VALUES ('a'), ('A'), ('a '), ('ä'), ('b'), (NULL)",
    )

    def found(operator: Any, value: str) -> list[str]:
        where = (Comparison("s", operator, value),)
        return sorted(row["s"] for row in rows(source, shop.name, "t", where=where))

    assert found("=", "a") == ["a"]
    assert found("<>", "a") == ["A", "a ", "b", "ä"]
    assert found(">=", "b") == ["b", "ä"]
    assert found("<", "a") == ["A"]
    assert found("=", "it's \\ % \" ;") == []
    ordered = rows(source, shop.name, "t", where=(Comparison("s", ">", ""),), order=("s",), limit=3)
    assert [row["s"] for row in ordered] == ["A", "a", "a "]


def test_a_name_that_looks_like_a_parameter_is_compared(shop: Shop, source: MySQLSource) -> None:
    shop.execute(
        "CREATE TABLE t (`rate%sold` VARCHAR(9), `%s` DATETIME)",
        "INSERT INTO t VALUES ('a', '2026-01-01'), ('b', '2026-01-02')",
    )
    where = (Comparison("rate%sold", "=", "b"), Comparison("%s", ">", "2026-01-01T00:00:00"))
    assert [row["rate%sold"] for row in rows(source, shop.name, "t", where=where)] == ["b"]


def test_a_key_that_may_not_be_read_whole_is_none(shop: Shop) -> None:
    user = f"{shop.name}_reader"
    shop.execute(
        "CREATE TABLE t (a INT, b INT, c INT, PRIMARY KEY (a, b))",
        f"CREATE USER {user}@'%' IDENTIFIED BY 'sesame'",
        f"GRANT SELECT (a, c) ON t TO {user}@'%'",
    )
    try:
        with shop.opened(User=user, Password="sesame") as source:
            columns = source.columns(shop.name, "t")
    finally:
        shop.execute(f"DROP USER {user}@'%'")
    assert [(one.name, one.key_position) for one in columns] == [("a", None), ("c", None)]


def test_the_catalogue(shop: Shop, source: MySQLSource) -> None:
    shop.execute(
        """CREATE TABLE `100% it's "odd"` (note TEXT COMMENT 'By hand', b INT, a INT,
            stamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
            created_at DATETIME, KEY (created_at), PRIMARY KEY (a, b))
            COMMENT 'What was ordered'""",
        """INSERT INTO `100% it's "odd"` (note, a, b) VALUES ('x', 1, 2)""",
        """CREATE VIEW seen AS SELECT a FROM `100% it's "odd"`""",
    )
    assert source.schemas()[0] == shop.name
    assert [(t.name, t.kind, t.remarks) for t in source.tables(shop.name)] == [
        ('100% it\'s "odd"', "table", "What was ordered"),
        ("seen", "view", ""),
    ]
    columns = {c.name: c for c in source.columns(shop.name, '100% it\'s "odd"')}
    assert {n: c.key_position for n, c in columns.items() if c.key_position is not None} == {
        "a": 0,
        "b": 1,
    }
    assert [n for n, c in columns.items() if c.moves_forward] == ["stamp"]
    assert columns["note"].remarks == "By hand"
    where = (Comparison("note", "=", "x"),)
    assert rows(source, shop.name, '100% it\'s "odd"', columns=("a", "note"), where=where) == [
        {"a": 1, "note": "x"}
    ]
    assert rows(source, shop.name, "seen") == [{"a": 1}]
    with pytest.raises(SourceNotFound, match="near names: seen"):
        source.columns(shop.name, "sen")
    with pytest.raises(SourceNotFound, match="no database"):
        source.tables("nowhere")


def test_a_reading_is_of_one_moment(shop: Shop, source: MySQLSource) -> None:
    shop.execute("CREATE TABLE t (i INT)", "INSERT INTO t SELECT seq FROM seq_1_to_50000")
    source.columns(shop.name, "t")
    shop.execute("DELETE FROM t WHERE i > 1")
    reading = source.read(ReadRequest(shop.name, "t"))
    first = next(iter(reading.batches))
    assert len(rows(source, shop.name, "t")) == 1  # a reading beside it has its own moment
    assert first.num_rows + sum(batch.num_rows for batch in reading.batches) == 50_000
    assert len(rows(source, shop.name, "t")) == 50_000


def test_statements_and_rows_are_written_whole(shop: Shop, source: MySQLSource) -> None:
    assert isinstance(source, WritableSource)
    shop.execute(
        "CREATE TABLE t (i INT PRIMARY KEY, s TEXT, b BLOB, n DECIMAL(9,2), at DATETIME) "
        "ENGINE=InnoDB"
    )
    batch = pa.RecordBatch.from_pydict(
        {
            "s": ["", None],
            "i": [1, 2],
            "b": [b"\0'\\", None],
            "n": [Decimal("1.50"), None],
            "at": pa.array([0, None], pa.timestamp("s", "UTC")),
        }
    )

    def reader() -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(batch.schema, [batch])

    assert source.insert(shop.name, "t", batch.schema.names, reader()) == 2
    assert shop.execute("SELECT s, i, b, n, at FROM t") == [
        ("", 1, b"\0'\\", Decimal("1.50"), datetime(1970, 1, 1)),  # noqa: DTZ001
        (None, 2, None, None, None),
    ]
    with pytest.raises(SourceRefused, match="Duplicate"):
        source.insert(shop.name, "t", batch.schema.names, reader())
    assert source.execute("UPDATE `t` SET s = 'x'") == 2
    with pytest.raises(SourceRefused, match="syntax"):
        source.execute("DELETE FROM t; DELETE FROM t")
    assert shop.execute("SELECT count(*) FROM t") == [(2,)]


def test_what_is_blocked_ends_at_once_and_changes_nothing(shop: Shop) -> None:
    shop.execute("CREATE TABLE t (i INT) ENGINE=InnoDB", "INSERT INTO t VALUES (1)")
    shop.execute("CREATE VIEW slow AS SELECT SLEEP(60) AS s FROM t")
    with shop.opened() as source:
        threading.Timer(0.5, source.cancel).start()
        with pytest.raises(Stopped):
            rows(source, shop.name, "slow")
    with shop.opened() as source:
        threading.Timer(0.5, source.cancel).start()
        with pytest.raises(Stopped):
            source.execute("DELETE FROM t WHERE SLEEP(60) = 0")
    assert shop.execute("SELECT count(*) FROM t") == [(1,)]


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"Password": "wrong"}, SourceRefused, "does not accept the user or the password"),
        ({"Database": "nowhere"}, SourceRefused, "no database nowhere"),
        ({"Port": "1"}, SourceUnavailable, "refused the connection"),
        ({"Server": "nowhere.invalid"}, SourceUnavailable, "not found. Check Server"),
        ({"Server": "10.0.0.1"}, SourceRefused, "TIDEWELL_EGRESS_ALLOW"),
        ({"SSLMode": "verify-full"}, SourceRefused, "TLS"),
        ({"Timeout": "0"}, SourceRefused, "Timeout must be a number"),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(
    shop: Shop, changes: dict[str, str], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words), shop.opened(**changes) as source:
        source.test()


@pytest.mark.parametrize(
    ("changes", "works"),
    [
        ({"SSLMode": "disable"}, True),
        ({"SSLMode": "prefer"}, True),
        ({"UseSSL": "True"}, True),
        ({"SSLMode": "verify-ca"}, True),
        ({"SSLMode": "verify-full", "Server": "localhost"}, True),
        # The certificate is for localhost, and the address that was pinned is not its name.
        ({"SSLMode": "verify-full", "Server": "127.0.0.1"}, False),
    ],
)
def test_tls_is_verified_by_name_though_the_address_is_pinned(
    shop: Shop, changes: dict[str, str], works: bool
) -> None:
    authority = shop.server.certificates.authority
    shop.execute(
        "CREATE OR REPLACE USER secure@'127.0.0.1' IDENTIFIED BY 'pass'",
        f"GRANT ALL ON {shop.name}.* TO secure@'127.0.0.1'",
    )
    changes = {"User": "secure", "Password": "pass"} | changes
    if changes.get("SSLMode", "").startswith("verify"):
        changes["SSLServerCert"] = authority
    with shop.opened(**changes) as source:
        if works:
            source.test()
        else:
            with pytest.raises(SourceRefused, match="TLS"):
                source.test()
