"""Workbooks: their sheets, and which columns lose nothing by their types."""

import posixpath
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import duckdb
from lxml import etree

from tidewell.errors import SourceBroken

_LARGEST_PART = 16 * 2**20
_MOST_SHEETS = 1000
_CELL = re.compile(r"([A-Z]{1,3})[0-9]+")


def extension() -> Path:
    """DuckDB's extension that reads workbooks, out of its wheel: nothing is downloaded."""
    folder = Path(str(files("duckdb_extension_excel"))) / "extensions"
    return folder / f"v{duckdb.__version__}" / "excel.duckdb_extension"


def sheets(path: Path) -> list[str]:
    """The names of a workbook's sheets in their order (ECMA-376, 18.2.19). Raises SourceBroken."""
    with _book(path) as book:
        names = [one.get("name", "") for one in _root(book, "xl/workbook.xml").iter("{*}sheet")]
    return [name for name in names if name][:_MOST_SHEETS]


def check_header(path: Path, sheet: str, columns: int) -> None:
    """Raise SourceBroken where the first row of a sheet goes on after so many columns.

    DuckDB ends a sheet at the first cell of that row that stands there and is empty, as one does
    that only has a colour; what stands right of it would be left out without a word.
    """
    with _book(path) as book:
        name = _part(book, sheet)
        filled = [] if name is None else _first_filled(book, name)
    if filled and filled[-1] - filled[0] >= columns:
        raise SourceBroken(
            f"The first row of the sheet {sheet} has an empty cell, its column {columns + 1}, "
            "before other columns: give that column a name, or take it out of the sheet."
        )


@contextmanager
def _book(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as book:
            yield book
    except (zipfile.BadZipFile, KeyError, OSError, etree.XMLSyntaxError) as error:
        raise SourceBroken(f"A file is not what its format says: no workbook: {error}") from error


def _root(book: zipfile.ZipFile, name: str) -> etree._Element:
    with book.open(name) as part:
        content = part.read(_LARGEST_PART)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    return etree.fromstring(content, parser)


def _part(book: zipfile.ZipFile, sheet: str) -> str | None:
    """The part of a workbook that holds a sheet (ECMA-376 part 2, 6.5), if it is to be found."""
    related = "xl/_rels/workbook.xml.rels"
    if related not in book.namelist():
        return None
    targets = {one.get("Id"): one.get("Target", "") for one in _root(book, related)}
    for one in _root(book, "xl/workbook.xml").iter("{*}sheet"):
        ids = [str(value) for name, value in one.items() if str(name).endswith("}id")]
        if one.get("name") == sheet and ids and ids[0] in targets:
            found = posixpath.normpath(posixpath.join("/xl", targets[ids[0]])).lstrip("/")
            return found if found in book.namelist() else None
    return None


def _first_filled(book: zipfile.ZipFile, name: str) -> list[int]:
    """The columns whose cells hold something, of the first row that has one."""
    with book.open(name) as part:
        rows = etree.iterparse(
            part, tag="{*}row", resolve_entities=False, no_network=True, load_dtd=False
        )
        for _, row in rows:
            if filled := _filled(row):
                return filled
            row.clear()
    return []


def _filled(row: etree._Element) -> list[int]:
    """The columns of a row whose cells hold something, as DuckDB sees it (18.3.1.4)."""
    found = []
    column = 0
    for cell in row.iterchildren("{*}c"):
        named = _CELL.fullmatch(cell.get("r", ""))
        column = _number(named[1]) if named else column + 1
        if any(one.text or len(one) for one in cell.iterchildren("{*}v", "{*}is")):
            found.append(column)
    return found


def _number(letters: str) -> int:
    """Which column has these letters: 1 for A, 27 for AA."""
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number
