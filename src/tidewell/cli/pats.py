"""`tidewell pat`: personal access tokens, with which desktop clients query."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID, uuid4

import typer

from tidewell import clock
from tidewell.accounts import audit, pats
from tidewell.accounts.audit import Action, Author
from tidewell.cli.doing import Answer, answers, chosen_account, in_database
from tidewell.state.database import Connection

pat_app = typer.Typer(
    help="Personal access tokens: HTTP Basic for queries.",
    no_args_is_help=True,
    add_completion=False,
)
Sub = Annotated[UUID | None, typer.Option(help="Id of the sub-account; empty: the only one here.")]


@pat_app.command("create")
@answers
def create_pat(
    sub: Sub = None,
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    days: Annotated[int, typer.Option(min=1, max=3650, help="Days that it lives.")] = 365,
) -> Answer:
    """Make a token; its user and the token are shown this once."""

    async def make(connection: Connection) -> dict[str, Any]:
        token_id, now = uuid4(), clock.now()
        _, account_id = await chosen_account(connection, sub)
        expires_at = now + timedelta(days=days)
        token = await pats.create(connection, account_id, token_id, name, now, expires_at)
        await _note(connection, account_id, Action.PAT_CREATED, token_id, name)
        return {
            "user": str(account_id),
            "token": token,
            "id": str(token_id),
            "expires": clock.to_wire(expires_at),
        }

    return in_database(make)


@pat_app.command("list")
@answers
def list_pats(sub: Sub = None) -> Answer:
    """The tokens of a sub-account, without the tokens themselves."""

    async def show(connection: Connection) -> dict[str, Any]:
        _, account_id = await chosen_account(connection, sub)
        return {
            "tokens": [
                {
                    "id": str(row["id"]),
                    "name": row["name"],
                    "created": clock.to_wire(row["created_at"]),
                    "expires": clock.to_wire(row["expires_at"]),
                    "revoked": clock.to_wire(row["revoked_at"]) if row["revoked_at"] else None,
                }
                for row in await pats.listed(connection, account_id)
            ]
        }

    return in_database(show)


@pat_app.command("revoke")
@answers
def revoke_pat(
    token_id: Annotated[UUID, typer.Option("--id", help="Id, as `pat list` shows it.")],
    sub: Sub = None,
) -> Answer:
    """Refuse a token from now on."""

    async def revoke(connection: Connection) -> dict[str, Any]:
        _, account_id = await chosen_account(connection, sub)
        name = await pats.revoke(connection, account_id, token_id, clock.now())
        await _note(connection, account_id, Action.PAT_REVOKED, token_id, name)
        return {"user": str(account_id), "id": str(token_id), "revoked": True}

    return in_database(revoke)


async def _note(
    connection: Connection, account_id: UUID, action: Action, target: UUID, name: str
) -> None:
    parent_id = await pats.parent_of(connection, account_id)
    author = Author(parent_id, account_id, "command line")
    await audit.record(connection, author, action, target, name, clock.now())
