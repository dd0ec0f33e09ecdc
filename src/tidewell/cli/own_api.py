"""The API inside the process of a command: no server, no token, the operator's own rights."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from fastapi import FastAPI

from tidewell import logs
from tidewell.api.app import create_app
from tidewell.api.callers import act_for
from tidewell.cli.doing import chosen_account, load_settings
from tidewell.cli.node import open_node
from tidewell.errors import TidewellError
from tidewell.state.embedded import start
from tidewell.state.opened import allow_own_server, state_url
from tidewell.state.schema import upgrade


@asynccontextmanager
async def own_api(account_id: UUID | None) -> AsyncIterator[FastAPI]:
    """The application for one sub-account. Raises TidewellError when it is not clear which."""
    settings = load_settings()
    logs.set_up("error", pretty=True)
    with state_url(settings) as url:
        settings = allow_own_server(settings, url)
        await asyncio.to_thread(upgrade, url)
        async with open_node(settings, url) as node:
            async with node.database.transaction() as connection:
                parent_id, chosen = await chosen_account(connection, account_id)
            app = create_app(node)
            act_for(app, parent_id, chosen)
            yield app


def own_cache() -> str:
    """The connection string of the cache database that the embedded PostgreSQL has."""
    settings = load_settings()
    if settings.database_url.get_secret_value():
        raise TidewellError("No embedded PostgreSQL is used here: give --string.")
    with start(settings.home) as server:  # it runs already: this process is one of its users
        return server.cache_connection_string
