"""Find what a person means: a job or a connection by its id, the beginning of it, or its name."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from tidewell.cli.calling import Calling
from tidewell.client import AsyncJob, ConnectionSummary
from tidewell.errors import InvalidRequest, NotFound, TidewellError

_SHORTEST_PREFIX = 4


class _Named(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=_Named)


async def job(calling: Calling, text: str) -> AsyncJob:
    """The one job that is meant. Raises NotFound, TidewellError where several are."""
    return one_of("job", text, await calling.client.jobs.list())


async def connection(calling: Calling, text: str) -> ConnectionSummary:
    """The one connection that is meant. Raises as `job` does."""
    return one_of("connection", text, await calling.client.connections.list())


async def schema(calling: Calling, source: ConnectionSummary, table: str) -> str:
    """The one schema of a source that has a table, else the driver's name, which the service then
    judges. Raises InvalidRequest where several have it."""
    try:
        known = await calling.client.catalogue.tables(source.name)
    except TidewellError:
        return source.data_source  # it does not answer now: a job may be made all the same
    found = [row["TABLE_SCHEMA"] for row in known if row["TABLE_NAME"] == table]
    if len(found) > 1 and source.data_source not in found:
        raise InvalidRequest(f"{' and '.join(found)} have a table {table}: give --schema.")
    return found[0] if len(found) == 1 else source.data_source


def one_of(kind: str, text: str, among: Sequence[T]) -> T:
    """The one that has this id, this name (without regard to case), or an id that begins so."""
    wanted = text.casefold()
    for matches in (
        [one for one in among if one.id == wanted],
        [one for one in among if one.name.casefold() == wanted],
        [one for one in among if len(wanted) >= _SHORTEST_PREFIX and one.id.startswith(wanted)],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            ids = ", ".join(one.id for one in matches[:5])
            raise TidewellError(f"{text!r} is the name of several {kind}s: give an id of {ids}.")
    names = ", ".join(sorted({one.name for one in among})[:10]) or "none"
    raise NotFound(f"There is no {kind} {text!r}; there are: {names}.")
