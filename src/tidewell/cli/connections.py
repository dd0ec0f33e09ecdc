"""`tidewell connection`: connections to sources, and the cache."""

from typing import Annotated

import typer
from rich.text import Text

from tidewell.cli import completing, finding, tables
from tidewell.cli.calling import Calling, calls
from tidewell.client import ApiError, CacheConnection, Connection, ConnectionTest
from tidewell.errors import TidewellError

connection_app = typer.Typer(
    help="Connections to sources, and the cache that tables are kept in.",
    no_args_is_help=True,
    add_completion=False,
)

Which = Annotated[
    str,
    typer.Argument(
        help="Id of the connection, the beginning of it, or its name.",
        autocompletion=completing.connections,
    ),
]
Strings = Annotated[
    str,
    typer.Option(
        "--string",
        help="Connection string; empty: it is asked for, or read from standard input.",
        envvar="TIDEWELL_CONNECTION_STRING",
    ),
]


@connection_app.command("list")
@calls
async def list_connections(calling: Calling) -> None:
    """All connections."""
    found = await calling.client.connections.list()
    none = "No connections yet: `tidewell connection create` makes one."
    calling.answer(
        found, lambda: calling.console.print(tables.connections(found) if found else none)
    )


@connection_app.command("drivers")
@calls
async def list_drivers(calling: Calling) -> None:
    """The drivers that are installed."""
    found = await calling.client.connections.drivers()
    calling.answer(found, lambda: calling.console.print("\n".join(found)))


@connection_app.command("show")
@calls
async def show_connection(calling: Calling, connection: Which) -> None:
    """One connection; its secrets are masked."""
    found = await finding.connection(calling, connection)
    _show(calling, await calling.client.connections.get(found.id))


@connection_app.command("create")
@calls
async def create_connection(
    calling: Calling,
    name: Annotated[str, typer.Argument(help="Its name.")],
    driver: Annotated[
        str,
        typer.Argument(
            help="Its driver: see `connection drivers`.", autocompletion=completing.drivers
        ),
    ],
    string: Strings = "",
    external_id: Annotated[str | None, typer.Option(help="The vendor's own id of it.")] = None,
) -> None:
    """Make a connection, and try it."""
    made = await calling.client.connections.create(name, driver, _string(string), external_id)
    tested = await calling.client.connections.test(made.id)
    _tell(calling, tested)
    _show(calling, await calling.client.connections.get(made.id))


@connection_app.command("update")
@calls
async def update_connection(
    calling: Calling,
    connection: Which,
    string: Strings = "",
    name: Annotated[str, typer.Option(help="New name; empty: it keeps its own.")] = "",
) -> None:
    """Replace a connection's values; a masked secret keeps the stored one."""
    found = await finding.connection(calling, connection)
    old = await calling.client.connections.get(found.id)
    _show(
        calling,
        await calling.client.connections.update(
            old.id, name or old.name, old.driver, _string(string), old.external_id
        ),
    )


@connection_app.command("test")
@calls
async def test_connection(calling: Calling, connection: Which) -> None:
    """Try a connection; exit code 1 when it does not work."""
    found = await finding.connection(calling, connection)
    tested = await calling.client.connections.test(found.id)
    calling.answer(tested, lambda: None)
    if not tested.is_tested:
        raise TidewellError(f"{found.name} does not work: {tested.test_error}")
    if not calling.as_json:
        calling.console.print(f"{found.name} works.")


@connection_app.command("delete")
@calls
async def delete_connection(
    calling: Calling,
    connection: Which,
    force: Annotated[
        bool, typer.Option("--force", help="Its jobs and their cached tables too.")
    ] = False,
) -> None:
    """Delete a connection."""
    found = await finding.connection(calling, connection)
    try:
        await calling.client.connections.delete(found.id, force=force)
    except ApiError as error:
        if error.code != "CONFLICT" or force:
            raise
        said = error.message.replace("?force=true", "--force")
        raise TidewellError(f"{said} ({error.code})") from None
    calling.answer({}, lambda: calling.console.print(f"{found.name} is deleted."))


@connection_app.command("cache")
@calls
async def set_cache(
    calling: Calling,
    string: Strings = "",
    embedded: Annotated[
        bool,
        typer.Option("--embedded", help="This machine's own embedded PostgreSQL; without --url."),
    ] = False,
) -> None:
    """Set the PostgreSQL that cached tables are kept in."""
    if embedded:
        if calling.is_remote:
            said = "--embedded is this machine's PostgreSQL, which no other uses: give --string."
            raise TidewellError(said)
        from tidewell.cli.own_api import own_cache  # noqa: PLC0415 - a remote call needs none of it

        string = own_cache()
    made = await calling.client.cache.set(_string(string))
    _tell(calling, made)
    _show(calling, made)


def _string(given: str) -> str:
    """A connection string may hold a password, so it needs not stand on the command line."""
    return given or str(typer.prompt("Connection string", hide_input=True, err=True))


def _tell(calling: Calling, tested: ConnectionTest | CacheConnection) -> None:
    """Whether it works, for people; in JSON `isTested` says so."""
    if calling.as_json:
        return
    if tested.is_tested:
        calling.console.print(Text("It works.", "green"))
    else:
        calling.console.print(Text(f"It does not work yet: {tested.test_error}", "yellow"))


def _show(calling: Calling, one: Connection | CacheConnection) -> None:
    line = Text.assemble((one.name, "bold"), f" {one.id} {one.driver}\n{one.connection_string}")
    calling.answer(one, lambda: calling.console.print(line, soft_wrap=True))
