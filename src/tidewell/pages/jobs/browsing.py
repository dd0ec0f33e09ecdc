"""What the tables of a source offer a job: which columns tell what changed."""

from collections.abc import Sequence
from dataclasses import dataclass

from tidewell.connections.opening import OpenedConnection
from tidewell.discovery.asking import Discovery
from tidewell.discovery.messages import FoundTable


@dataclass(frozen=True)
class TableColumns:
    """What a table offers for increments: its columns, and the one that is proposed.

    `why_not` says why there can be no increments, or that the table could not be looked at; it is
    then not known what it offers.
    """

    names: tuple[str, ...] = ()
    proposed: str = ""
    why_not: str = ""
    is_known: bool = False


async def columns(
    discovery: Discovery,
    opened: OpenedConnection,
    asked: Sequence[tuple[str, str]],
    *,
    has_merge_keys: bool = False,
) -> list[TableColumns]:
    """The columns of some tables, each given by schema and name. Raises a SourceError.

    A table without a key offers none, unless the job brings merge keys of its own.
    """
    return [_offered(one, has_merge_keys) for one in await discovery.columns(opened, asked)]


def _offered(found: FoundTable, has_merge_keys: bool) -> TableColumns:
    if found.error:
        return TableColumns(why_not=found.error)
    if not has_merge_keys and not found.has_key:
        why_not = "The table has no key, so each run reads it as a whole."
        return TableColumns(why_not=why_not, is_known=True)
    proposed = next((column.name for column in found.proposed), "")
    return TableColumns(tuple(one.name for one in found.columns), proposed, is_known=True)
