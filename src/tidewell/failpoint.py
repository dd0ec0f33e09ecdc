"""Failpoints: named places at which the crash tests let a process be killed or stopped.

Without the environment variable FAILPOINTS they do nothing. With it, it names a folder: a file
there with the name of a point is an order, `<signal> <process>` (`SIGKILL self`, `SIGSTOP parent`,
`SIGKILL 4711`), and is carried out once, by the process that reaches the point first. The file is
then renamed to `<name>.reached-<process>`. It is no setting: nothing but the tests sets it.
"""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

_FOLDER = os.environ.get("FAILPOINTS")


def reached(name: str) -> None:
    """Carry out the order for this point, if there is one."""
    if _FOLDER:
        _carry_out(Path(_FOLDER), name)


def _carry_out(folder: Path, name: str) -> None:
    taken = folder / f"{name}.reached-{os.getpid()}-{time.monotonic_ns()}"
    try:
        (folder / name).rename(taken)  # atomic: one process gets the order
    except FileNotFoundError:
        return
    number, process = taken.read_text().split()
    own = {"self": os.getpid(), "parent": os.getppid()}
    with suppress(ProcessLookupError):
        os.kill(own.get(process) or int(process), signal.Signals[number])
