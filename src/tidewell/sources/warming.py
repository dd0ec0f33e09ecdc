"""What the first use of a driver costs a process, paid before anybody waits for it."""

from tidewell.errors import TidewellError
from tidewell.sources import registry

_COMMON = ("OData", "PostgreSQL")
"""Not Files: DuckDB would be a third of an idle node's memory, for a tenth of a second."""


def warm_up() -> None:
    """Import the common drivers, which the first `POST /api/job/create` would wait for."""
    for name in _COMMON:
        try:
            registry.driver(name)
        except TidewellError:
            continue  # what it needs is not installed here; who asks for it is told
