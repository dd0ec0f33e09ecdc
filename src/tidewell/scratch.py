"""Temporary files that no process leaves behind for long, not even one that is killed.

Each process has one folder among the system's temporary files (TMPDIR), made when it is first
needed, beside a lock that it holds: however the process ends, the kernel lets go of its lock
(flock(2)). `sweep` removes the folders whose lock nobody holds.
"""

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock
from uuid import uuid4

_PREFIX = "tidewell-"
_SUFFIX = ".lock"
_making = Lock()


def folder() -> Path:
    """This process's own folder, which nobody else may read. Raises OSError."""
    with _making:
        return _folder()


@cache
def _folder() -> Path:
    while True:
        lock = Path(tempfile.gettempdir(), f"{_PREFIX}{uuid4()}{_SUFFIX}").absolute()
        held = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(held, fcntl.LOCK_EX)
        if lock.exists():
            break
        os.close(held)  # a sweeper came between the two, and has taken it away
    made = lock.with_suffix("")
    made.mkdir(0o700)
    atexit.register(_let_go, lock)
    return made


def clear() -> None:
    """Remove this process's own folder, where it ends without its interpreter's end."""
    if _folder.cache_info().currsize:
        _let_go(folder().with_suffix(_SUFFIX))


def sweep() -> None:
    """Remove what processes of this user have left that are no more. What fails, waits."""
    with suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.name.endswith(_SUFFIX):
                with suppress(OSError):
                    _remove_left(Path(entry.path))


def _remove_left(lock: Path) -> None:
    # The folder is everybody's: what only looks like ours is not followed.
    held = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if os.fstat(held).st_uid == os.geteuid():
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(lock)
    finally:
        os.close(held)


def _remove(lock: Path) -> None:
    """The folder first: where that fails, the lock stays, and another sweep tries again."""
    with suppress(FileNotFoundError):
        shutil.rmtree(lock.with_suffix(""))
    lock.unlink()


def _let_go(lock: Path) -> None:
    with suppress(OSError):
        _remove(lock)
