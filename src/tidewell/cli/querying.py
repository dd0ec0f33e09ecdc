"""`tidewell query`: one SELECT over connections and cached tables."""

import csv
import sys
from typing import Annotated

import typer

from tidewell.cli import tables
from tidewell.cli.calling import Calling, calls
from tidewell.errors import InvalidRequest

_MOST_SHOWN = 100

query_app = typer.Typer(add_completion=False)


@query_app.command("query")
@calls
async def query(
    calling: Calling,
    statement: Annotated[str, typer.Argument(help="One SELECT over Connection.Schema.Table.")],
    param: Annotated[
        list[str] | None, typer.Option("--param", help="Value of a parameter, @NAME=VALUE.")
    ] = None,
    seconds: Annotated[
        int, typer.Option("--timeout", min=1, max=300, help="Seconds that it may take.")
    ] = 60,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Run one SELECT; people see the first 100 rows, --csv and --json give all."""
    parameters = {}
    for text in param or []:
        name, sign, value = text.partition("=")
        if not sign:
            raise InvalidRequest(f"{text!r} is no @NAME=VALUE.")
        parameters[name] = value
    result = await calling.client.query(statement, parameters, timeout=seconds)
    if as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(result.columns)
        writer.writerows(result)
        return

    def show() -> None:
        shown = [row for row, _ in zip(result, range(_MOST_SHOWN), strict=False)]
        calling.console.print(tables.rows(result.columns, shown))
        rest = len(result) - len(shown)
        more = f"; {rest:,} more with --csv or --json" if rest else ""
        calling.console.print(f"{tables.count(len(result))}{more}", style="dim")

    calling.answer(result.to_dicts(), show)
