"""`tidewell db`: the state database: its schema, a dump of it, and its restore."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from tidewell.cli.doing import load_settings, prints_json
from tidewell.state import dumps, schema
from tidewell.state.opened import state_url

db_app = typer.Typer(help="The state database.", no_args_is_help=True)


@db_app.callback()
def _database() -> None:
    """The state database."""


@db_app.command("upgrade")
@prints_json
def upgrade() -> None:
    """Bring the schema up to this version; prints JSON.

    `serve`, `worker` and `ticker` do the same when they start; this does it before a roll-out.
    """
    with state_url(load_settings()) as url:
        before = schema.version(url)
        schema.upgrade(url)
        _print({"before": before, "now": schema.version(url)})


@db_app.command("version")
@prints_json
def version() -> None:
    """The schema that is there and the one that this version needs; prints JSON."""
    with state_url(load_settings()) as url:
        _print({"now": schema.version(url), "needed": schema.HEAD})


@db_app.command("dump")
@prints_json
def dump(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="A new file.")],
) -> None:
    """Write the state into a file, while nodes run or not; prints JSON.

    The file has the customers' credentials as they are stored: sealed with the secret key, which
    is not in it.
    """
    with state_url(load_settings()) as url:
        dumps.dump(url, file)
        _print({"file": str(file), "schema": schema.version(url)})


@db_app.command("restore")
@prints_json
def restore(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="What `dump` wrote.")],
) -> None:
    """Put a dump into an empty state database; prints JSON."""
    with state_url(load_settings()) as url:
        dumps.restore(url, file)
        _print({"file": str(file), "schema": schema.version(url)})


def _print(answer: dict[str, str | None]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
