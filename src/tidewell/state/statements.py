"""SQL as SQL: statements stand in `.sql` files, each with a name and a comment, and are read here.

-- name: due_jobs
-- Jobs whose time has come, locked so that no other ticker takes them.
SELECT …;
"""

import re
from functools import cache
from importlib.resources import files
from typing import LiteralString, cast

from psycopg import sql

_NAME = re.compile(r"^-- name: *(\w+) *$", re.MULTILINE)


class Statements(dict[str, LiteralString]):
    """The statements of one file by name; an unknown name says which file lacks it."""

    def __init__(self, origin: str) -> None:
        super().__init__()
        self._origin = origin

    def __missing__(self, name: str) -> LiteralString:
        raise KeyError(f"{self._origin} has no statement {name!r}")


@cache
def statements(package: str, file: str) -> Statements:
    """Read the named statements of a `.sql` file that ships inside a package.

    They are the program's own text, which is what LiteralString promises to psycopg.
    """
    text = files(package).joinpath(file).read_text(encoding="utf-8")
    found = Statements(f"{package}/{file}")
    parts = _NAME.split(text)
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        if name in found:
            raise ValueError(f"{package}/{file} has two statements named {name!r}")
        found[name] = cast(LiteralString, body.strip().rstrip(";"))
    return found


def beside_values(*names: str) -> sql.Identifier:
    """A name in a statement that is executed with values: there `%%` stands for `%`."""
    return sql.Identifier(*(name.replace("%", "%%") for name in names))
