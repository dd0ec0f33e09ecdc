"""The writer on each older PostgreSQL, as a user who may only make schemas.

Everything that a load can do is done once there: the statements have to be those of such a server.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pyarrow as pa
import pytest
from psycopg import sql

from tests.conftest import CacheDatabase
from tests.integration.cache import test_anew
from tests.integration.cache.conftest import CachedTable
from tests.integration.cache.older_servers import VERSIONS, older_server
from tests.integration.cache.test_loading import EVERY_TYPE
from tidewell.cache import drop_cached_table
from tidewell.cache import test_address as try_address


@pytest.fixture(scope="module", params=VERSIONS)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with older_server(request.param, tmp_path_factory.mktemp("older")) as running:
        with psycopg.connect(running) as connection:
            assert connection.info.server_version // 10_000 == request.param
        yield running


@pytest.fixture(params=["UTF8", "LATIN1"])
def table(url: str, request: pytest.FixtureRequest) -> CachedTable:
    """A place in a database that belongs to somebody else; the user may make schemas there."""
    name = f"cache_{uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(sql.Identifier(name))
        )
        connection.execute(
            sql.SQL("CREATE DATABASE {} ENCODING {} LOCALE 'C' TEMPLATE template0").format(
                sql.Identifier(name), sql.Literal(request.param)
            )
        )
        connection.execute(
            sql.SQL("GRANT CREATE ON DATABASE {0} TO {0}").format(sql.Identifier(name))
        )
        port = connection.info.port
    return CachedTable(CacheDatabase("127.0.0.1", port, name, "x", name))


def test_everything_works_there(table: CachedTable) -> None:
    try_address(table.address, 5)
    moment = datetime(2024, 1, 1, tzinfo=UTC)

    def version_of(*ids: int, name: str = "é") -> pa.Table:
        return pa.table(
            {
                "id": pa.array(ids, pa.int64()),
                "name": pa.array([f"{name}{one}" * (900 if one == 2 else 1) for one in ids]),
                "at": pa.array([moment] * len(ids), pa.timestamp("us", "UTC")),
            }
        )

    first = table.load(version_of(1, 2, 3), key=("id",), time_column="at", watermark="a")
    same = table.load(version_of(1, 2, 3), key=("id",), time_column="at", watermark="a")
    assert (first.inserted, same.rows_affected) == (3, 0)
    full = table.load(version_of(2, 3, 4), key=("id",), time_column="at")
    assert (full.inserted, full.updated, full.deleted) == (1, 0, 1)
    increment = table.load(
        version_of(3, 5, name="ü"),
        key=("id",),
        mode="incremental",
        keys=version_of(3, 4, 5).select(["id"]),
    )
    assert (increment.inserted, increment.updated, increment.deleted) == (1, 1, 1)
    assert sorted(table.rows("id, name")) == [(3, "ü3"), (4, "é4"), (5, "ü5")]
    table.load(version_of(3).append_column("more", [[1]]))
    table.load(version_of(3, 3).append_column("more", [[1.5, 2.5]]), rebuild=True)
    assert len(table.rows()) == 2
    drop_cached_table(table.address, table.job_id)
    table.load(EVERY_TYPE.select([n for n in EVERY_TYPE.column_names if n != "text"]))
    assert len(table.rows()) == 2


def test_a_new_table_takes_the_place_there(
    table: CachedTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidewell.cache.load._ANEW_ROWS", 0)
    table.load(test_anew.version_of(1), key=("id",), time_column="at")
    number, before = test_anew.number_of(table), test_anew.ask(table, test_anew.BUILT["shape"])
    receipt = table.load(test_anew.version_of(2), key=("id",), time_column="at", upkeep=True)
    assert (receipt.inserted, receipt.deleted) == (10, 10)
    with psycopg.connect(table.database.url) as connection:
        reads_by_pages = connection.info.server_version >= 140_000
    assert (test_anew.number_of(table) != number) == reads_by_pages
    assert test_anew.ask(table, test_anew.BUILT["shape"]) == before
    assert test_anew.left(table) == []
    table.execute(test_anew.BUILT["an_index"])
    number = test_anew.number_of(table)
    table.load(test_anew.version_of(3), key=("id",), time_column="at")
    assert test_anew.number_of(table) == number
