"""Which paths of this machine may be read: those inside the operator's folders.

A path is allowed when it is inside one of them after all symlinks and `..` are resolved. What is
outside is not even said to exist.
"""

from collections.abc import Sequence
from pathlib import Path

from tidewell.errors import SourceNotFound, SourceRefused


def allowed_file(key: str, name: str, roots: Sequence[Path]) -> Path:
    """The true path of one file that a key names, as other drivers of local files need it.

    Raises:
        SourceRefused: local files are not allowed, or not this one.
        SourceNotFound: there is no such file.
    """
    allowed = must_be_allowed(absolute(key, name), roots)
    if not allowed.is_file():
        raise SourceNotFound(f"{name} is no file: check {key}.")
    return allowed


def absolute(key: str, name: str) -> Path:
    """An absolute path. Raises SourceRefused where it is none."""
    if not name.startswith("/"):
        raise SourceRefused(f"{key}: give an absolute path, beginning with /.")
    return Path(name)


def must_be_allowed(path: Path, roots: Sequence[Path]) -> Path:
    """The true path. Raises SourceRefused where it may not be read."""
    if not roots:
        raise SourceRefused(
            "This server reads no local files: its operator names the folders that may be read "
            "in TIDEWELL_FILES_ROOT."
        )
    true = allowed_path(path, roots)
    if true is None:
        raise SourceRefused(
            f"{path} is not inside a folder that this server may read: see TIDEWELL_FILES_ROOT."
        )
    return true


def allowed_path(path: Path, roots: Sequence[Path]) -> Path | None:
    """The true path, if it is inside one of the roots."""
    try:
        true = path.resolve()
    except (OSError, RuntimeError):
        return None
    return true if any(true.is_relative_to(root) for root in roots) else None
