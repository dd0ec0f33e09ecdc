"""What a process does first that another one of ours has started, and talks to over pipes."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_OOM_SCORE = Path("/proc/self/oom_score_adj")
_FIRST_TO_GO = "500"


def take_over_streams() -> tuple[int, int]:
    """The file descriptors of this process for orders and answers.

    Whatever else writes to standard output writes to standard error from now on, and whatever else
    reads from standard input reads nothing.
    """
    answers = os.dup(1)
    os.dup2(2, 1)
    orders = os.dup(0)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    return orders, answers


def go_first() -> None:
    """Where the machine's memory runs out, this process goes before the service does."""
    with suppress(OSError):
        _OOM_SCORE.write_text(_FIRST_TO_GO)


def masked(text: str, secrets: Iterable[str]) -> str:
    """A traceback without these texts, as they are and as Python writes them."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "********").replace(repr(secret)[1:-1], "********")
    return text
