"""Files as tables: CSV, JSON lines and Parquet, under the folders that the operator allows."""

from collections.abc import Mapping
from dataclasses import dataclass

from tidewell.sources.files.source import FilesSource
from tidewell.sources.protocol import Environment, Key


@dataclass(frozen=True)
class FilesDriver:
    """The driver `Files`; one schema of the same name."""

    name: str = "Files"
    dialect: str = ""
    several_schemas: bool = False
    keys: tuple[Key, ...] = (
        Key(
            "URI",
            "A file, a folder or a glob (/data/*.csv). Each file is a table; so are all files of "
            "a glob together, and each folder of files inside a folder.",
            required=True,
        ),
        Key(
            "Format",
            "How the files are written; Auto: by the ending of their names.",
            default="Auto",
            choices=("Auto", "CSV", "JSON", "Parquet"),
        ),
        Key(
            "IncludeColumnHeaders",
            "Whether the first line of a CSV file names the columns.",
            default="True",
            choices=("True", "False"),
        ),
        Key("NullValues", "Texts that mean 'no value' in CSV files, separated by commas: NA,null."),
    )

    def open(self, values: Mapping[str, str], environment: Environment) -> FilesSource:
        """A source over the files that the values name; nothing is read yet."""
        return FilesSource(values, environment)


DRIVER = FilesDriver()
