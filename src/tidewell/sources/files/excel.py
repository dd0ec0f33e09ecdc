"""Workbooks: their sheets, and which columns lose nothing by their types."""

import zipfile
from importlib.resources import files
from pathlib import Path

import duckdb
from lxml import etree

from tidewell.errors import SourceBroken

_LARGEST_PART = 16 * 2**20
_MOST_SHEETS = 1000


def extension() -> Path:
    """DuckDB's extension that reads workbooks, out of its wheel: nothing is downloaded."""
    folder = Path(str(files("duckdb_extension_excel"))) / "extensions"
    return folder / f"v{duckdb.__version__}" / "excel.duckdb_extension"


def sheets(path: Path) -> list[str]:
    """The names of a workbook's sheets in their order (ECMA-376, 18.2.19). Raises SourceBroken."""
    try:
        with zipfile.ZipFile(path) as book, book.open("xl/workbook.xml") as part:
            content = part.read(_LARGEST_PART)
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
        root = etree.fromstring(content, parser)
    except (zipfile.BadZipFile, KeyError, OSError, etree.XMLSyntaxError) as error:
        raise SourceBroken(f"A file is not what its format says: no workbook: {error}") from error
    names = [one.get("name", "") for one in root.iter("{*}sheet")]
    return [name for name in names if name][:_MOST_SHEETS]
