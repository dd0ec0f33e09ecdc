"""All commands by their names; each is imported when it is called."""

from collections import UserDict
from importlib import import_module
from typing import Annotated, Any

import typer
import typer.main
from typer.core import TyperGroup

from tidewell import __version__

_COMMANDS = {
    "serve": "tidewell.cli.operating:serve_app",
    "worker": "tidewell.cli.operating:worker_app",
    "ticker": "tidewell.cli.operating:ticker_app",
    "demo": "tidewell.cli.operating:demo_app",
    "doctor": "tidewell.cli.operating:doctor_app",
    "job": "tidewell.cli.jobs:job_app",
    "connection": "tidewell.cli.connections:connection_app",
    "query": "tidewell.cli.querying:query_app",
    "account": "tidewell.cli.accounts:account_app",
    "subaccount": "tidewell.cli.accounts:subaccount_app",
    "pat": "tidewell.cli.pats:pat_app",
    "token": "tidewell.cli.tokens:token_app",
    "db": "tidewell.cli.database:db_app",
    "secrets": "tidewell.cli.secrets:secrets_app",
    "signing-key": "tidewell.cli.secrets:signing_app",
    "admin": "tidewell.cli.admin:admin_app",
}


class _Imported(UserDict[str, Any]):
    """Commands by name, given as `module:variable` until one is asked for.

    A client of the API needs nothing of a node and the other way round, and to import all of them
    takes longer than most commands.
    """

    def __getitem__(self, name: str) -> Any:
        found = self.data[name]
        if isinstance(found, str):
            module, _, variable = found.partition(":")
            found = typer.main.get_command(getattr(import_module(module), variable))
            found.name = name
            self.data[name] = found
        return found


class _Commands(TyperGroup):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = _Imported(_COMMANDS)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)  # their names alone


app = typer.Typer(
    cls=_Commands,
    help="Tidewell: the Job API that keeps copies of customers' tables fresh in PostgreSQL.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tidewell {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Tidewell: the Job API that keeps copies of customers' tables fresh in PostgreSQL."""
