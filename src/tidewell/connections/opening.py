"""A connection with its secrets open: what a driver needs to read from it."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tidewell.connections import repository, strings
from tidewell.connections.sealing import SealingBox
from tidewell.errors import NotFound, SourceError, Stopped
from tidewell.given import without_nul
from tidewell.sources import registry
from tidewell.sources.protocol import Driver, Environment, Source
from tidewell.state.database import Connection

TEST_SECONDS = 10.0


@dataclass(frozen=True)
class OpenedConnection:
    """A connection of an account, ready for its driver."""

    id: UUID
    name: str
    driver: Driver
    values: Mapping[str, str]
    modified_at: datetime | None = None
    """Since when it has these values; None: they are not stored yet."""

    def leads_elsewhere(self, driver: Driver, values: Mapping[str, str]) -> bool:
        """Whether other values may lead to other rows than these; in doubt they do."""
        return driver.name != self.driver.name or not strings.is_same_source(
            self.values, values, driver.keys
        )


async def find(
    connection: Connection,
    sealing: SealingBox,
    account_id: UUID,
    connection_id: UUID,
    allowed: Collection[UUID] | None,
) -> OpenedConnection | None:
    """Open a connection of the account; None when there is no such one."""
    try:
        row = await repository.one(connection, account_id, connection_id, allowed)
    except NotFound:
        return None
    driver = registry.driver(row["driver"])
    text = sealing.open(row["sealed"], connection_id)
    values = strings.parse(text, driver.keys)
    return OpenedConnection(connection_id, row["name"], driver, values, row["modified_at"])


async def test(opened: OpenedConnection, environment: Environment) -> str | None:
    """Try a connection, within `TEST_SECONDS`; returns what is wrong, None when it works."""
    sources: list[Source] = []
    trial = asyncio.create_task(asyncio.to_thread(_test, opened, environment, sources))
    done, _ = await asyncio.wait([trial], timeout=TEST_SECONDS)
    if not done:
        for source in sources:
            await asyncio.to_thread(source.cancel)
        trial.add_done_callback(lambda task: task.cancelled() or task.exception())
        return f"The source does not answer within {TEST_SECONDS:.0f} s."
    try:
        trial.result()
    except (SourceError, Stopped) as error:
        return without_nul(error.message)
    return None


def _test(opened: OpenedConnection, environment: Environment, sources: list[Source]) -> None:
    with opened.driver.open(opened.values, environment) as source:
        sources.append(source)
        source.test()
