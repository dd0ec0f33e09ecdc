"""Columns whose names the cache cannot hold go by their source's names all the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.acceptance.conftest import caching, connect
from tests.conftest import CacheDatabase
from tests.product import ok, wait_for_end

LONG = "The net amount of the invoice in the currency of the customer before any discount"
FIRST, SECOND = f"{LONG}, planned", f"{LONG}, true"
WIDE = "Größe" * 20
Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(client: httpx.Client, folder: Path, cache: CacheDatabase) -> Ask:
    """Ask about a cached table; `live` is the same table, not cached."""
    lines = f'id,"{FIRST}","{SECOND}",{WIDE},xmin\n1,10,11,a,x\n2,20,22,b,y\n3,30,,c,z\n'
    (folder / "invoices.csv").write_text(lines)
    (folder / "live.csv").write_text(lines)
    source = connect(client, "Office", "Files", f"URI={folder}")
    job = ok(client.post("/api/job/create", json=caching(source, sourceTable="invoices")))["jobs"]
    assert wait_for_end(client, job[0]["id"])["lastRun"]["status"] == "JOB_SUCCESS"
    with psycopg.connect(cache.url) as connection:
        row = connection.execute(
            "SELECT max(length(attname)) FROM pg_attribute "
            "WHERE attrelid = '\"Office\".invoices'::regclass"
        ).fetchone()
    assert row == (63,)

    def run(query: str) -> dict[str, Any]:
        answer = client.post("/api/query", json={"query": query, "defaultCatalog": "Office"})
        [result] = ok(answer)["results"]
        assert ("Age" in answer.headers) == ("invoices" in query)
        return dict(result)

    return run


@pytest.mark.parametrize("table", ["invoices", "live"])
def test_a_star_gives_the_source_s_names(ask: Ask, table: str) -> None:
    result = ask(f"SELECT * FROM {table} ORDER BY id")  # noqa: S608 - names of the test
    assert [column["columnLabel"] for column in result["schema"]] == [
        *("id", FIRST, SECOND, WIDE, "xmin")
    ]
    assert [column["columnName"] for column in result["schema"]][1:3] == [FIRST, SECOND]
    assert result["rows"] == [[1, 10, 11, "a", "x"], [2, 20, 22, "b", "y"], [3, 30, None, "c", "z"]]


@pytest.mark.parametrize("table", ["invoices", "live"])
def test_names_stand_everywhere_in_a_statement(ask: Ask, table: str) -> None:
    result = ask(
        f'SELECT i."{FIRST}" + i.[{SECOND.lower()}] AS [{LONG}, together], xmin AS x '  # noqa: S608 - names of the test
        f"FROM {table} AS i WHERE [{SECOND}] IS NOT NULL AND `{WIDE}` <> 'q' "
        f"GROUP BY [{FIRST}], [{SECOND}], xmin HAVING MAX([{FIRST}]) > 0 "
        f"ORDER BY [{SECOND}] DESC"
    )
    assert result["schema"][0]["columnLabel"] == f"{LONG}, together"
    assert result["rows"] == [[42, "y"], [21, "x"]]


@pytest.mark.parametrize("table", ["invoices", "live"])
def test_names_that_begin_alike_pass_through_derived_tables(ask: Ask, table: str) -> None:
    result = ask(
        f"WITH all_of_them AS (SELECT * FROM {table}), "  # noqa: S608 - names of the test
        f"some AS (SELECT * FROM all_of_them WHERE [{FIRST}] < 30) "
        f"SELECT d.[{SECOND}], d.[{FIRST}] FROM (SELECT * FROM some) AS d ORDER BY d.[{FIRST}]"
    )
    assert [column["columnLabel"] for column in result["schema"]] == [SECOND, FIRST]
    assert result["rows"] == [[11, 10], [22, 20]]


def test_a_cached_and_a_live_table_are_joined_by_them(ask: Ask) -> None:
    result = ask(
        f"SELECT c.[{FIRST}], l.[{SECOND}] FROM invoices c JOIN live l "  # noqa: S608 - names of the test
        f"ON l.[{FIRST}] = c.[{FIRST}] AND l.`{WIDE}` = c.`{WIDE}` WHERE c.[{FIRST}] >= 20 "
        f"ORDER BY 1"
    )
    assert result["rows"] == [[20, 22], [30, None]]


def test_a_comment_that_a_person_wrote_is_no_name(
    ask: Ask, cache: CacheDatabase, client: httpx.Client
) -> None:
    with psycopg.connect(cache.url) as connection:
        connection.execute(
            'COMMENT ON COLUMN "Office".invoices.id '
            "IS '[mine, column xmin; job 6f3cfe6a-72e2-4edb-914f-4409c01c1418]'"
        )
    result = ask("SELECT * FROM invoices WHERE id = 1")
    assert result["schema"][0]["columnLabel"] == "id"
    error = client.post("/api/query", json={"query": f"SELECT [{LONG}, tru] FROM Office.invoices"})  # noqa: S608 - a name of the test
    assert error.status_code == 400
    assert f"near names: {SECOND}" in error.json()["error"]["message"]
