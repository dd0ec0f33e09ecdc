"""Files as tables: CSV, JSON, Parquet and Excel; of this machine, of a web server, of S3."""

from collections.abc import Mapping
from dataclasses import dataclass

from tidewell.sources.files.tables import FORMATS
from tidewell.sources.protocol import Environment, Key, Source

_S3 = ("URI=s3://*",)


@dataclass(frozen=True)
class FilesDriver:
    """The driver `Files`; one schema of the same name."""

    name: str = "Files"
    dialect: str = ""
    several_schemas: bool = False
    keys: tuple[Key, ...] = (
        Key(
            "URI",
            "A file, a folder or a glob (/data/*.csv, s3://bucket/data/*.csv), or one file of a "
            "web server (https://…). Each file is a table; so are all files of a glob together, "
            "and each folder of files inside a folder. Sheets of a workbook after its first are "
            "tables as book.Sheet2.",
            required=True,
        ),
        Key(
            "Format",
            "How the files are written; Auto: by the ending of their names.",
            default="Auto",
            choices=("Auto", *FORMATS),
        ),
        Key(
            "IncludeColumnHeaders",
            "Whether the first line of a CSV file, or the first row of a sheet, names the columns.",
            default="True",
            choices=("True", "False"),
        ),
        Key("NullValues", "Texts that mean 'no value' in CSV files, separated by commas: NA,null."),
        Key(
            "AWSAccessKey",
            "Id of the access key, for s3://; empty: public files.",
            neutral=True,
            only_with=_S3,
        ),
        Key(
            "AWSSecretKey",
            "The secret of the access key.",
            secret=True,
            neutral=True,
            only_with=_S3,
        ),
        Key(
            "AWSSessionToken",
            "Token of temporary credentials.",
            secret=True,
            neutral=True,
            only_with=_S3,
        ),
        Key("AWSRegion", "Region of the bucket.", default="us-east-1", only_with=_S3),
        Key(
            "Endpoint",
            "Address of another server that speaks S3, as https://minio.local:9000.",
            only_with=_S3,
        ),
        Key("Timeout", "Seconds that a server may be silent.", default="60", neutral=True),
    )

    def open(self, values: Mapping[str, str], environment: Environment) -> Source:
        """A source over the files that the values name; nothing is read yet."""
        from tidewell.sources.files.source import FilesSource

        return FilesSource(values, environment)


DRIVER = FilesDriver()
