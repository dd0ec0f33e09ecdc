"""Numbers that a source gives when a row is written: a later commit may show a smaller one."""

from typing import Any

import pyarrow as pa
import pytest

from tests.integration.runs.conftest import FileJob
from tidewell.sources.files.source import FilesSource


@pytest.mark.parametrize("params", [{}, {"reload": True}])
def test_a_row_that_is_committed_late_comes_with_the_next_increment(
    job: FileJob, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQL Server is the source that tells it, and does not run here."""

    def rows(*versions: int) -> pa.Table:
        return pa.table({"id": pa.array(versions, pa.int64()), "name": [str(n) for n in versions]})

    followed = {"time_column": "id", "merge_keys": ("id",)}
    monkeypatch.setattr(FilesSource, "settled", lambda *_: "1", raising=False)
    job.run(rows(1, 3), **followed)
    job.run(rows(1, 3), **followed, **params)
    monkeypatch.setattr(FilesSource, "settled", lambda *_: "9", raising=False)
    job.run(rows(1, 2, 3, 4), **followed)
    assert [version for version, _ in job.rows()] == [1, 2, 3, 4]
