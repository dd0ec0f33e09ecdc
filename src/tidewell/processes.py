"""Processes of our own beside this one: how they are started, and what they hold."""

import asyncio
import os
import resource
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import Process
from pathlib import Path
from typing import NamedTuple

_PAGE = resource.getpagesize()


class Beside(NamedTuple):
    """A process that runs beside this one: it reads its orders and writes its answers."""

    process: Process
    orders: StreamWriter
    answers: StreamReader


async def start(module: str, line_limit: int = 1 << 16) -> Beside:
    """Start `python -m module`; its start-up goes on while the caller prepares the first order.

    It gets what it needs with its orders, and no key or address of the environment beside them.
    `line_limit`: bytes of the longest line of an answer, and half of what is read ahead.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=line_limit,
        # In its own session, so that Ctrl-C in a terminal reaches this process alone.
        start_new_session=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("TIDEWELL_")},
    )
    if process.stdin is None or process.stdout is None:
        raise ValueError("the process needs pipes for its standard input and output")
    return Beside(process, process.stdin, process.stdout)


def resident(pid: int) -> int:
    """Bytes of memory that a process holds; 0 where the system does not say (proc_pid_statm(5))."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * _PAGE
