"""What a request asks for, checked against the columns that a table has."""

from collections.abc import Collection

from tidewell.errors import SourceNotFound
from tidewell.sources.near import near_names
from tidewell.sources.protocol import ReadRequest


def columns_asked_for(request: ReadRequest, names: Collection[str]) -> tuple[str, ...]:
    """The columns to give, in order; all of them where none are named.

    Raises SourceNotFound, with near names, for a column of the request that is not one of `names`.
    """
    wanted = tuple(names) if request.columns is None else request.columns
    for name in (*wanted, *(one.column for one in request.where), *request.order):
        if name not in names:
            raise SourceNotFound(
                f"{request.table} has no column {name[:60]!r}{near_names(name, names)}."
            )
    return wanted
