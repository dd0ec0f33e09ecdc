"""`tidewell db`: the state database: its schema, a dump of it, and its restore."""

from pathlib import Path
from typing import Annotated

import typer

from tidewell.cli.doing import Answer, answers, load_settings
from tidewell.state import dumps, schema
from tidewell.state.opened import state_url

db_app = typer.Typer(help="The state database.", no_args_is_help=True, add_completion=False)


@db_app.callback()
def _database() -> None:
    """The state database."""


@db_app.command("upgrade")
@answers
def upgrade() -> Answer:
    """Bring the schema up to this version.

    `serve`, `worker` and `ticker` do the same when they start; this does it before a roll-out.
    """
    with state_url(load_settings()) as url:
        before = schema.version(url)
        schema.upgrade(url)
        return {"before": before, "now": schema.version(url)}


@db_app.command("version")
@answers
def version() -> Answer:
    """The schema that is there and the one that this version needs."""
    with state_url(load_settings()) as url:
        return {"now": schema.version(url), "needed": schema.HEAD}


@db_app.command("dump")
@answers
def dump(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="A new file.")],
) -> Answer:
    """Write the state into a file, while nodes run or not.

    The file has the customers' credentials as they are stored: sealed with the secret key, which
    is not in it.
    """
    with state_url(load_settings()) as url:
        dumps.dump(url, file)
        return {"file": str(file), "schema": schema.version(url)}


@db_app.command("restore")
@answers
def restore(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="What `dump` wrote.")],
) -> Answer:
    """Put a dump into an empty state database."""
    with state_url(load_settings()) as url:
        dumps.restore(url, file)
        return {"file": str(file), "schema": schema.version(url)}
