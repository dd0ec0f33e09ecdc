"""Files of this machine, under the folders that the operator allows."""

import glob
import os
import stat
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tidewell.errors import SourceNotFound, SourceRefused
from tidewell.sources.files.paths import absolute, allowed_path, must_be_allowed
from tidewell.sources.files.store import LocalCopy
from tidewell.sources.files.tables import (
    MOST_FILES,
    FileTable,
    StoredFile,
    all_together,
    by_name,
    each_file,
    is_known,
    one_table,
    table_name,
)


class LocalStore:
    """A file, a folder or a glob. Raises SourceRefused for what is not allowed."""

    def __init__(self, uri: str, given: str, roots: Sequence[Path]) -> None:
        self._path = _local(uri)
        self._given = given
        self._roots = roots

    def test(self) -> None:
        """Paths are looked at when the tables are asked for."""

    def tables(self) -> dict[str, FileTable]:
        """The tables by name; a file's table wins over a folder's of the same name."""
        if glob.has_magic(str(self._path)):
            return self._of_glob()
        allowed = must_be_allowed(self._path, self._roots)
        if allowed.is_dir():
            return self._of_folder(allowed)
        if not allowed.is_file():
            raise SourceNotFound(f"There is no file {self._path}.")
        return by_name(
            [one_table(_stored(self._path.name, str(allowed), allowed.stat()), self._given)]
        )

    def table(self, name: str) -> FileTable | None:
        """The table of a folder: only files of this name are looked at."""
        if glob.has_magic(str(self._path)):
            return None
        allowed = must_be_allowed(self._path, self._roots)
        return self._of_folder(allowed, name).get(name) if allowed.is_dir() else None

    def folders(self) -> list[Path]:
        """The operator's folders."""
        return list(self._roots)

    def local(self, file: StoredFile) -> LocalCopy:
        """The file where it is."""
        return LocalCopy(Path(file.address), file.modified)

    def version(self, file: StoredFile) -> None:
        """Only the bytes tell: a file's times can be set."""

    def cancel(self) -> None:
        """Nothing here waits."""

    def close(self) -> None:
        """Nothing was fetched."""

    def _of_glob(self) -> dict[str, FileTable]:
        """Each file that matches, and all of them together under the name of their folder."""
        before = []
        for part in self._path.parts:
            if glob.has_magic(part):
                break
            before.append(part)
        folder = Path(*before)
        must_be_allowed(folder, self._roots)
        matches = (Path(name) for name in glob.iglob(str(self._path), recursive=True))
        files = self._readable(matches)
        together = all_together(folder.name, files, self._given)
        return by_name([*each_file(files, self._given), *together])

    def _of_folder(self, folder: Path, named: str | None = None) -> dict[str, FileTable]:
        """Each file in a folder, and each folder in it that holds files; perhaps of one name."""
        try:
            children = _children(folder)
        except OSError as error:
            raise SourceRefused(f"The folder {folder} cannot be read.") from error
        # A table's name is the beginning of its file's, which is told faster than the whole name.
        ours = (
            one
            for one in children
            if named is None or (one.name.startswith(named) and table_name(one.name) == named)
        )
        found = each_file(self._readable(ours), self._given)
        for inner in children:
            if named in (None, inner.name):
                found += all_together(inner.name, self._inside(inner), self._given)
        return by_name(found)

    def _inside(self, inner: os.DirEntry[str]) -> list[StoredFile]:
        """The files of a folder in the folder; none of what is no folder or may not be read."""
        try:
            true = allowed_path(Path(inner), self._roots) if inner.is_dir() else None
            return self._readable(_children(true)) if true else []
        except OSError:
            return []

    def _readable(self, paths: Iterable[Path | os.DirEntry[str]]) -> list[StoredFile]:
        """Files of a known format that may be read, in a stable order."""
        found = []
        for path in paths:
            if path.name.startswith(".") or not is_known(path.name, self._given):
                continue
            file = self._file(path)
            if file is not None:
                found.append(file)
            if len(found) > MOST_FILES:
                raise SourceRefused(f"URI: there are more than {MOST_FILES} files; name fewer.")
        return sorted(found, key=lambda one: one.address)

    def _file(self, path: Path | os.DirEntry[str]) -> StoredFile | None:
        """None for what is no file, may not be read, or is gone meanwhile.

        What a folder lists stands in a true path that may be read: only a symlink leads elsewhere.
        """
        try:
            if isinstance(path, os.DirEntry) and not path.is_symlink():
                address, state = path.path, path.stat()
            else:
                true = allowed_path(Path(path), self._roots)
                if true is None:
                    return None
                address, state = str(true), true.stat()
        except OSError:
            return None
        return _stored(path.name, address, state) if stat.S_ISREG(state.st_mode) else None


def _local(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.scheme.lower() == "file":
        if parts.netloc not in ("", "localhost"):
            raise SourceRefused("URI: a file URI cannot name another host.")
        return absolute("URI", unquote(parts.path))
    return absolute("URI", uri)


def _children(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda one: one.name)


def _stored(name: str, address: str, state: os.stat_result) -> StoredFile:
    modified = datetime.fromtimestamp(state.st_mtime_ns // 1000 / 1_000_000, UTC)
    return StoredFile(name, address, modified)
