"""What the first use of a driver costs a process, paid before anybody waits for it."""

import duckdb

from tidewell.errors import TidewellError
from tidewell.sources import registry

_COMMON = ("Files", "OData", "PostgreSQL")


def warm_up() -> None:
    """Import the common drivers, and let DuckDB run a first statement with a parameter.

    That is when it looks around for libraries that it could use, which the first
    `POST /api/job/create` of a process would wait for.
    """
    for name in _COMMON:
        try:
            registry.driver(name)
        except TidewellError:
            continue  # what it needs is not installed here; who asks for it is told
    with duckdb.connect() as connection:
        connection.execute("SELECT 1 = $1", [1])
