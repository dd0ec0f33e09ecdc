"""`tidewell secrets` and `tidewell signing-key`: the service's own keys, rotated."""

from typing import Any

import typer

from tidewell import clock
from tidewell.cli.doing import Answer, answers, in_database, load_settings
from tidewell.connections import resealing, signing
from tidewell.connections.sealing import SealingBox, add_key
from tidewell.state.database import Connection

secrets_app = typer.Typer(
    help="The key that encrypts stored credentials.", no_args_is_help=True, add_completion=False
)
signing_app = typer.Typer(
    help="The key that signs links to forms.", no_args_is_help=True, add_completion=False
)


@secrets_app.callback()
def _secrets() -> None:
    """The key that encrypts stored credentials."""


@signing_app.callback()
def _signing() -> None:
    """The key that signs links to forms."""


@secrets_app.command("rotate")
@answers
def rotate_secrets() -> Answer:
    """Encrypt every stored credential with a new key.

    The key kept in TIDEWELL_HOME is replaced. With TIDEWELL_SECRET_KEY, put the new key before
    the old one first, separated by a comma, restart the nodes, and then call this.
    """
    settings = load_settings()
    add_key(settings)
    box = SealingBox.from_settings(settings)

    async def rotate(connection: Connection) -> dict[str, Any]:
        count = await resealing.reseal(connection, box)
        return {"resealed": count, "key": box.key_id}

    return in_database(rotate)


@signing_app.command("rotate")
@answers
def rotate_signing() -> Answer:
    """Sign links with a new key from now on; tells its kid."""
    box = SealingBox.from_settings(load_settings())

    async def rotate(connection: Connection) -> dict[str, Any]:
        key = await signing.rotate(connection, box, clock.now())
        return {"kid": str(key.id)}

    return in_database(rotate)
