"""Columns of Parquet files that this process has looked at: a file tells them once.

They are known by where the files are and by all that changes with them, so that a file that was
written anew is looked at again. Whoever asks has been let to the files before.
"""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from tidewell.sources.files.columns import FileColumn

Key = tuple[tuple[str, int, int, int], ...]
_MOST = 256
_known: OrderedDict[Key, list[FileColumn]] = OrderedDict()
_lock = Lock()


def key_of(paths: Sequence[Path]) -> Key | None:
    """What the columns are known by; None where a file is not there."""
    try:
        found = [(str(path), path.stat()) for path in paths]
    except OSError:
        return None
    return tuple((path, told.st_ino, told.st_size, told.st_mtime_ns) for path, told in found)


def recall(key: Key | None) -> list[FileColumn] | None:
    """The columns of files as they are now, if they are known."""
    if key is None:
        return None
    with _lock:
        found = _known.get(key)
        if found is not None:
            _known.move_to_end(key)
        return found


def keep(key: Key | None, columns: list[FileColumn]) -> None:
    """Know the columns from now on; what was not asked for longest goes."""
    if key is None:
        return
    with _lock:
        _known[key] = columns
        while len(_known) > _MOST:
            _known.popitem(last=False)
