"""Numbers that a source gives when a row is written: a later commit may show a smaller one.

SQL Server is the source that tells it, and does not run here. A driver that is installed like
somebody else's tells it of files: by another file beside them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.integration.runs.conftest import FileJob
from tidewell.sources import registry
from tidewell.sources.files import FilesDriver
from tidewell.sources.files.source import FilesSource
from tidewell.sources.protocol import Environment

NAME = "LateFiles"


class LateFiles(FilesSource):
    """Files of which rows up to some number are settled."""

    def __init__(self, values: Mapping[str, str], environment: Environment) -> None:
        super().__init__(values, environment)
        self._told = Path(values["URI"]).with_name("settled")

    def settled(self, schema: str, table: str, column: str) -> str | None:
        return self._told.read_text()


class LateDriver(FilesDriver):
    """Its driver."""

    def open(self, values: Mapping[str, str], environment: Environment) -> LateFiles:
        return LateFiles(values, environment)


DRIVER = LateDriver()


@pytest.fixture
def installed(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The driver, as an installed package brings it."""
    folder = tmp_path_factory.mktemp("packages")
    told = folder / "late_files-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: late-files\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{NAME} = {__name__}:DRIVER\n")
    with monkeypatch.context() as patch:
        patch.syspath_prepend(folder)
        registry.forget()
        yield
    registry.forget()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("params", [{}, {"reload": True}])
def test_a_row_that_is_committed_late_comes_with_the_next_increment(
    job: FileJob, params: dict[str, Any]
) -> None:
    def rows(*versions: int) -> pa.Table:
        return pa.table({"id": pa.array(versions, pa.int64()), "name": [str(n) for n in versions]})

    job.driver = NAME
    followed = {"time_column": "id", "merge_keys": ("id",)}
    (job.folder / "settled").write_text("1")
    job.run(rows(1, 3), **followed)
    job.run(rows(1, 3), **followed, **params)
    (job.folder / "settled").write_text("9")
    job.run(rows(1, 2, 3, 4), **followed)
    assert [version for version, _ in job.rows()] == [1, 2, 3, 4]
