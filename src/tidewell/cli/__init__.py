"""The command line, `tidewell`."""

import sys

import typer

from tidewell.cli.commands import app
from tidewell.errors import TidewellError


def main() -> None:
    """Run a command; an error is one clear line and exit code 1."""
    try:
        app()
    except TidewellError as error:
        typer.echo(f"tidewell: {error.message}", err=True)
        sys.exit(1)
