"""Where in a statement something is wrong, in the words of every message: `line 1, column 8`."""

from sqlglot import exp

from tidewell.errors import Detail, QueryFailed

FIELD = "query"


def refused(node: exp.Expr | None, why: str) -> QueryFailed:
    """An error that names the place of a node, where one of its parts still knows it."""
    return failure(why, place_of(node))


def failure(why: str, place: tuple[int, int] | None = None) -> QueryFailed:
    """An error at a line and a column, both from 1."""
    where = f" (line {place[0]}, column {place[1]})" if place else ""
    message = f"{why}{where}"
    return QueryFailed(f"The query cannot be run: {message}.", details=[Detail(FIELD, message)])


def place_of(node: exp.Expr | None) -> tuple[int, int] | None:
    """The line and the column where a node begins: those of its first part that has them."""
    if node is None:
        return None
    found = [
        (part.meta["line"], part.meta["col"] - (part.meta["end"] - part.meta["start"]))
        for part in node.walk()
        if "line" in part.meta and "start" in part.meta
    ]
    return min(found, default=None)
