"""A connection with its secrets open: what a driver needs to read from it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tidewell.connections import repository, strings
from tidewell.connections.sealing import SealingBox
from tidewell.errors import NotFound
from tidewell.sources import registry
from tidewell.sources.protocol import Driver
from tidewell.state.database import Connection


@dataclass(frozen=True)
class OpenedConnection:
    """A connection of an account, ready for its driver."""

    id: UUID
    account_id: UUID
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
    return OpenedConnection(
        connection_id, account_id, row["name"], driver, values, row["modified_at"]
    )
