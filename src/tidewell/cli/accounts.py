"""`tidewell account` and `tidewell subaccount`: vendors, their keys and hosts, their customers."""

import os
import re
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import typer

from tidewell import clock
from tidewell.accounts import audit, keys, repository
from tidewell.accounts.audit import Action, Author
from tidewell.cli.doing import Answer, answers, in_database
from tidewell.errors import InvalidRequest, TidewellError
from tidewell.state.database import Connection

account_app = typer.Typer(
    help="Parent accounts: the software vendors.", no_args_is_help=True, add_completion=False
)
key_app = typer.Typer(
    help="The public keys of a vendor's tokens.", no_args_is_help=True, add_completion=False
)
subaccount_app = typer.Typer(
    help="Sub-accounts: the vendors' customers.", no_args_is_help=True, add_completion=False
)
account_app.add_typer(key_app, name="key")

PublicKey = Annotated[
    Path, typer.Option(exists=True, dir_okay=False, help="RSA public key (PEM) of its tokens.")
]
Kid = Annotated[str, typer.Option(help="Key id that tokens may give; empty: its thumbprint.")]
OnlyParent = Annotated[
    UUID | None, typer.Option(help="Id of the parent account; empty: the only one.")
]

_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?|\[[0-9a-f:]+\](:\d{1,5})?")
_ORIGIN = re.compile(rf"https?://({_HOST.pattern})")


@account_app.command("create")
@answers
def create_account(
    name: Annotated[str, typer.Option(help="Name of the vendor.")],
    public_key: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="RSA public key (PEM) of its tokens."),
    ] = None,
    new_key: Annotated[
        Path | None,
        typer.Option(help="Instead: make a key pair, and write its private key (PEM) here."),
    ] = None,
    kid: Kid = "",
) -> Answer:
    """Make a parent account; tells its id."""
    if (public_key is None) == (new_key is None):
        raise InvalidRequest("Give --public-key, or --new-key to have a key pair made.")
    text = _text(public_key) if public_key else _made(new_key)
    pem, thumbprint = keys.check_public_key(text)

    async def make(connection: Connection) -> dict[str, Any]:
        parent_id = uuid4()
        await repository.create_parent(
            connection, parent_id, name, pem, clock.now(), kid or thumbprint
        )
        await _note(connection, parent_id, Action.ACCOUNT_CREATED, parent_id, name)
        return {"id": str(parent_id), "name": name, "kid": kid or thumbprint}

    return in_database(make)


@account_app.command("list")
@answers
def list_parents() -> Answer:
    """The parent accounts, with the ids that other commands ask for."""

    async def show(connection: Connection) -> dict[str, Any]:
        return {
            "accounts": [
                {
                    "id": str(row["id"]),
                    "name": row["name"],
                    "created": clock.to_wire(row["created_at"]),
                    "subAccounts": row["customers"],
                }
                for row in await repository.list_parents(connection)
            ]
        }

    return in_database(show)


@account_app.command("hosts")
@answers
def set_hosts(
    account: OnlyParent = None,
    return_host: Annotated[
        list[str] | None,
        typer.Option(help="Host that customers may be sent back to; none: any. May be repeated."),
    ] = None,
    frame_origin: Annotated[
        list[str] | None,
        typer.Option(help="Origin whose pages may frame the hosted forms. May be repeated."),
    ] = None,
) -> Answer:
    """Replace a vendor's return hosts and frame origins."""
    hosts = [_matching(_HOST, one, "return-host", "a host name") for one in return_host or []]
    origins = [
        _matching(_ORIGIN, one, "frame-origin", "an origin, as https://app.example")
        for one in frame_origin or []
    ]

    async def change(connection: Connection) -> dict[str, Any]:
        parent_id = account or await _only_parent(connection)
        named = " ".join([*hosts, *origins])
        await repository.set_hosts(connection, parent_id, hosts, origins)
        await _note(connection, parent_id, Action.HOSTS_SET, parent_id, named)
        return {"id": str(parent_id), "returnHosts": hosts, "frameOrigins": origins}

    return in_database(change)


@key_app.command("add")
@answers
def add_key(public_key: PublicKey, account: OnlyParent = None, kid: Kid = "") -> Answer:
    """Register another public key of a vendor, at once; tells its kid."""
    pem, thumbprint = keys.check_public_key(_text(public_key))

    async def add(connection: Connection) -> dict[str, Any]:
        name, parent_id = kid or thumbprint, account or await _only_parent(connection)
        key_id = await repository.add_key(connection, parent_id, pem, name, clock.now())
        await _note(connection, parent_id, Action.KEY_ADDED, key_id, name)
        return {"account": str(parent_id), "kid": name}

    return in_database(add)


@key_app.command("revoke")
@answers
def revoke_key(
    kid: Annotated[str, typer.Option(help="Key id, as `key list` shows it.")],
    account: OnlyParent = None,
) -> Answer:
    """Refuse the tokens of a key from now on."""

    async def revoke(connection: Connection) -> dict[str, Any]:
        parent_id = account or await _only_parent(connection)
        key_id = await repository.revoke_key(connection, parent_id, kid, clock.now())
        await _note(connection, parent_id, Action.KEY_REVOKED, key_id, kid)
        return {"account": str(parent_id), "kid": kid, "revoked": True}

    return in_database(revoke)


@key_app.command("list")
@answers
def list_keys(account: OnlyParent = None) -> Answer:
    """The keys of a vendor."""

    async def show(connection: Connection) -> dict[str, Any]:
        parent_id = account or await _only_parent(connection)
        await repository.parent(connection, parent_id)
        return {
            "keys": [
                {
                    "kid": row["kid"],
                    "created": clock.to_wire(row["created_at"]),
                    "revoked": clock.to_wire(row["revoked_at"]) if row["revoked_at"] else None,
                }
                for row in await repository.list_keys(connection, parent_id)
            ]
        }

    return in_database(show)


@subaccount_app.command("create")
@answers
def create_subaccount(
    account: OnlyParent = None,
    external_id: Annotated[str | None, typer.Option(help="The vendor's own id of it.")] = None,
    name: Annotated[str, typer.Option(help="Name of the customer.")] = "",
) -> Answer:
    """Make a sub-account; tells its id."""

    async def make(connection: Connection) -> dict[str, Any]:
        parent_id = account or await _only_parent(connection)
        row = await repository.create_account(
            connection, uuid4(), parent_id, name, external_id, clock.now()
        )
        await _note(connection, parent_id, Action.ACCOUNT_CREATED, row["id"], name)
        return {
            "id": str(row["id"]),
            "parentId": str(parent_id),
            "externalId": external_id,
            "name": name,
        }

    return in_database(make)


@subaccount_app.command("list")
@answers
def list_subaccounts(account: OnlyParent = None) -> Answer:
    """The sub-accounts of a parent account."""

    async def show(connection: Connection) -> dict[str, Any]:
        parent_id = account or await _only_parent(connection)
        await repository.parent(connection, parent_id)
        return {
            "subAccounts": [
                {
                    "id": str(row["id"]),
                    "externalId": row["external_id"],
                    "name": row["name"],
                    "created": clock.to_wire(row["created_at"]),
                }
                for row in await repository.list_accounts(connection, parent_id)
            ]
        }

    return in_database(show)


async def _only_parent(connection: Connection) -> UUID:
    found = await repository.some_parents(connection, 2)
    if len(found) != 1:
        which = "several parent accounts" if found else "no parent account yet"
        raise TidewellError(
            f"There is {which}: give --account; `tidewell account list` shows them."
        )
    return found[0]


async def _note(
    connection: Connection, parent_id: UUID, action: Action, target: UUID, name: str
) -> None:
    author = Author(parent_id, None, "command line")
    await audit.record(connection, author, action, target, name, clock.now())


def _matching(pattern: re.Pattern[str], text: str, field: str, what: str) -> str:
    lowered = text.lower().rstrip("/")
    if not pattern.fullmatch(lowered):
        raise InvalidRequest.of(field, f"{text[:60]!r} is not {what}")
    return lowered


def _made(path: Path | None) -> str:
    """A new key pair: the private key goes to the path, for its owner only; returns the public."""
    private, public = keys.new_key_pair()
    try:
        descriptor = os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise TidewellError(f"{path} cannot be written as a new file: {error.strerror}.") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(private)
    return public


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise TidewellError(f"{path} cannot be read as text.") from error
