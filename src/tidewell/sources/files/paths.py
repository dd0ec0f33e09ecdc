"""From a URI to tables: which files each has, and that every one of them may be read.

A path is allowed when it is inside one of the operator's folders after all symlinks and `..` are
resolved. What is outside is not even said to exist.
"""

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from tidewell.errors import SourceNotFound, SourceRefused

Format = Literal["CSV", "JSON", "Parquet"]

_ENDINGS: dict[str, Format] = {
    ".csv": "CSV",
    ".tsv": "CSV",
    ".txt": "CSV",
    ".json": "JSON",
    ".jsonl": "JSON",
    ".ndjson": "JSON",
    ".parquet": "Parquet",
}
_PACKED = (".gz", ".zst")
_MOST_FILES = 10_000


@dataclass(frozen=True)
class FileTable:
    """A table: its name, the files that hold its rows, and how they are written."""

    name: str
    files: tuple[Path, ...]
    format: Format


def find_tables(uri: str, given: str, roots: Sequence[Path]) -> dict[str, FileTable]:
    """The tables of a URI by name; a file's table wins over a folder's of the same name.

    Raises:
        SourceRefused: local files are not allowed, or not these.
        SourceNotFound: there is no such file or folder.
    """
    path = _local(uri)
    if not roots:
        raise SourceRefused(
            "This server reads no local files: its operator names the folders that may be read "
            "in TIDEWELL_FILES_ROOT."
        )
    if glob.has_magic(str(path)):
        return _of_glob(path, given, roots)
    allowed = _allowed(path, roots)
    if allowed is None:
        raise SourceRefused(
            f"{path} is not inside a folder that this server may read: see TIDEWELL_FILES_ROOT."
        )
    if allowed.is_dir():
        return _of_folder(allowed, given, roots)
    if not allowed.is_file():
        raise SourceNotFound(f"There is no file {path}.")
    return _by_name([FileTable(table_name(path), (allowed,), _format(path, given, must=True))])


def table_name(path: Path) -> str:
    """The stem of a file's name: `orders` of `orders.csv.gz`."""
    name = path.name
    for ending in _PACKED:
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
    stem, ending = os.path.splitext(name)
    return stem if ending.lower() in _ENDINGS else name


def allowed_file(key: str, name: str, roots: Sequence[Path]) -> Path:
    """The true path of one file that a key names, as other drivers of local files need it.

    Raises:
        SourceRefused: local files are not allowed, or not this one.
        SourceNotFound: there is no such file.
    """
    if not roots:
        raise SourceRefused(
            "This server reads no local files: its operator names the folders that may be read "
            "in TIDEWELL_FILES_ROOT."
        )
    if not name.startswith("/"):
        raise SourceRefused(f"{key}: give an absolute path, beginning with /.")
    allowed = _allowed(Path(name), roots)
    if allowed is None:
        raise SourceRefused(
            f"{name} is not inside a folder that this server may read: see TIDEWELL_FILES_ROOT."
        )
    if not allowed.is_file():
        raise SourceNotFound(f"{name} is no file: check {key}.")
    return allowed


def _local(uri: str) -> Path:
    scheme = urlsplit(uri).scheme.lower()
    if scheme == "file":
        parts = urlsplit(uri)
        if parts.netloc not in ("", "localhost"):
            raise SourceRefused("URI: a file URI cannot name another host.")
        return _absolute(unquote(parts.path))
    if "://" in uri:
        raise SourceRefused(f"URI: {scheme} is not available in this version; give a local path.")
    return _absolute(uri)


def _absolute(text: str) -> Path:
    if not text.startswith("/"):
        raise SourceRefused("URI: give an absolute path, beginning with /.")
    return Path(text)


def _allowed(path: Path, roots: Sequence[Path]) -> Path | None:
    """The true path, if it is inside one of the roots."""
    try:
        true = path.resolve()
    except (OSError, RuntimeError):
        return None
    return true if any(true.is_relative_to(root) for root in roots) else None


def _of_glob(pattern: Path, given: str, roots: Sequence[Path]) -> dict[str, FileTable]:
    """Each file that matches, and all of them together under the name of their folder."""
    before = []
    for part in pattern.parts:
        if glob.has_magic(part):
            break
        before.append(part)
    folder = Path(*before)
    if _allowed(folder, roots) is None:
        raise SourceRefused(
            f"{folder} is not inside a folder that this server may read: see TIDEWELL_FILES_ROOT."
        )
    matches = (Path(name) for name in glob.iglob(str(pattern), recursive=True))
    files = list(_readable(matches, given, roots))
    return _tables(folder.name, files, given)


def _of_folder(folder: Path, given: str, roots: Sequence[Path]) -> dict[str, FileTable]:
    """Each file in a folder, and each folder in it that holds files."""
    found = [
        FileTable(table_name(path), (path,), _format(path, given))
        for path in _readable(_children(folder), given, roots)
    ]
    for inner in _children(folder):
        if inner.is_dir() and (true := _allowed(inner, roots)):
            files = list(_readable(_children(true), given, roots))
            together = _together(inner.name, files, given)
            if together:
                found.append(together)
    return _by_name(found)


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise SourceRefused(f"The folder {folder} cannot be read.") from error


def _readable(paths: Iterable[Path], given: str, roots: Sequence[Path]) -> list[Path]:
    """Files of a known format that may be read, in a stable order."""
    found = []
    for path in paths:
        if path.name.startswith(".") or not _is_known(path, given):
            continue
        true = _allowed(path, roots)
        if true is not None and true.is_file():
            found.append(true)
        if len(found) > _MOST_FILES:
            raise SourceRefused(f"URI: there are more than {_MOST_FILES} files; name fewer.")
    return sorted(found)


def _tables(folder: str, files: list[Path], given: str) -> dict[str, FileTable]:
    found = [FileTable(table_name(path), (path,), _format(path, given)) for path in files]
    together = _together(folder, files, given)
    return _by_name([*found, *([together] if together else [])])


def _together(name: str, files: list[Path], given: str) -> FileTable | None:
    """All files as one table, where they are written in one format."""
    formats = {_format(path, given) for path in files}
    if len(formats) != 1:
        return None
    return FileTable(name, tuple(files), formats.pop())


def _by_name(tables: list[FileTable]) -> dict[str, FileTable]:
    found: dict[str, FileTable] = {}
    for table in tables:
        found.setdefault(table.name, table)
    return found


def _is_known(path: Path, given: str) -> bool:
    return given != "Auto" or _ending(path) in _ENDINGS


def _ending(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _format(path: Path, given: str, *, must: bool = False) -> Format:
    if given != "Auto":
        return {"CSV": "CSV", "JSON": "JSON", "Parquet": "Parquet"}[given]  # type: ignore[return-value]
    found = _ENDINGS.get(_ending(path))
    if found is None and must:
        raise SourceNotFound(
            f"{path.name} has no known ending ({', '.join(_ENDINGS)}): say what it is with Format."
        )
    return found or "CSV"
