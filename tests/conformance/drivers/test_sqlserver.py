"""The SQL Server driver, as far as it can be tried without one: no SQL Server installs here.

What reaches a server (addresses, timeouts, the connection string) and what is sent to it (each
statement, read by sqlglot as T-SQL) is tried; that a server answers as Microsoft's documentation
says is not.
"""

from collections.abc import Callable, Mapping
from uuid import UUID

import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from tidewell.egress import EgressRules
from tidewell.errors import InvalidRequest, SourceRefused
from tidewell.sources import registry
from tidewell.sources.conformance import HostConformance
from tidewell.sources.protocol import Column, Comparison, Driver, Environment, ReadRequest
from tidewell.sources.relational.source import typed
from tidewell.sources.relational.statement import Travel, select
from tidewell.sources.server import ServerAddress
from tidewell.sources.sqlserver import DRIVER
from tidewell.sources.sqlserver.session import connection_string
from tidewell.sources.sqlserver.source import DIALECT
from tidewell.sources.sqlserver.types import travel
from tidewell.state.statements import statements

VALUES = {
    "Server": "db.example.com",
    "Port": "1433",
    "User": "reader",
    "Password": "s}cret;UID=sa",
    "Database": "shop};Trusted_Connection={yes",
    "Timeout": "2",
}


class TestReachingAServer(HostConformance):
    @pytest.fixture
    def driver(self) -> Driver:
        return DRIVER

    @pytest.fixture
    def environment(self) -> Environment:
        return Environment(egress=EgressRules.parse("127.0.0.0/8 ::1"))

    @pytest.fixture
    def elsewhere(self) -> Callable[[str, int], Mapping[str, str]]:
        return lambda host, port: {**VALUES, "Server": host, "Port": str(port)}


def parts(text: str) -> dict[str, str]:
    """A connection string as ODBC reads it: values in braces, `}}` for a closing one."""
    found = {}
    while text:
        key, _, rest = text.partition("={")
        value = ""
        while True:
            piece, _, rest = rest.partition("}")
            value += piece
            if not rest.startswith("}"):
                break
            value, rest = value + "}", rest[1:]
        found[key] = value
        text = rest.removeprefix(";")
    return found


@pytest.mark.parametrize("mode", ["", "disable", "require", "verify-full"])
def test_no_value_of_a_customer_becomes_another_key(mode: str) -> None:
    address = ServerAddress.of(VALUES | ({"SSLMode": mode} if mode else {}))
    found = parts(connection_string(address, "203.0.113.7", None))
    assert found["Server"] == "tcp:203.0.113.7,1433"
    assert (found["PWD"], found["UID"]) == (VALUES["Password"], "reader")
    assert found["Database"] == VALUES["Database"]
    assert found["Encrypt"] == ("no" if mode == "disable" else "yes")
    verified = mode == "verify-full"
    assert found["TrustServerCertificate"] == ("no" if verified else "yes")
    assert found.get("HostNameInCertificate") == ("db.example.com" if verified else None)
    assert "Trusted_Connection" not in found


def test_a_server_is_one_host() -> None:
    with pytest.raises(SourceRefused):
        DRIVER.open(VALUES | {"Server": "a,b"}, Environment())


def known(name: str, type_name: str, *facets: int) -> Travel:
    how = travel(type_name, *(facets or (0, 0, 0)))
    return Travel(
        Column(name, how.type),
        how.expression,
        how.compared,
        how.cast,
        inexact=how.inexact,
        operators=how.operators,
    )


COLUMNS = {
    one.column.name: one
    for one in (
        known("id", "int"),
        known('odd "name]', "nvarchar", 100, 0, 0),
        known("changed", "datetimeoffset"),
        known("version", "timestamp"),
        known("amount", "decimal", 9, 18, 2),
        known("place", "geography"),
    )
}


def test_a_request_becomes_one_select_of_tsql() -> None:
    request = ReadRequest(
        'dbo"x',
        "my table",
        where=(
            Comparison("changed", ">=", "2024-01-01T00:00:00Z"),
            Comparison("version", ">", "17"),
            Comparison("amount", "<", "1.50"),
        ),
        order=("id",),
        limit=5,
    )
    chosen = select(DIALECT, COLUMNS, request)
    assert (chosen.residual, chosen.ordered, chosen.limited) == ((), True, True)
    (tree,) = sqlglot.parse(chosen.text, read="tsql")
    assert isinstance(tree, exp.Select)
    assert tree.find(exp.Table) == exp.table_("my table", 'dbo"x', quoted=True)
    assert len(tree.expressions) == len(COLUMNS)
    assert chosen.text.startswith("SELECT TOP (5) ")


def test_texts_are_compared_once_more_and_only_by_equality_at_the_server() -> None:
    name = 'odd "name]'
    equal = select(DIALECT, COLUMNS, ReadRequest("s", "t", where=(Comparison(name, "=", "a"),)))
    assert equal.residual
    assert "N'a'" in equal.text
    less = select(DIALECT, COLUMNS, ReadRequest("s", "t", where=(Comparison(name, "<", "a"),)))
    assert less.residual
    assert "N'a'" not in less.text
    assert not select(DIALECT, COLUMNS, ReadRequest("s", "t", order=(name,))).ordered


@pytest.mark.parametrize(
    "value", ["it's", "a\\\nb", "x'; DROP TABLE t; --", "\\", "\n", "''", "东京"]
)
def test_a_text_ends_where_it_ends(value: str) -> None:
    where = (Comparison('odd "name]', "=", value),)
    chosen = select(DIALECT, COLUMNS, ReadRequest("s", "t", where=where))
    assert "\\\n" not in chosen.text, "T-SQL joins lines that end in a backslash"
    trees = sqlglot.parse(chosen.text, read="tsql")
    assert len(trees) == 1
    literals = [one.this for one in trees[0].find_all(exp.National)]
    assert "".join(literals) == value


def test_every_statement_on_the_catalogue_is_tsql() -> None:
    for text in statements("tidewell.sources.sqlserver", "catalogue.sql").values():
        # sqlglot does not know T-SQL's SET.
        if "\nSET " not in text:
            assert len(sqlglot.parse(text, read="tsql")) == 1


@pytest.mark.parametrize(
    ("name", "facets", "kind"),
    [
        ("bit", (1, 1, 0), pa.bool_()),
        ("tinyint", (1, 3, 0), pa.uint8()),
        ("decimal", (17, 38, 10), pa.decimal128(38, 10)),
        ("money", (8, 19, 4), pa.decimal128(19, 4)),
        ("datetime2", (8, 27, 7), pa.timestamp("us")),
        ("datetimeoffset", (10, 34, 7), pa.timestamp("us", "UTC")),
        ("uniqueidentifier", (16, 0, 0), pa.uuid()),
        ("timestamp", (8, 0, 0), pa.int64()),
        ("xml", (-1, 0, 0), pa.string()),
    ],
)
def test_types(name: str, facets: tuple[int, int, int], kind: pa.DataType) -> None:
    assert travel(name, *facets).type == kind


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary(16)])
def test_a_uniqueidentifier_is_the_one_that_its_text_names(kind: pa.DataType) -> None:
    """Its sixteen bytes stand in another order, so that the server makes them of the text."""
    one = known("id", "uniqueidentifier")
    chosen = select(DIALECT, {"id": one}, ReadRequest("dbo", "t"))
    (convert,) = sqlglot.parse_one(chosen.text, read="tsql").find_all(exp.Convert)
    assert convert.this.sql("tsql") == "BINARY(16)"
    assert convert.expression.sql("tsql") == "REPLACE(CAST([id] AS CHAR(36)), '-', '')"
    assert convert.args["style"].sql("tsql") == "2", "hexadecimal digits without 0x"
    given = UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff")
    batch = pa.record_batch([pa.array([given.bytes, None], kind)], names=["id"])
    assert typed(batch, pa.schema([("id", pa.uuid())]))["id"].to_pylist() == [given, None]


def test_lengths_are_in_characters() -> None:
    assert travel("nvarchar", 100, 0, 0).length == 50
    assert travel("varchar", 100, 0, 0).length == 100
    assert travel("nvarchar", -1, 0, 0).length is None


def test_the_driver_is_found_by_both_of_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert registry.driver("sqlserver") is registry.driver("SQL Server") is DRIVER
    registry.forget()
    monkeypatch.setattr(registry, "_is_installed", lambda package: package != "mssql-python")
    try:
        assert "SQL Server" not in registry.names()
        with pytest.raises(InvalidRequest, match=r"pip install 'tidewell\[mssql\]'"):
            registry.driver("SQL Server")
    finally:
        registry.forget()
