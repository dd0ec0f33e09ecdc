"""What each command takes and prints."""

import json
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from tidewell import __version__, clock
from tidewell.accounts import tokens
from tidewell.cli.accounts import account_app, own_customer, subaccount_app
from tidewell.cli.admin import admin_app
from tidewell.cli.calling import Json, Token, Url
from tidewell.cli.connections import connection_app
from tidewell.cli.database import db_app
from tidewell.cli.doing import load_settings
from tidewell.cli.jobs import job_app
from tidewell.cli.pats import pat_app
from tidewell.cli.querying import query
from tidewell.cli.secrets import secrets_app, signing_app
from tidewell.settings import Settings


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
app.add_typer(job_app, name="job")
app.add_typer(connection_app, name="connection")
app.command("query")(query)
app.add_typer(account_app, name="account")
app.add_typer(subaccount_app, name="subaccount")
app.add_typer(pat_app, name="pat")
app.add_typer(db_app, name="db")
app.add_typer(secrets_app, name="secrets")
app.add_typer(signing_app, name="signing-key")
app.add_typer(admin_app, name="admin")

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
def ticker() -> None:
    """Queue due jobs, without an API and a worker, until Ctrl-C."""
    from tidewell.cli import serve as serving  # noqa: PLC0415 - as above

    settings = load_settings()
    serving.set_up_logs(settings)
    serving.run(settings, worker=False, ticker=True)


@app.command(epilog=_settings_help())
def demo(host: Host = "127.0.0.1", port: Port = 8080) -> None:
    """Serve with a vendor, a customer, a real data set and a job, to look at."""
    from tidewell.cli import demo as showing  # noqa: PLC0415 - as above

    showing.demo(load_settings(), host, port)


@app.command("doctor")
def check(url: Url = "", token: Token = "", as_json: Json = False) -> None:
    """Check settings, database, keys, caches, clock and egress, and say what to do."""
    from tidewell.cli.doctor import doctor  # noqa: PLC0415 - as above

    doctor(url, token, as_json=as_json)


@app.command()
def token(
    key: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="The vendor's RSA private key (PEM).")
    ],
    iss: Annotated[
        UUID | None,
        typer.Option(help="Id of the parent account; empty: that of this machine's only customer."),
    ] = None,
    sub: Annotated[
        UUID | None,
        typer.Option(help="Id of the sub-account; empty, without --iss: the only one here."),
    ] = None,
    ttl: Annotated[int, typer.Option(min=1, max=86_400, help="Seconds that it lives.")] = 3600,
    kid: Annotated[str | None, typer.Option(help="Key id for the header.")] = None,
    as_json: Json = False,
) -> None:
    """Print a token (JWT) for calls of the API; with --iss nothing but the key is looked at."""
    if iss is None:
        iss, sub = own_customer(sub)
    signed = tokens.sign(
        key.read_bytes(), parent_id=iss, account_id=sub, seconds=ttl, now=clock.now(), kid=kid
    )
    typer.echo(json.dumps({"token": signed}) if as_json else signed)
