"""From files to tables: names, formats, and which files belong together."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from tidewell.errors import SourceNotFound

Format = Literal["CSV", "JSON", "Parquet", "Excel"]
FORMATS: tuple[Format, ...] = get_args(Format)

_ENDINGS: dict[str, Format] = {
    ".csv": "CSV",
    ".tsv": "CSV",
    ".txt": "CSV",
    ".json": "JSON",
    ".jsonl": "JSON",
    ".ndjson": "JSON",
    ".parquet": "Parquet",
    ".xlsx": "Excel",
}
MOST_FILES = 10_000
_PACKED = (".gz", ".zst")


@dataclass(frozen=True)
class StoredFile:
    """A file as its store lists it; `address` is what the store fetches it by.

    `modified` is when it was last changed, and `version` what the store vouches for (see
    `files.version`); None where the store tells that with the file only.
    """

    name: str
    address: str
    modified: datetime | None = None
    version: str | None = None


@dataclass(frozen=True)
class FileTable:
    """A table: its name, the files that hold its rows, and how they are written.

    `sheet` is that of a workbook; empty: its first.
    """

    name: str
    files: tuple[StoredFile, ...]
    format: Format
    sheet: str = ""


def table_name(name: str) -> str:
    """The stem of a file's name: `orders` of `orders.csv.gz`."""
    for ending in _PACKED:
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
    stem, ending = os.path.splitext(name)
    return stem if ending.lower() in _ENDINGS else name


def is_known(name: str, given: str) -> bool:
    """Whether a file of this name can be a table, when its format is not given."""
    return given != "Auto" or _ending(name) in _ENDINGS


def one_table(file: StoredFile, given: str) -> FileTable:
    """The table of a single file. Raises SourceNotFound where its format is not to be seen."""
    if not is_known(file.name, given):
        raise SourceNotFound(
            f"{file.name} has no known ending ({', '.join(_ENDINGS)}): say what it is with Format."
        )
    return FileTable(table_name(file.name), (file,), _format(file.name, given))


def each_file(files: Iterable[StoredFile], given: str) -> list[FileTable]:
    """A table for each file."""
    return [one_table(file, given) for file in files]


def all_together(name: str, files: Sequence[StoredFile], given: str) -> list[FileTable]:
    """All files as one table, where they are written in one format; each workbook stands alone.

    A file that stands there under several names, as `latest.csv` often does, is one file.
    """
    formats = {_format(file.name, given) for file in files}
    if len(formats) != 1 or formats == {"Excel"}:
        return []
    once = {file.address: file for file in files}
    return [FileTable(name, tuple(once.values()), formats.pop())]


def by_name(tables: Iterable[FileTable]) -> dict[str, FileTable]:
    """The tables by name; the first of a name wins."""
    found: dict[str, FileTable] = {}
    for table in tables:
        found.setdefault(table.name, table)
    return found


def _ending(name: str) -> str:
    stem, ending = os.path.splitext(name.lower())
    return os.path.splitext(stem)[1] if ending in _PACKED else ending


def _format(name: str, given: str) -> Format:
    for known in FORMATS:
        if given == known:
            return known
    return _ENDINGS[_ending(name)]
