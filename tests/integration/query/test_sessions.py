"""A query's process keeps one session on a cache, between queries of the same account only."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.conftest import CacheDatabase
from tests.integration.query.test_tpch import address_of
from tidewell.query.cached import beginning
from tidewell.query.sessions import Sessions

BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
PID = "SELECT pg_backend_pid()"


@pytest.fixture
def sessions() -> Iterator[Sessions]:
    found = Sessions()
    found.keeps = True
    yield found
    found.close()


def pid(connection: psycopg.Connection[tuple[object, ...]]) -> object:
    return connection.execute(PID).fetchone()


def test_the_next_query_of_the_same_cache_gets_the_session(
    sessions: Sessions, cache_database: CacheDatabase
) -> None:
    address = address_of(cache_database)
    first = sessions.begin(address, BEGIN)
    before = pid(first)
    first.execute("SELECT set_config('statement_timeout', '5000', true)")
    sessions.end(address, first, whole=True)
    second = sessions.begin(address, BEGIN)
    assert pid(second) == before
    assert second.execute("SHOW statement_timeout").fetchone() == ("0",)
    assert second.execute("SHOW transaction_read_only").fetchone() == ("on",)
    sessions.end(address, second, whole=False)
    assert second.closed


def test_another_cache_gets_its_own_and_ends_the_other(
    sessions: Sessions, cache_database: CacheDatabase, another_cache: CacheDatabase
) -> None:
    one, other = address_of(cache_database), address_of(another_cache)
    first = sessions.begin(one, BEGIN)
    sessions.end(one, first, whole=True)
    second = sessions.begin(other, BEGIN)
    assert first.closed
    assert second.execute("SELECT current_database()").fetchone() == (another_cache.database,)
    sessions.end(other, second, whole=True)


def test_a_session_that_the_server_has_ended_is_opened_anew(
    sessions: Sessions, cache_database: CacheDatabase
) -> None:
    address = address_of(cache_database)
    first = sessions.begin(address, BEGIN)
    (number,) = first.execute(PID).fetchone() or (0,)
    sessions.end(address, first, whole=True)
    with psycopg.connect(cache_database.url) as connection:
        connection.execute("SELECT pg_terminate_backend(%s::int)", (number,))
    second = sessions.begin(address, BEGIN)
    assert pid(second) != (number,)
    sessions.end(address, second, whole=True)


def test_a_session_with_rows_that_nobody_took_is_not_kept(
    sessions: Sessions, cache_database: CacheDatabase
) -> None:
    address = address_of(cache_database)
    first = sessions.begin(address, BEGIN)
    rows = first.cursor().stream("SELECT generate_series(1, 100000)")
    next(rows)
    sessions.end(address, first, whole=False)
    assert first.closed


def test_a_query_has_the_memory_that_the_server_gives_its_user(
    sessions: Sessions, cache_database: CacheDatabase
) -> None:
    with psycopg.connect(cache_database.url, autocommit=True) as connection:
        connection.execute("ALTER ROLE CURRENT_USER SET work_mem = '7MB'")
    connection = sessions.begin(address_of(cache_database), beginning(60))
    assert connection.execute("SHOW work_mem").fetchone() == ("7MB",)
    assert connection.execute("SHOW statement_timeout").fetchone() == ("1min",)
    sessions.end(address_of(cache_database), connection, whole=True)
