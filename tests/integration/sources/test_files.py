"""The Files driver: which files are tables, what their columns are, and what stays closed."""

import gzip
import json
import os
import re
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tidewell.errors import SourceBroken, SourceNotFound, SourceRefused, Stopped
from tidewell.sources.files import DRIVER, ducks
from tidewell.sources.files.excel import extension
from tidewell.sources.files.source import FilesSource
from tidewell.sources.protocol import Comparison, Environment, ReadRequest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def source(folder: Path, uri: str | None = None, **values: str) -> FilesSource:
    defaults = {key.name: key.default for key in DRIVER.keys if key.default}
    defaults["URI"] = uri or str(folder)
    return DRIVER.open(defaults | values, Environment(file_roots=(folder.resolve(),)))


def names(opened: FilesSource) -> list[str]:
    return sorted(table.name for table in opened.tables("Files"))


def rows(opened: FilesSource, table: str, **request: Any) -> list[dict[str, Any]]:
    batches = opened.read(ReadRequest("Files", table, **request)).batches
    return [row for batch in batches for row in batch.to_pylist()]


def types(opened: FilesSource, table: str) -> dict[str, str]:
    columns = opened.columns("Files", table)
    return {column.name: str(column.type) for column in columns if not column.pseudo}


def test_a_file_a_folder_and_a_glob_are_tables(folder: Path) -> None:
    (folder / "one.csv").write_text("a\n1\n")
    (folder / "two.csv").write_text("a\n2\n")
    (folder / "notes.md").write_text("not a table")
    (folder / ".hidden.csv").write_text("a\n3\n")
    (folder / "parts").mkdir()
    for number in (1, 2):
        (folder / "parts" / f"p{number}.csv").write_text(f"a\n{number}\n")

    assert names(source(folder)) == ["one", "parts", "two"]
    assert names(source(folder, str(folder / "one.csv"))) == ["one"]
    assert names(source(folder, f"{folder}/*.csv")) == ["data", "one", "two"]
    assert names(source(folder, (folder / "one.csv").as_uri())) == ["one"]
    assert sorted(row["a"] for row in rows(source(folder), "parts")) == [1, 2]
    assert sorted(row["a"] for row in rows(source(folder, f"{folder}/*.csv"), "data")) == [1, 2]


def test_csv_keeps_what_is_written(folder: Path) -> None:
    (folder / "t.csv").write_text(
        "postcode,big,exact,day,at,flag,text,none\n"
        "01099,9007199254740993,0.12345678901234567891,2026-01-31,2026-01-31 10:00:00,true,"
        '"a ""b"", c",\n'
        '88662,18446744073709551616,1.5,2026-02-01,2026-02-01 11:00:00,false,"line\nbreak",\n'
    )
    opened = source(folder)
    kinds = types(opened, "t")
    assert kinds["postcode"] == "string"
    assert kinds["day"] == "date32[day]"
    assert kinds["at"].startswith("timestamp")
    first, second = rows(opened, "t")
    assert (first["postcode"], second["postcode"]) == ("01099", "88662")
    assert (str(first["big"]), str(second["big"])) == ("9007199254740993", "18446744073709551616")
    assert Decimal(str(first["exact"])) == Decimal("0.12345678901234567891")
    assert first["day"] == date(2026, 1, 31)
    assert (first["text"], second["text"]) == ('a "b", c', "line\nbreak")
    assert first["none"] is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a;b\n1;x\n2;y\n", [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
        ("a\tb\n1\tx\n2\ty\n", [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
        ("a,b\r\n1,é\r\n2,💥\r\n", [{"a": 1, "b": "é"}, {"a": 2, "b": "💥"}]),
        ("\ufeffa,b\n1,x\n", [{"a": 1, "b": "x"}]),
        ("a,b\n", []),
        ("a,b\n1,\n,y\n", [{"a": 1, "b": None}, {"a": None, "b": "y"}]),
        ('a,b\n1,""\n2,x\n', [{"a": 1, "b": ""}, {"a": 2, "b": "x"}]),
    ],
)
def test_csv_dialects(folder: Path, text: str, found: list[dict[str, Any]]) -> None:
    (folder / "t.csv").write_bytes(text.encode())
    assert rows(source(folder), "t") == found


def test_a_type_is_that_of_the_whole_file(folder: Path) -> None:
    numbers = "".join(f"{number}\n" for number in range(30_000))
    (folder / "t.csv").write_text(f"a\n{numbers}not a number\n")
    opened = source(folder)
    assert types(opened, "t") == {"a": "string"}
    assert rows(opened, "t")[-1] == {"a": "not a number"}


@pytest.mark.parametrize(
    ("days", "found"),
    [
        ([["01/02/2026"], ["01/13/2026"]], [date(2026, 1, 2), date(2026, 1, 13)]),
        ([["01/02/2026"], ["13/01/2026"]], [date(2026, 2, 1), date(2026, 1, 13)]),
        ([["01.02.2026"], ["03.02.2026"]], [date(2026, 2, 1), date(2026, 2, 3)]),
        ([["2026-02-01"], ["2026/02/03"]], [date(2026, 2, 1), date(2026, 2, 3)]),
        ([["01/02/2026"]], ["01/02/2026"]),
        ([["13/01/2026"], ["01/13/2026"]], ["13/01/2026", "01/13/2026"]),
        ([["01/13/2026"], ["2026-01-14"]], ["01/13/2026", "2026-01-14"]),
        ([["01/13/2026"], ["01-14-2026"]], ["01/13/2026", "01-14-2026"]),
        ([["01/02/2026 10:00:00"]], ["01/02/2026 10:00:00"]),
        (
            [["13/02/2026 10:00:00"], ["01/02/2026 10:00:00"]],
            [datetime(2026, 2, 13, 10), datetime(2026, 2, 1, 10)],  # noqa: DTZ001
        ),
    ],
)
def test_a_date_is_one_where_all_files_tell_its_day(
    folder: Path, days: list[list[str]], found: list[Any]
) -> None:
    (folder / "parts").mkdir()
    for number, values in enumerate(days):
        lines = "".join(f"{day},x\n" for day in values)
        (folder / "parts" / f"p{number}.csv").write_text(f"day,word\n{lines}")
    opened = source(folder)
    assert [row["day"] for row in rows(opened, "parts")] == found


def test_texts_that_mean_no_value(folder: Path) -> None:
    (folder / "t.csv").write_text("a,b\n1,NA\nNA,x\nnull,NAN\n")
    found = rows(source(folder, NullValues="NA, null"), "t")
    assert found == [{"a": 1, "b": None}, {"a": None, "b": "x"}, {"a": None, "b": "NAN"}]


def test_without_a_header_the_columns_have_numbers(folder: Path) -> None:
    (folder / "t.csv").write_text("1,x\n2,y\n")
    found = rows(source(folder, IncludeColumnHeaders="False"), "t")
    assert [list(row.values()) for row in found] == [[1, "x"], [2, "y"]]


def test_json_lines_an_array_and_a_packed_file(folder: Path) -> None:
    items = [
        {"id": 1, "tags": ["a", "b"], "who": {"name": "Ada"}},
        {"id": 2, "tags": [], "who": None},
    ]
    (folder / "lines.jsonl").write_text("\n".join(json.dumps(item) for item in items))
    (folder / "array.json").write_text(json.dumps(items))
    with gzip.open(folder / "packed.json.gz", "wt") as packed:
        packed.write(json.dumps(items))
    opened = source(folder)
    assert names(opened) == ["array", "lines", "packed"]
    for table in ("array", "lines", "packed"):
        found = rows(opened, table)
        assert [row["id"] for row in found] == [1, 2]
        assert json.loads(found[0]["tags"]) == ["a", "b"]
        assert json.loads(found[0]["who"]) == {"name": "Ada"}


def test_parquet_keeps_its_types(folder: Path) -> None:
    table = pa.table(
        {
            "id": pa.array([1, None], pa.int16()),
            "amount": pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
            "at": pa.array([datetime(2026, 1, 1, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
            "raw": pa.array([b"\0\xff", None], pa.binary()),
        }
    )
    pq.write_table(table, folder / "t.parquet")
    opened = source(folder)
    assert types(opened, "t") == {
        "id": "int16",
        "amount": "decimal128(10, 2)",
        "at": "timestamp[us, tz=UTC]",
        "raw": "binary",
    }
    assert rows(opened, "t") == table.to_pylist()


def test_columns_conditions_and_limits_are_pushed_down(folder: Path) -> None:
    (folder / "t.csv").write_text(
        "id,day\n" + "".join(f"{n},2026-01-{n:02}\n" for n in range(1, 29))
    )
    opened = source(folder)
    where = (Comparison("day", ">=", "2026-01-27"),)
    reading = opened.read(ReadRequest("Files", "t", columns=("id",), where=where))
    assert reading.residual == ()
    assert [row for batch in reading.batches for row in batch.to_pylist()] == [
        {"id": 27},
        {"id": 28},
    ]
    assert len(rows(opened, "t", limit=3)) == 3
    assert len(rows(opened, "t", order=("day",), limit=3)) == 28, "files have no order to keep"


def test_odd_names_are_names(folder: Path) -> None:
    odd = """we'ird "name" [1] *.x"""
    (folder / f"{odd}.csv").write_text('"a ""b""",select\n1,2\n')
    opened = source(folder)
    assert names(opened) == [odd]
    assert rows(opened, odd) == [{'a "b"': 1, "select": 2}]


def test_nothing_outside_the_allowed_folders_is_read(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("password\nhunter2\n")
    (tmp_path / "data-beside").mkdir()
    (tmp_path / "data-beside" / "x.csv").write_text("a\n1\n")
    (folder / "link.csv").symlink_to(secret)
    (folder / "linked").symlink_to(tmp_path)
    (folder / "fine.csv").write_text("a\n1\n")

    assert names(source(folder)) == ["fine"]
    for uri in (
        str(secret),
        f"{folder}/../secret.csv",
        f"{folder}/link.csv",
        f"{folder}/linked/secret.csv",
        f"{tmp_path}/data-beside",
        f"{tmp_path}/*.csv",
        f"{folder}/../*.csv",
        "/etc/passwd",
        "/",
        "relative.csv",
        "file://elsewhere/etc/passwd",
        "ftp://127.0.0.1/x.csv",
    ):
        with pytest.raises(SourceRefused):
            source(folder, uri).tables("Files")
    assert names(source(folder, f"{folder}/*/*.csv")) == []


def test_one_table_is_found_as_among_all(folder: Path, tmp_path: Path) -> None:
    """A table that is named is looked for alone, in a folder that may hold thousands."""
    secret = tmp_path / "secret.csv"
    secret.write_text("password\nhunter2\n")
    (folder / "a.csv").write_text("a\n1\n")
    (folder / "a.json").write_text('{"a": 2}\n')
    (folder / "b.csv.gz").write_bytes(gzip.compress(b"a\n3\n"))
    (folder / "c").mkdir()
    (folder / "c" / "1.csv").write_text("a\n4\n")
    (folder / "c" / "link.csv").symlink_to(secret)
    (folder / "d.csv").mkdir()
    (folder / "d.csv" / "1.csv").write_text("a\n5\n")
    (folder / "e.csv").symlink_to(folder / "a.csv")
    (folder / "f.csv").symlink_to(secret)
    (folder / "g.csv").symlink_to(folder / "nothing.csv")
    (folder / "h").symlink_to(folder / "c")
    (folder / "i").symlink_to(tmp_path)
    (folder / "j.txt.bak").write_text("a\n6\n")
    (folder / ".k.csv").write_text("a\n7\n")

    with source(folder) as opened:
        every = opened._tables
    assert set(every) == {"a", "b", "c", "d.csv", "e", "h"}
    for name in (*every, "d", "f", "g", "i", "j", "j.txt", ".k", "k", "1"):
        with source(folder) as opened:
            assert opened._store.table(name) == every.get(name), name


def test_a_file_of_two_names_is_read_once(folder: Path) -> None:
    orders = folder / "orders"
    orders.mkdir()
    (orders / "2023.csv").write_text("id\n1\n")
    (orders / "2024.csv").write_text("id\n2\n")
    (orders / "latest.csv").symlink_to(orders / "2024.csv")
    for uri in (str(folder), f"{orders}/*.csv"):
        opened = source(folder, uri)
        assert sorted(row["id"] for row in rows(opened, "orders")) == [1, 2]
    assert rows(source(folder, str(orders)), "latest") == [{"id": 2}]


def test_what_leads_nowhere_hides_nothing_else(folder: Path) -> None:
    (folder / "people.csv").write_text("a\n1\n")
    (folder / "round").symlink_to(folder / "about")
    (folder / "about").symlink_to(folder / "round")
    assert names(source(folder)) == ["people"]


def test_without_allowed_folders_nothing_is_read(folder: Path) -> None:
    (folder / "t.csv").write_text("a\n1\n")
    opened = DRIVER.open({"URI": str(folder), "Format": "Auto"}, Environment(file_roots=()))
    with pytest.raises(SourceRefused, match="TIDEWELL_FILES_ROOT"):
        opened.test()


def test_what_does_not_exist_is_named_with_near_names(folder: Path) -> None:
    (folder / "people.csv").write_text("a\n1\n")
    (folder / "odd.xyz").write_text("a\n")
    with pytest.raises(SourceNotFound, match="near names: people"):
        source(folder).columns("Files", "Peeple")
    with pytest.raises(SourceNotFound, match="no file"):
        source(folder, f"{folder}/gone.csv").tables("Files")
    with pytest.raises(SourceNotFound, match="Files"):
        source(folder).columns("Elsewhere", "people")
    with pytest.raises(SourceNotFound, match="Format"):
        source(folder, f"{folder}/odd.xyz").tables("Files")


@pytest.mark.parametrize(
    ("name", "content"),
    [("t.parquet", b"no parquet"), ("t.json", b"{{{"), ("t.csv", b"a,b\n1,\xff\xfe\n")],
)
def test_a_broken_file_is_said_to_be_broken(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(SourceBroken, match="format"):
        rows(source(folder), "t")


def test_a_read_can_be_cancelled(folder: Path) -> None:
    (folder / "t.csv").write_text("a\n" + "1\n" * 500_000)
    opened = source(folder)
    batches = iter(opened.read(ReadRequest("Files", "t")).batches)
    next(batches)
    opened.cancel()
    with pytest.raises(Stopped):
        list(batches)


def test_many_files_and_long_lines_stay_within_the_memory(folder: Path) -> None:
    (folder / "parts").mkdir()
    for number in range(200):
        (folder / "parts" / f"p{number}.csv").write_text(f"a,b\n{number},x\n")
    (folder / "parts" / "long.csv").write_text(f"a,b\n1,{'x' * 10_000_000}\n")
    found = rows(source(folder), "parts")
    assert len(found) == 201
    assert max(len(row["b"]) for row in found) == 10_000_000


def workbook(path: Path, sheets: dict[str, str]) -> None:
    """A workbook of DuckDB's own making; its sheets are what the statements give."""
    connection = duckdb.connect()
    connection.execute(f"LOAD '{extension()}'")
    parts = {}
    for position, (name, statement) in enumerate(sheets.items()):
        one = path.with_suffix(f".{position}.tmp")
        connection.execute(
            f"COPY ({statement}) TO '{one}' (FORMAT xlsx, HEADER true, SHEET '{name}')"
        )
        parts[name] = one
    merge_sheets(path, parts)


def merge_sheets(path: Path, parts: dict[str, Path]) -> None:
    """Workbooks of one sheet each as the sheets of one (ECMA-376, 18.2)."""
    listed = "".join(
        f'<sheet name="{name}" sheetId="{n}" r:id="rId{n}"/>' for n, name in enumerate(parts, 1)
    )
    space = "http://schemas.openxmlformats.org"
    related = "".join(
        f'<Relationship Id="rId{n}" Target="worksheets/sheet{n}.xml" '
        f'Type="{space}/officeDocument/2006/relationships/worksheet"/>'
        for n, _ in enumerate(parts, 1)
    )
    with zipfile.ZipFile(path, "w") as book:
        for n, part in enumerate(parts.values(), 1):
            with zipfile.ZipFile(part) as single:
                for name in single.namelist():
                    if "worksheets/sheet1" in name:
                        book.writestr(f"xl/worksheets/sheet{n}.xml", single.read(name))
                    elif n == 1 and not name.startswith(("xl/workbook", "xl/_rels/workbook")):
                        book.writestr(name, single.read(name))
        book.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{space}/spreadsheetml/2006/main" '
            f'xmlns:r="{space}/officeDocument/2006/relationships"><sheets>{listed}</sheets>'
            "</workbook>",
        )
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{space}/package/2006/relationships">{related}</Relationships>',
        )


def test_the_sheets_of_a_workbook_are_tables(folder: Path) -> None:
    first = "SELECT 1.5 AS n, 'x' AS word, DATE '2026-01-31' AS day, true AS flag"
    workbook(folder / "book.xlsx", {"Main": first, "Second one": "SELECT 'y' AS a"})
    opened = source(folder)
    assert names(opened) == ["book", "book.Second one"]
    assert rows(opened, "book") == [{"n": 1.5, "word": "x", "day": date(2026, 1, 31), "flag": True}]
    assert rows(opened, "book.Second one") == [{"a": "y"}]


def test_a_column_of_cells_of_several_types_is_text(folder: Path) -> None:
    mixed = "SELECT 1 AS n, NULL AS late UNION ALL SELECT 2, 'a word' UNION ALL SELECT NULL, '3'"
    workbook(folder / "book.xlsx", {"Main": mixed})
    opened = source(folder)
    assert types(opened, "book") == {"n": "double", "late": "string"}
    assert rows(opened, "book") == [
        {"n": 1.0, "late": None},
        {"n": 2.0, "late": "a word"},
        {"n": None, "late": "3"},
    ]


def test_a_sheet_goes_on_after_an_empty_row(folder: Path) -> None:
    gaps = "SELECT * FROM (VALUES (1, 'a'), (NULL, NULL), (NULL, 'b'), (3, NULL), (NULL, NULL))"
    workbook(folder / "book.xlsx", {"Main": f"{gaps} AS t (n, word)"})
    workbook(folder / "mixed.xlsx", {"Main": f"{gaps} AS t (n, word) UNION ALL SELECT 'x', 'y'"})
    opened = source(folder)
    found = [{"n": 1, "word": "a"}, {"n": None, "word": "b"}, {"n": 3, "word": None}]
    assert rows(opened, "book") == found
    texts = [{"n": "1", "word": "a"}, {"n": None, "word": "b"}, {"n": "3", "word": None}]
    assert rows(opened, "mixed") == [*texts, {"n": "x", "word": "y"}]


@pytest.mark.parametrize(("emptied", "said"), [("B1", "column 2"), ("C1", None)])
def test_a_column_right_of_an_empty_name_is_not_left_out_silently(
    folder: Path, emptied: str, said: str | None
) -> None:
    workbook(folder / "whole.xlsx", {"Main": "SELECT 'x' AS a", "Two": "SELECT 1 a, 2 b, 3 c"})
    with (
        zipfile.ZipFile(folder / "whole.xlsx") as whole,
        zipfile.ZipFile(folder / "book.xlsx", "w") as book,
    ):
        for name in whole.namelist():
            content = whole.read(name).decode()
            if name == "xl/worksheets/sheet2.xml":
                cell = rf'<c r="{emptied}"[^>]*>.*?</c>'
                content, changed = re.subn(cell, f'<c r="{emptied}" s="1"/>', content, count=1)
                assert changed
            book.writestr(name, content)
    opened = source(folder)
    if said is None:
        assert types(opened, "book.Two") == {"a": "double", "b": "double"}
        return
    with pytest.raises(SourceBroken, match=said):
        opened.columns("Files", "book.Two")


def test_a_workbook_that_is_none_is_told(folder: Path) -> None:
    (folder / "book.xlsx").write_bytes(b"PK no workbook")
    (folder / "fine.csv").write_text("a\n1\n")
    opened = source(folder)
    assert names(opened) == ["book", "fine"]
    with pytest.raises(SourceBroken, match="workbook"):
        opened.columns("Files", "book")


def test_when_a_file_was_changed_is_given_where_it_is_asked_for(folder: Path) -> None:
    (folder / "parts").mkdir()
    for n in (1, 2, 3):
        part = folder / "parts" / f"p{n}.csv"
        part.write_text(f"n,extra{n}\n{n},x\n")
        os.utime(part, (1_700_000_000 + n, 1_700_000_000.25 + n))
    opened = source(folder)
    assert "_modified" not in rows(opened, "parts")[0]
    times = {
        row["n"]: row["_modified"] for row in rows(opened, "parts", columns=("n", "_modified"))
    }
    assert times[1] == datetime(2023, 11, 14, 22, 13, 21, 250_000, tzinfo=UTC)
    edge = times[2].isoformat().replace("+00:00", "Z")
    for operator, kept in ((">=", [2, 3]), (">", [3]), ("=", [2]), ("<", [1])):
        where = (Comparison("_modified", operator, edge),)
        found = rows(opened, "parts", where=where, columns=("n", "extra1", "_modified"))
        assert sorted(row["n"] for row in found) == kept
    one = rows(opened, "parts", where=(Comparison("_modified", ">", edge),))
    assert one == [{"n": 3, "extra1": None, "extra2": None, "extra3": "x"}]


def test_a_file_with_a_column_of_that_name_keeps_its_own(folder: Path) -> None:
    (folder / "t.csv").write_text("_modified,b\nsoon,1\n")
    opened = source(folder)
    assert [c.name for c in opened.columns("Files", "t")] == ["_modified", "b"]
    where = (Comparison("_modified", "=", "soon"),)
    assert rows(opened, "t", where=where) == [{"_modified": "soon", "b": 1}]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_duckdb_that_waited_reads_a_file_as_it_is_now(folder: Path, ending: str) -> None:
    """Even one of the same size and times."""
    file = folder / f"t.{ending}"

    def write(value: int) -> None:
        if ending == "csv":
            file.write_text(f"a\n{value}\n")
        else:
            pq.write_table(pa.table({"a": [value]}), file)
        os.utime(file, ns=(10**18, 10**18))

    ducks._KEPT.clear()
    waited = None
    for value in (11, 22, 33):
        write(value)
        with source(folder) as opened:
            assert rows(opened, "t") == [{"a": value}]
        [(_, kept)] = ducks._KEPT
        assert waited in (None, kept)
        waited = kept


def test_a_duckdb_waits_for_the_same_folders_only(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for place in (folder, other):
        (place / "t.csv").write_text("a\n1\n")
        with source(place) as opened:
            assert rows(opened, "t") == [{"a": 1}]
            elsewhere = folder if place == other else other
            duck = opened._duck(opened._table("Files", "t"))
            with pytest.raises(duckdb.PermissionException):
                duck.execute(f"FROM read_csv('{elsewhere}/t.csv')")
        assert len(ducks._KEPT) == 1


def test_a_duckdb_that_is_shut_does_not_wait(folder: Path) -> None:
    (folder / "t.csv").write_text("a\n1\n")
    with source(folder) as opened:
        assert rows(opened, "t") == [{"a": 1}]
    ducks._KEPT[0][1].close()
    with source(folder) as opened:
        assert rows(opened, "t") == [{"a": 1}]


def test_sources_that_are_open_at_once_have_each_their_own(folder: Path) -> None:
    (folder / "t.csv").write_text("a\n" + "1\n" * 100_000)
    with source(folder) as first, source(folder) as second:
        begun = first.read(ReadRequest("Files", "t")).batches
        begun.read_next_batch()
        second.cancel()
        assert sum(batch.num_rows for batch in begun) > 50_000
    assert len(ducks._KEPT) == 1
    with source(folder) as third:
        first.cancel()  # too late
        assert len(rows(third, "t")) == 100_000
