"""What each command takes and prints."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import typer
from pydantic import ValidationError

from tidewell import __version__, clock
from tidewell.accounts import keys, repository, tokens
from tidewell.errors import TidewellError
from tidewell.settings import Settings
from tidewell.state.database import Connection, Database
from tidewell.state.opened import state_url
from tidewell.state.schema import upgrade


def _settings_help() -> str:
    lines = ["Settings, all from the environment:", "\n\n"]
    for name, field in Settings.model_fields.items():
        default = field.get_default()
        shown = getattr(default, "get_secret_value", lambda default=default: default)()
        lines.append(
            f"TIDEWELL_{name.upper()}: {field.description} "
            f"[default: {shown if shown != '' else 'empty'}]\n\n"
        )
    return "".join(lines)


app = typer.Typer(
    help="Tidewell: the Job API that keeps copies of customers' tables fresh in PostgreSQL.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
account_app = typer.Typer(help="Parent accounts: the software vendors.", no_args_is_help=True)
subaccount_app = typer.Typer(help="Sub-accounts: the vendors' customers.", no_args_is_help=True)
app.add_typer(account_app, name="account")
app.add_typer(subaccount_app, name="subaccount")

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: a free one.")]


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


@app.command(epilog=_settings_help())
def serve(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Execute runs here.")] = True,
    ticker: Annotated[
        bool, typer.Option("--ticker/--no-ticker", help="Queue due jobs here.")
    ] = True,
) -> None:
    """Serve the API, with a ticker and a worker, until Ctrl-C."""
    from tidewell.cli import serve as serving  # noqa: PLC0415 - keeps the small commands quick

    settings = load_settings()
    serving.set_up_logs(settings)
    serving.run(settings, host=host, port=port, worker=worker, ticker=ticker)


@app.command(epilog=_settings_help())
def worker() -> None:
    """Execute runs, without an API, until Ctrl-C."""
    from tidewell.cli import serve as serving  # noqa: PLC0415 - as above

    settings = load_settings()
    serving.set_up_logs(settings)
    serving.run(settings, worker=True, ticker=False)


@app.command(epilog=_settings_help())
def demo(host: Host = "127.0.0.1", port: Port = 8080) -> None:
    """Serve with a vendor, a customer, a real data set and a job, to look at."""
    from tidewell.cli import demo as showing  # noqa: PLC0415 - as above

    showing.demo(load_settings(), host, port)


@account_app.command("create")
def create_account(
    name: Annotated[str, typer.Option(help="Name of the vendor.")],
    public_key: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="RSA public key (PEM) of its tokens.")
    ],
    kid: Annotated[
        str, typer.Option(help="Key id that tokens may give; empty: the key's thumbprint.")
    ] = "",
) -> None:
    """Make a parent account; prints JSON with its id."""
    pem, thumbprint = keys.check_public_key(_text(public_key))

    async def make(connection: Connection) -> dict[str, Any]:
        parent_id = await repository.create_parent(
            connection, uuid4(), name, pem, clock.now(), kid or thumbprint
        )
        return {"id": str(parent_id), "name": name, "kid": kid or thumbprint}

    _print(_in_database(make))


@subaccount_app.command("create")
def create_subaccount(
    account: Annotated[UUID, typer.Option(help="Id of the parent account.")],
    external_id: Annotated[str | None, typer.Option(help="The vendor's own id of it.")] = None,
    name: Annotated[str, typer.Option(help="Name of the customer.")] = "",
) -> None:
    """Make a sub-account; prints JSON with its id."""

    async def make(connection: Connection) -> dict[str, Any]:
        account_id = await repository.create_account(
            connection, uuid4(), account, name, external_id, clock.now()
        )
        return {
            "id": str(account_id),
            "parentId": str(account),
            "externalId": external_id,
            "name": name,
        }

    _print(_in_database(make))


@app.command()
def token(
    key: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="The vendor's RSA private key (PEM).")
    ],
    iss: Annotated[UUID, typer.Option(help="Id of the parent account.")],
    sub: Annotated[UUID | None, typer.Option(help="Id of the sub-account.")] = None,
    ttl: Annotated[int, typer.Option(min=1, max=86_400, help="Seconds that it lives.")] = 3600,
    kid: Annotated[str | None, typer.Option(help="Key id for the header.")] = None,
) -> None:
    """Print a token (JWT) for calls of the API."""
    typer.echo(
        tokens.sign(
            key.read_bytes(),
            parent_id=iss,
            account_id=sub,
            seconds=ttl,
            now=clock.now(),
            kid=kid,
        )
    )


def load_settings() -> Settings:
    """The settings of the environment. Raises TidewellError that names the wrong one."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"TIDEWELL_{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors()
        )
        raise TidewellError(f"The settings are not valid: {wrong}") from None


def _in_database(make: Callable[[Connection], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Do something in one transaction on the state database."""

    async def do(url: str) -> dict[str, Any]:
        async with Database(url) as database, database.transaction() as connection:
            return await make(connection)

    with state_url(load_settings()) as url:
        upgrade(url)
        return asyncio.run(do(url))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise TidewellError(f"{path} cannot be read as text.") from error


def _print(result: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(result) + "\n")
