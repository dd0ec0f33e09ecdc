"""What PostgreSQL's errors mean for a run: another try, or its end."""

import psycopg
import pytest

from tidewell.cache.address import explained
from tidewell.errors import (
    CacheConflict,
    CacheError,
    CacheRefused,
    CacheUnavailable,
    Disposition,
    ValueDoesNotFit,
)


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        ("40P01", CacheUnavailable),  # deadlock
        ("40001", CacheUnavailable),  # serialization failure
        ("53100", CacheUnavailable),  # disk full
        ("53300", CacheUnavailable),  # too many connections
        ("55P03", CacheUnavailable),  # lock not available
        ("57P01", CacheUnavailable),  # admin shutdown
        ("57P02", CacheUnavailable),  # crash shutdown
        ("57P03", CacheUnavailable),  # it is starting up
        ("08006", CacheUnavailable),  # connection failure
        ("28P01", CacheRefused),  # wrong password
        ("28000", CacheRefused),
        ("3D000", CacheRefused),  # no such database
        ("42501", CacheRefused),  # no privilege
        ("42P07", CacheConflict),  # something stands there
        ("22001", ValueDoesNotFit),  # too long
        ("23502", ValueDoesNotFit),  # NULL where none may be
    ],
)
def test_what_passes_by_itself_is_tried_again_and_nothing_else(
    sqlstate: str, kind: type[CacheError]
) -> None:
    error = explained(psycopg.errors.lookup(sqlstate)("as the server says it"))
    assert type(error) is kind
    passing = error.disposition is Disposition.RETRY
    assert passing == (kind is CacheUnavailable)


def test_what_nobody_has_thought_of_ends_the_run() -> None:
    error = explained(psycopg.errors.SyntaxError("as the server says it"))
    assert type(error) is CacheError
    assert error.disposition is Disposition.FAIL
