"""`tidewell admin`: what the operator of the service may do."""

from typing import Annotated, Any

import typer

from tidewell import clock
from tidewell.cli.doing import Answer, answers, in_database, load_settings
from tidewell.connections import links, signing
from tidewell.connections.sealing import SealingBox
from tidewell.state.database import Connection

admin_app = typer.Typer(
    help="The operator of the service.", no_args_is_help=True, add_completion=False
)


@admin_app.callback()
def _admin() -> None:
    """The operator of the service."""


@admin_app.command("link")
@answers
def admin_link(
    base_url: Annotated[
        str, typer.Option(help="Address of the service; empty: TIDEWELL_BASE_URL, or this machine.")
    ] = "",
) -> Answer:
    """Print a link that signs in to the Jobs pages of all accounts; it opens for 180 s."""
    settings = load_settings()
    box = SealingBox.from_settings(settings)
    base = (base_url or settings.base_url or "http://127.0.0.1:8080").rstrip("/")

    async def make(connection: Connection) -> dict[str, Any]:
        now = clock.now()
        key = await signing.current(connection, box, now)
        token = signing.sign(key, box, links.operator_claims(now))
        return {"url": f"{base}/oem/operator?token={token}"}

    return in_database(make)
