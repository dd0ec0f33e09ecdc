"""Temporary folders go with their process, however it ends."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tidewell import scratch

_HOLDER = """
import sys
from tidewell import scratch
made = scratch.folder()
assert scratch.folder() == made
(made / "rows").write_text("1,Ada")
print(made, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """TMPDIR of this process and of those that it starts."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


@contextmanager
def holder() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process, and the folder that it has made."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER], stdin=pipe, stdout=pipe, text=True
    ) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_a_process_that_ends_takes_its_folder_along(temporary: Path) -> None:
    with holder() as (process, made):
        assert made.parent == temporary
        assert made.stat().st_mode & 0o777 == 0o700
        process.communicate("")
    assert process.returncode == 0
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_is_swept_and_nothing_else(temporary: Path) -> None:
    (temporary / "tidewell-notes").mkdir()
    with holder() as (_, living), holder() as (process, made):
        process.kill()
        process.wait()
        assert (made / "rows").exists()
        scratch.sweep()
        assert not made.exists()
        assert (living / "rows").read_text() == "1,Ada"
        left = {living.name, f"{living.name}.lock", "tidewell-notes"}
        assert {one.name for one in temporary.iterdir()} == left


def test_a_process_that_was_killed_before_its_folder_was_made(temporary: Path) -> None:
    (temporary / "tidewell-1.lock").touch()
    scratch.sweep()
    assert list(temporary.iterdir()) == []


def test_a_link_that_another_user_may_have_put_there_is_not_followed(
    temporary: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    aim = tmp_path_factory.mktemp("elsewhere") / "file"
    aim.touch()
    (temporary / "tidewell-1.lock").symlink_to(aim)
    (temporary / "tidewell-1").mkdir()
    scratch.sweep()
    assert aim.exists()
    assert (temporary / "tidewell-1").exists()


@pytest.mark.parametrize("program", ["tidewell.runs.child", "tidewell.query.child"])
def test_the_next_process_of_a_run_or_a_query_sweeps(temporary: Path, program: str) -> None:
    with holder() as (process, made):
        process.kill()
    assert made.exists()
    ended = subprocess.run([sys.executable, "-m", program], input=b"", check=False)
    assert ended.returncode in (0, 1)  # it may end before it has looked around
    assert list(temporary.iterdir()) == []
