"""A user who may make no schemas works in those that were given to it."""

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pyarrow as pa
import pytest
from psycopg import sql

from tests.conftest import CacheDatabase
from tests.integration.cache.conftest import CachedTable
from tidewell.cache import drop_cached_table
from tidewell.cache import test_address as check
from tidewell.cache.plan import Place
from tidewell.errors import CacheRefused
from tidewell.state.embedded import EmbeddedServer

ROWS = pa.table({"id": [1, 2], "city": ["Oslo", "Rome"]})


@pytest.fixture
def poor(server: EmbeddedServer, cache_database: CacheDatabase) -> Iterator[CachedTable]:
    """A table of a role that only connects to the database."""
    role = sql.Identifier("poor_" + cache_database.user)
    with psycopg.connect(server.url(cache_database.database), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'p'").format(role))
        yield CachedTable(
            replace(cache_database, user="poor_" + cache_database.user, password="p"),
            Place("copies", "orders"),
        )
        connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
        connection.execute(sql.SQL("DROP ROLE {}").format(role))


def give(server: EmbeddedServer, table: CachedTable, schema: str) -> None:
    with psycopg.connect(server.url(table.database.database)) as connection:
        connection.execute(
            sql.SQL("CREATE SCHEMA {} AUTHORIZATION {}").format(
                sql.Identifier(schema), sql.Identifier(table.database.user)
            )
        )


def test_two_schemas_are_enough(server: EmbeddedServer, poor: CachedTable) -> None:
    with pytest.raises(CacheRefused, match="CREATE SCHEMA tidewell AUTHORIZATION"):
        check(poor.address, 10)
    give(server, poor, "tidewell")
    check(poor.address, 10)
    with pytest.raises(CacheRefused, match=r"may not make the schema copies.*cacheSchema"):
        poor.load(ROWS)
    give(server, poor, "copies")
    assert poor.load(ROWS, key=("id",)).inserted == 2
    assert poor.load(ROWS.slice(1), key=("id",)).deleted == 1
    drop_cached_table(poor.address, poor.job_id)
    with psycopg.connect(server.url(poor.database.database)) as connection:
        kept = connection.execute(
            "SELECT count(*) FROM pg_namespace WHERE nspname IN ('tidewell', 'copies')"
        ).fetchone()
    assert kept == (2,)
