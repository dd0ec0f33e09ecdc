"""Where files are: what every store keeps."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from tidewell.sources.files.tables import FileTable, StoredFile


@dataclass(frozen=True)
class LocalCopy:
    """A file that can be opened, and when the original was last changed, where that is known.

    `version` is what a server has vouched for when it gave the file (`files.version`).
    """

    path: Path
    modified: datetime | None
    version: str | None = None


class Store(Protocol):
    """The files of one URI. Everything but `cancel` raises SourceErrors."""

    def test(self) -> None:
        """Prove that the store answers."""
        ...

    def tables(self) -> dict[str, FileTable]:
        """The tables of the URI by name."""
        ...

    def table(self, name: str) -> FileTable | None:
        """The table of this name in `tables`, where a look at fewer files tells; else None."""
        ...

    def folders(self) -> list[Path]:
        """The folders of this machine that `local` gives paths in."""
        ...

    def local(self, file: StoredFile) -> LocalCopy:
        """A file at a path of this machine; fetched once."""
        ...

    def version(self, file: StoredFile) -> str | None:
        """What the store vouches for without giving the file, or when it has given it: a text that
        is another whenever a byte is. None: only the bytes tell."""
        ...

    def cancel(self) -> None:
        """End what is going on, from another thread."""
        ...

    def close(self) -> None:
        """Let go of what was fetched."""
        ...
