"""`tidewell db`: the schema of the state database."""

import json
import sys

import typer

from tidewell.cli.doing import load_settings, prints_json
from tidewell.state import schema
from tidewell.state.opened import state_url

db_app = typer.Typer(help="The schema of the state database.", no_args_is_help=True)


@db_app.callback()
def _database() -> None:
    """The schema of the state database."""


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


def _print(answer: dict[str, str | None]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
