"""What Tidewell keeps in a cache about the tables there, in the schema `tidewell`."""

from typing import Any

from tidewell.cache.address import Connection
from tidewell.cache.plan import Receipt
from tidewell.state.statements import statements

_SQL = statements("tidewell.cache", "table.sql")
BOOKS = statements("tidewell.cache", "bookkeeping.sql")


def make_bookkeeping(connection: Connection) -> None:
    """Make it where it is not there, or not all of it; commits."""
    row = connection.execute(BOOKS["has_bookkeeping"]).fetchone()
    has_tables, has_versions = row or (False, False)
    if not has_tables:
        connection.execute(BOOKS["lock_creation"])
        there = connection.execute(_SQL["schema_exists"], {"schema": "tidewell"}).fetchone()
        if there and not there[0]:
            connection.execute(BOOKS["make_bookkeeping_schema"])
        connection.execute(BOOKS["make_bookkeeping"])
        connection.commit()
    if not has_versions:
        connection.execute(BOOKS["lock_creation"])
        connection.execute(BOOKS["make_versions"])
        connection.commit()


def stored_receipt(stored: dict[str, Any]) -> Receipt:
    """A receipt as it was stored with its rows."""
    lists = {name: tuple(stored.get(name, ())) for name in ("schema_changes", "notes")}
    return Receipt(**(stored | lists))
