"""One file of a web server."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tidewell.errors import SourceRefused
from tidewell.sources.files.spool import Spool
from tidewell.sources.files.store import LocalCopy
from tidewell.sources.files.tables import FileTable, StoredFile, by_name, one_table
from tidewell.sources.files.version import settled_tag_of
from tidewell.sources.protocol import Environment


class WebStore:
    """The file at an address; a web server has no folders to look into."""

    def __init__(self, values: Mapping[str, str], environment: Environment) -> None:
        self._url = values["URI"]
        parts = urlsplit(self._url)
        if not parts.hostname:
            raise SourceRefused("URI must name a host, as https://host/orders.csv.")
        if parts.username or parts.password:
            raise SourceRefused("URI must not hold credentials.")
        if "*" in parts.path:
            raise SourceRefused("URI: a web server has no folders; name one file.")
        self._name = unquote(parts.path.rsplit("/", 1)[-1])
        if not self._name:
            raise SourceRefused("URI: name a file, as https://host/orders.csv.")
        self._given = values["Format"]
        self._spool = Spool(values, environment, settled_tag_of)

    def test(self) -> None:
        """The server has the file."""
        self._spool.reach(self._url)

    def table(self, name: str) -> FileTable | None:
        """The one table."""
        return self.tables().get(name)

    def tables(self) -> dict[str, FileTable]:
        """The one table."""
        return by_name([one_table(StoredFile(self._name, self._url), self._given)])

    def folders(self) -> list[Path]:
        """Where the file is fetched into."""
        return [self._spool.folder]

    def local(self, file: StoredFile) -> LocalCopy:
        """The file, fetched."""
        return self._spool.fetch(file.address, file.name)

    def version(self, file: StoredFile) -> str | None:
        """The strong entity tag of the file as it was fetched, else as it is now; None where the
        server tells nothing without giving the file."""
        copy = self._spool.fetched(file.address)
        if copy:
            return copy.version
        try:
            return self._spool.version(file.address)
        except SourceRefused:
            return None

    def cancel(self) -> None:
        """End what is going on."""
        self._spool.cancel()

    def close(self) -> None:
        """Forget the file."""
        self._spool.close()
