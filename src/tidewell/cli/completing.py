"""Names for the shell, when somebody presses Tab: of jobs, of connections, of drivers.

They are asked of the server of `--url` and `--token`, or of the environment. Where it cannot be
asked there is nothing to choose from, and never an error in the middle of a line.
"""

import shlex
from collections.abc import Callable, Iterable

import httpx
import typer

from tidewell.client import Client, ClientError

_SECONDS = 2.0

Choice = tuple[str, str]
"""What the shell may write, and what it says of it."""


def jobs(context: typer.Context, incomplete: str) -> list[Choice]:
    """The jobs that begin so, by name or id."""

    def ask(client: Client) -> Iterable[Choice]:
        return [(one.name, one.id) for one in client.jobs.list()]

    return _beginning(incomplete, _asked(context, ask))


def connections(context: typer.Context, incomplete: str) -> list[Choice]:
    """The connections that begin so, by name or id."""

    def ask(client: Client) -> Iterable[Choice]:
        return [(one.name, one.id) for one in client.connections.list()]

    return _beginning(incomplete, _asked(context, ask))


def drivers(context: typer.Context, incomplete: str) -> list[Choice]:
    """The drivers that begin so."""

    def ask(client: Client) -> Iterable[Choice]:
        return [(one, "") for one in client.connections.drivers()]

    return _beginning(incomplete, _asked(context, ask))


def _asked(context: typer.Context, ask: Callable[[Client], Iterable[Choice]]) -> Iterable[Choice]:
    url, token = context.params.get("url"), context.params.get("token")
    if not url or not token:
        return []  # this machine's own API takes too long to open for a key press
    try:
        with Client(url, token, timeout=_SECONDS) as client:
            return ask(client)
    except (ClientError, httpx.InvalidURL):
        return []


def _beginning(incomplete: str, found: Iterable[Choice]) -> list[Choice]:
    """Names that a shell takes as they are; an id in place of one that it would cut in pieces."""
    choices = {
        (name, object_id) if shlex.quote(name) == name else (object_id, name)
        for name, object_id in found
    }
    return sorted(one for one in choices if one[0] and one[0].startswith(incomplete))
