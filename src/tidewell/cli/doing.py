"""What the small commands share: the settings, one transaction, and JSON as their answer."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ValidationError

from tidewell.errors import TidewellError
from tidewell.settings import Settings
from tidewell.state.database import Connection, Database
from tidewell.state.opened import state_url
from tidewell.state.schema import upgrade


def load_settings() -> Settings:
    """The settings of the environment. Raises TidewellError that names the wrong one."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"TIDEWELL_{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors()
        )
        raise TidewellError(f"The settings are not valid: {wrong}") from None


def in_database(do: Callable[[Connection], Awaitable[dict[str, Any]]]) -> None:
    """Do something in one transaction on the state database, and print what it answers."""

    async def done(url: str) -> dict[str, Any]:
        async with Database(url) as database, database.transaction() as connection:
            return await do(connection)

    with state_url(load_settings()) as url:
        upgrade(url)
        result = asyncio.run(done(url))
    sys.stdout.write(json.dumps(result) + "\n")
