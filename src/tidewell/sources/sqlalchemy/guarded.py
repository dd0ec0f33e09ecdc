"""Sockets of drivers that a server may send elsewhere, as Oracle's listener does (TNS redirect).

Such a driver connects once more by itself, to an address of the server's choice. Where it does so
with Python's sockets, the interpreter tells of it first (`socket.connect` of PEP 578), and what the
egress rules do not allow is refused there: before anything is sent.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from tidewell.egress import EgressRefused, EgressRules, HostNotFound
from tidewell.errors import SourceRefused


class _Bounds(threading.local):
    """Where sockets of this thread may lead."""

    rules: EgressRules | None = None
    judged: tuple[str, int] = ("", 0)
    refused: SourceRefused | None = None


_bounds = _Bounds()


@contextmanager
def guarded(rules: EgressRules, address: str, port: int) -> Iterator[None]:
    """In this thread, sockets connect to an address that has been judged, or that the rules allow.

    Another one is an OSError for the driver, and SourceRefused for whoever called it.
    """
    _listen()
    _bounds.rules, _bounds.judged, _bounds.refused = rules, (address, port), None
    try:
        yield
    except Exception as error:
        if _bounds.refused is not None:
            raise _bounds.refused from error
        raise
    finally:
        _bounds.rules = _bounds.refused = None


@cache
def _listen() -> None:
    """Once, for it cannot be undone."""
    sys.addaudithook(_hear)


def _hear(event: str, told: tuple[Any, ...]) -> None:
    if event != "socket.connect" or _bounds.rules is None:
        return
    address = told[1]
    host, port = address[:2] if isinstance(address, tuple) else ("A socket of this machine", 0)
    if (host, port) == _bounds.judged:
        return
    try:
        _bounds.rules.resolve(host, port)
    except (EgressRefused, HostNotFound) as error:
        _bounds.refused = SourceRefused(f"The server sends us elsewhere: {error.message}")
        raise PermissionError(_bounds.refused.message) from None
