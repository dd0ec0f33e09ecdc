"""`tidewell token`: a token for calls of the API."""

import json
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from tidewell import clock
from tidewell.accounts import tokens
from tidewell.cli.doing import chosen_account, in_database
from tidewell.cli.options import Json

token_app = typer.Typer(add_completion=False)


@token_app.command("token")
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
        iss, sub = in_database(lambda connection: chosen_account(connection, sub))
    signed = tokens.sign(
        key.read_bytes(), parent_id=iss, account_id=sub, seconds=ttl, now=clock.now(), kid=kid
    )
    typer.echo(json.dumps({"token": signed}) if as_json else signed)
