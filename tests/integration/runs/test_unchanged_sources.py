"""A run whose source has not changed reads nothing; whatever else has changed is found."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.file_server import file_server
from tests.integration.runs.conftest import FileJob
from tidewell.runs.messages import Progress

NOTHING_READ = "nothing was read"
TIMED = {"time_column": "id", "merge_keys": ("id",)}


def orders(*names: str) -> pa.Table:
    return pa.table({"id": pa.array(range(len(names)), pa.int64()), "name": list(names)})


def lines(count: int, name: str) -> bytes:
    """A CSV file whose size does not depend on the name's letters."""
    return b"id,name\n" + b"".join(b"%07d,%s\n" % (n, name.encode()) for n in range(count))


def is_read(job: FileJob, **params: Any) -> bool:
    """Run; whether the source was read."""
    job.log.clear()
    receipt = job.run(**params)
    told = any(NOTHING_READ in line for line in job.log)
    assert told == any(NOTHING_READ in note for note in receipt.notes)
    if told:
        assert (receipt.rows_read, receipt.rows_affected, receipt.bytes_copied) == (0, 0, 0)
    return not told


def execute(job: FileJob, statement: str) -> None:
    with psycopg.connect(job.database.url) as connection:
        connection.execute(statement.encode())


@pytest.mark.parametrize("params", [{}, {"merge_keys": ("id",)}, TIMED])
def test_an_unchanged_file_is_not_read(job: FileJob, params: dict[str, Any]) -> None:
    job.run(orders("ada", "bob"), **params)
    assert not is_read(job, **params)
    assert job.rows() == [(0, "ada"), (1, "bob")]
    os.utime(job.folder / "orders.parquet", (1, 1))
    assert not is_read(job, **params), "its bytes are the same"
    job.run(orders("ada", "eve"), **params)
    assert job.rows() == [(0, "ada"), (1, "eve")]


def test_the_watermark_stays(job: FileJob) -> None:
    job.run(orders("ada", "bob"), **TIMED)
    assert not is_read(job, **TIMED)
    job.run(orders("new", "bob", "eve"), **TIMED)
    assert job.rows() == [(0, "ada"), (1, "bob"), (2, "eve")], "an increment from 1 on"
    assert is_read(job, **TIMED), "only a full load is known to hold all"


def test_a_full_refresh_that_is_due_is_done_by_it(job: FileJob) -> None:
    params = TIMED | {"full_refresh_every": 2}
    job.run(orders("ada"), **params)
    assert [is_read(job, **params) for _ in range(3)] == [False, False, False]
    assert is_read(job, **params, reload=True)


OTHERS: dict[str, dict[str, Any]] = {
    "a key": {"merge_keys": ("id",)},
    "columns": {"columns": ("id",)},
    "a time": {"time_column": "id", "merge_keys": ("id",)},
    "cut texts": {"truncate_strings": True},
    "types": {"rebuild_on_type_change": True},
    "a filter": {"filter": "id > 0"},
    "parts": {"max_rows": 1, "time_column": "id", "merge_keys": ("id",)},
}


@pytest.mark.parametrize("other", OTHERS)
def test_other_params_are_another_load(job: FileJob, other: str) -> None:
    job.run(orders("ada", "bob"))
    assert is_read(job, **OTHERS[other])
    assert is_read(job), "and back"


def test_a_filter_may_ask_for_the_time_so_that_it_is_always_read(job: FileJob) -> None:
    job.run(orders("ada"), filter="current_date > '2000-01-01'")
    assert is_read(job, filter="current_date > '2000-01-01'")


def test_other_values_of_the_connection_are_another_source(job: FileJob) -> None:
    job.file = "orders.csv"
    (job.folder / job.file).write_bytes(b"id,name\n1,ada\n2,NA\n")
    job.run()
    assert not is_read(job)
    job.source = {"NullValues": "NA"}
    assert is_read(job)
    assert job.rows() == [(1, "ada"), (2, None)]
    job.source |= {"Timeout": "7"}
    assert not is_read(job), "what is neutral counts for nothing"


def test_times_count_where_they_are_asked_for(job: FileJob) -> None:
    asked = {"columns": ("id", "_modified")}
    job.run(orders("ada"), **asked)
    assert not is_read(job, **asked)
    os.utime(job.folder / "orders.parquet", (1, 1))
    assert is_read(job, **asked)


def test_all_files_of_a_glob_count(job: FileJob) -> None:
    folder = job.folder / "orders"
    folder.mkdir()
    job.file = "orders/*.csv"
    (folder / "a.csv").write_bytes(b"id\n1\n")
    (folder / "b.csv").write_bytes(b"id\n2\n")
    job.run()
    assert not is_read(job)
    (folder / "c.csv").write_bytes(b"id\n3\n")
    assert is_read(job)
    (folder / "a.csv").unlink()
    assert is_read(job)
    assert job.rows() == [(2,), (3,)]
    assert not is_read(job)


def in_the_middle(job: FileJob, work: Callable[[], object]) -> None:
    """Do something once, when the first rows of a run have been read."""

    def seen(message: object) -> None:
        if isinstance(message, Progress):
            job.seen = lambda _: None
            work()

    job.seen = seen


def write_in_place(path: Path, content: bytes) -> None:
    with path.open("r+b") as file:
        file.write(content)


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("loads", [1, 2])
def test_a_file_that_changes_while_it_is_read_is_read_again(
    job: FileJob, loads: int, *, back: bool
) -> None:
    job.file = "orders.csv"
    path = job.folder / job.file
    old, new = lines(300_000, "ada"), lines(300_000, "eve")
    path.write_bytes(lines(300_000, "bob") if loads == 2 else old)
    if loads == 2:
        job.run()
        path.write_bytes(old)

    def change() -> None:
        write_in_place(path, new)
        if back:
            write_in_place(path, old)

    in_the_middle(job, change)
    job.run()
    assert is_read(job)
    assert {name for _, name in job.rows()} == {"ada" if back else "eve"}
    assert not is_read(job)


@settings(max_examples=12)
@given(
    st.lists(
        st.sampled_from(
            [
                "file a",
                "file b",
                "file c",
                "UPDATE {t} SET name = name || '!' WHERE id = 0",
                "INSERT INTO {t} VALUES (7, 'x') ON CONFLICT DO NOTHING",
                "DELETE FROM {t} WHERE id = 1",
                "TRUNCATE {t}",
                "run",
                "increment",
            ]
        ),
        max_size=8,
    )
)
def test_whatever_changes_is_repaired_by_the_next_full_refresh(
    job: FileJob, steps: list[str]
) -> None:
    job.forget()
    job.log.clear()
    files = {
        "file a": orders("a", "b"),
        "file b": orders("b", "a"),
        "file c": orders("a", "b", "c"),
    }
    stands = files["file a"]
    job.run(stands, **TIMED)
    for step in steps:
        if step in files:
            stands = files[step]
            job.run(stands, **TIMED)
        elif step == "increment":
            job.run(**TIMED)
        elif step == "run":
            job.run(**TIMED, full_refresh_every=1)
            assert [{"id": n, "name": name} for n, name in job.rows()] == stands.to_pylist()
        else:
            execute(job, step.format(t='"Shop".orders'))
    job.run(**TIMED, full_refresh_every=1)
    assert [{"id": n, "name": name} for n, name in job.rows()] == stands.to_pylist()


def test_a_file_of_the_web_is_not_even_fetched(job: FileJob) -> None:
    files: dict[str, bytes | str] = {"/orders.csv": b"id\n1\n"}
    with file_server(files, tags=True) as server:
        job.source = {"URI": f"{server.url}/orders.csv", "Timeout": "10"}
        job.run()
        server.asked.clear()
        assert not is_read(job)
        assert server.asked == ["HEAD /orders.csv"]
        files["/orders.csv"] = b"id\n2\n"
        assert is_read(job)
        assert job.rows() == [(2,)]


def test_a_file_of_a_server_that_vouches_for_nothing_is_fetched_only(job: FileJob) -> None:
    files: dict[str, bytes | str] = {"/orders.csv": b"id\n1\n"}
    with file_server(files) as server:
        job.source = {"URI": f"{server.url}/orders.csv", "Timeout": "10"}
        job.run()
        assert not is_read(job)
        files["/orders.csv"] = b"id\n2\n"
        assert is_read(job)
        assert job.rows() == [(2,)]


def test_an_unchanged_database_is_not_read(job: FileJob) -> None:
    job.file = "orders.db"
    with sqlite3.connect(job.folder / job.file) as writing:
        writing.execute("PRAGMA journal_mode = wal")
        writing.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, name TEXT)")
        writing.execute("INSERT INTO orders VALUES (1, 'ada')")
        writing.commit()
        job.run()
        assert not is_read(job)
        writing.execute("UPDATE orders SET name = 'eve'")
        assert not is_read(job), "not committed"
        writing.commit()
        assert is_read(job), "it waits in the file beside"
        assert job.rows() == [(1, "eve")]
        assert not is_read(job)
        in_the_middle(job, lambda: (writing.execute("DELETE FROM orders"), writing.commit()))
        job.run(merge_keys=("name",))
        assert is_read(job, merge_keys=("name",)), "it changed while it was read"
        assert job.rows() == []


def test_a_view_may_depend_on_more_than_the_file(job: FileJob) -> None:
    job.file = "orders.db"
    with sqlite3.connect(job.folder / job.file) as writing:
        writing.execute("CREATE VIEW orders AS SELECT julianday('now') AS now")
    job.run()
    assert is_read(job)
