"""What the first use of a driver costs a process, paid before anybody waits for it."""

import duckdb

from tidewell.errors import TidewellError
from tidewell.sources import registry

_COMMON = ("Files", "OData", "PostgreSQL")


def warm_up() -> None:
    """Import the common drivers, and let DuckDB look for pandas.

    DuckDB imports pandas, where it is installed, at its first statement with a parameter: the first
    `POST /api/job/create` of a process took about a second for that.
    """
    for name in _COMMON:
        try:
            registry.driver(name)
        except TidewellError:
            continue  # what it needs is not installed here; who asks for it is told
    with duckdb.connect() as connection:
        connection.execute("SELECT 1 = $1", [1])
