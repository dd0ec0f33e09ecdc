"""Parquet files that a live query's DuckDB reads by itself: those it was handed, and no others."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tidewell.errors import QueryFailed, SourceUnavailable
from tidewell.query.binding import Output
from tidewell.query.ducks import DUCKS
from tidewell.query.engine import Engine
from tidewell.query.live import LiveSession
from tidewell.query.messages import QueryTask
from tidewell.query.opening import engine_of
from tidewell.query.plans import Plan
from tidewell.query.result import as_rows
from tidewell.sources.protocol import FileScan

RELATION = "SELECT id FROM read_parquet(['FILE'])"
Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def ask(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Run a statement over the files of a folder."""
    spill = tmp_path_factory.mktemp("spill")

    def run(text: str) -> list[tuple[Any, ...]]:
        connection = {
            "id": str(UUID(int=1)),
            "name": "Lake",
            "driver": "Files",
            "text": f"URI={tmp_path}",
        }
        task = QueryTask("query", connections=(connection,), file_roots=(str(tmp_path),))
        engine: Engine = engine_of(task, str(spill))
        try:
            result = engine.run(text, {}).result
            return [tuple(row) for chunk in result.chunks for row in as_rows(chunk)]
        finally:
            engine.close()

    return run


def write(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_only_the_files_that_were_handed_over_can_be_opened(tmp_path: Path) -> None:
    handed = write(tmp_path / "handed.parquet", id=[1, 2])
    beside = write(tmp_path / "beside.parquet", id=[3])
    scan = FileScan((handed,), RELATION.replace("FILE", str(handed)))
    # DuckDB may write to its own folder for what memory cannot hold; it is each query's own.
    spill = tmp_path / "spill"
    spill.mkdir()
    session = LiveSession(memory="256MB", threads=1, spill=str(spill), scans={"use 0": scan})
    try:
        assert session.duck.execute('SELECT sum(id) FROM "use 0"').fetchall() == [(3,)]
        for text in (
            RELATION.replace("FILE", str(beside)),
            f"FROM '{beside}'",
            f"FROM glob('{tmp_path}/*')",
            "SELECT * FROM read_text('/etc/passwd')",
            f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
            f"ATTACH '{tmp_path}/other.duckdb'",
            "INSTALL httpfs",
            f"SET allowed_paths = ['{beside}']",
            "SET enable_external_access = true",
        ):
            with pytest.raises(duckdb.Error):
                session.duck.execute(text).fetchall()
    finally:
        session.close()
    assert not (tmp_path / "out.csv").exists()


def test_a_duckdb_waits_for_the_same_account_and_files_only(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{name}.parquet", id=[1, 2]) for name in ("one", "two")]
    one, two = ({"use 0": FileScan((f,), RELATION.replace("FILE", str(f)))} for f in files)
    plan = Plan('SELECT id FROM "use 0"', (), (), (Output("id"),))

    def used(scans: dict[str, FileScan], world: bytes, *, to_the_end: bool = True) -> Any:
        session = LiveSession(
            memory="256MB", threads=1, spill=str(tmp_path), scans=scans, world=world
        )
        with pytest.raises(duckdb.Error):
            session.duck.execute(RELATION.replace("FILE", str(tmp_path / "three.parquet")))
        if to_the_end:
            chunks = session.run(plan, {}, [], schema_only=False).chunks
            assert [row for chunk in chunks for row in as_rows(chunk)] == [(1,), (2,)]
        session.close()
        return session.duck

    write(tmp_path / "three.parquet", id=[3])
    DUCKS.keeps = True
    try:
        first = used(one, b"a")
        assert used(one, b"a") is first
        assert first.execute("SHOW TABLES").fetchall() == [("use 0",)]
        assert used(two, b"a") is not first
        assert used(one, b"b") is not first
        assert used(one, b"a", to_the_end=False) is first
        # A query that did not end well leaves none behind.
        assert used(one, b"a") is not first
    finally:
        DUCKS.keeps = False
        DUCKS.close()


def test_a_duckdb_that_waited_reads_files_as_they_are_now(tmp_path: Path) -> None:
    one, two = tmp_path / "one.parquet", tmp_path / "two.parquet"
    write(two, id=[7])

    def answer(statement: str, **views: Path) -> list[Any]:
        scans = {
            key.replace("_", " "): FileScan((one, two), RELATION.replace("FILE", str(file)))
            for key, file in views.items()
        }
        session = LiveSession(memory="256MB", threads=1, spill=str(tmp_path), scans=scans)
        plan = Plan(statement, (), (), (Output("id"),))
        chunks = session.run(plan, {}, [], schema_only=False).chunks
        rows = [row for chunk in chunks for row in as_rows(chunk)]
        session.close()
        used.add(session.duck)
        return rows

    used: set[Any] = set()
    first = 'SELECT id FROM "use 0"'
    DUCKS.keeps = True
    try:
        write(one, id=[1])
        assert answer(first, use_0=one) == answer(first, use_0=one) == [(1,)]
        write(one, id=["now a text"])
        assert answer(first, use_0=one) == [("now a text",)]
        assert answer(first, use_0=two) == [(7,)]
        # A name that is not a view's any more.
        assert answer('SELECT id FROM "use 1"', use_1=one) == [("now a text",)]
        assert answer('SELECT COUNT(*) FROM "use 0", "use 1"', use_0=two, use_1=one) == [(1,)]
        with pytest.raises(QueryFailed, match="use 1"):
            answer('SELECT id FROM "use 1"', use_0=two)
        write(one, id=[1])
        assert answer(first, use_0=one) == [(1,)]
        one.unlink()
        with pytest.raises(SourceUnavailable, match="cannot be read any more"):
            answer(first, use_0=one)
    finally:
        DUCKS.keeps = False
        DUCKS.close()
    assert len(used) == 2


def test_values_are_those_of_a_read(tmp_path: Path, ask: Ask) -> None:
    columns: dict[str, Any] = {
        "small": pa.array([1, None], pa.uint8()),
        "flag": pa.array([True, None]),
        "price": pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
        "day": pa.array([date(2024, 2, 29), None]),
        "at": pa.array([datetime(2024, 2, 29, 12, tzinfo=UTC), None]),
        "raw": pa.array([b"\x00\xff", None]),
        "word": pa.array(["x", None]).dictionary_encode(),
        "key": pa.array([UUID(int=7).bytes, None], pa.binary(16)).cast(pa.binary(16)),
    }
    write(tmp_path / "plain.parquet", **columns)
    # A nested column goes through Arrow readers: its table has no scan.
    write(tmp_path / "nested.parquet", **columns, more=pa.array([[1, 2], None]))
    names = ", ".join(columns)
    by_itself = ask(f"SELECT {names} FROM Lake.Files.plain")  # noqa: S608 - names of the test
    read = ask(f"SELECT {names}, more FROM Lake.Files.nested")  # noqa: S608 - names of the test
    assert [row[:-1] for row in read] == by_itself
    assert [row[-1] for row in read] == ["[1,2]", None]
    assert by_itself[0][:5] == (
        *(1, True, Decimal("1.50"), date(2024, 2, 29)),
        datetime(2024, 2, 29, 12, tzinfo=UTC),
    )


def test_a_name_with_signs_of_a_glob_is_one_file(tmp_path: Path, ask: Ask) -> None:
    write(tmp_path / "a[1]*.parquet", id=[1])
    write(tmp_path / "a1x.parquet", id=[2])
    assert ask('SELECT id FROM Lake.Files."a[1]*"') == [(1,)]


def test_a_file_that_has_gone_is_told_in_words(tmp_path: Path, ask: Ask) -> None:
    write(tmp_path / "one.parquet", id=[1])
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 is not enough PAR1")
    assert ask("SELECT id FROM Lake.Files.one") == [(1,)]
    with pytest.raises(Exception, match="not what its format says"):
        ask("SELECT * FROM Lake.Files.broken")
