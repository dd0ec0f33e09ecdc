"""A run as server-sent events (WHATWG HTML §9.2): its state, its progress, its log, its end.

The events are read from the state database, so any node can serve any run. Each carries as its id
the last line of the log that was sent: a client that comes back with `Last-Event-ID` gets what it
has missed, and where the run stands.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import orjson

from tidewell import clock
from tidewell.errors import NotFound, Unavailable
from tidewell.runs import repository as runs
from tidewell.runs.life import ENDED
from tidewell.runs.wire import log_line_to_wire, run_to_wire
from tidewell.state.database import Database

MEDIA_TYPE = "text/event-stream"
_LOOK_SECONDS = 0.5
_HEARTBEAT_SECONDS = 15.0
_LONGEST_SECONDS = 3600.0  # then the client comes back, with a token that is still valid
_LINES = 1000
_RESUME = re.compile(r"([0-9]{1,18})(-end)?")


def resume_point(last_event_id: str | None) -> int | None:
    """The line after which to go on; 0 from the start, None when the end was seen already.

    An id that is not ours is as none.
    """
    found = _RESUME.fullmatch(last_event_id or "")
    if found is None:
        return 0
    return None if found[2] else int(found[1])


async def run_events(
    database: Database, account_id: UUID, run_id: UUID, after: int
) -> AsyncIterator[bytes]:
    """Events of a run until its end: `log`, `progress`, `state`, and `end` as the last one."""
    loop = asyncio.get_running_loop()
    end_at = loop.time() + _LONGEST_SECONDS
    quiet_since = loop.time()
    state: tuple[Any, ...] | None = None
    progress: tuple[int, int] | None = None
    yield b"retry: 2000\n\n"
    while loop.time() < end_at:
        try:
            async with database.transaction() as connection:
                row = await runs.one(connection, account_id, run_id)
                lines = await runs.log(connection, account_id, run_id, after, _LINES)
        except NotFound:
            return  # its job was deleted
        except Unavailable:
            await asyncio.sleep(_LOOK_SECONDS)
            continue
        found = []
        for line in lines:
            after = line["line"]
            found.append(_event("log", after, log_line_to_wire(line)))
        moved = (row["rows_read"], row["bytes_copied"])
        if moved != progress:
            progress = moved
            found.append(_event("progress", after, _progress(row)))
        stands = (row["state"], row["changed_at"])
        if stands != state:
            state = stands
            found.append(_event("state", after, run_to_wire(row, clock.now())))
        if row["state"] in ENDED and len(lines) < _LINES:
            found.append(_event("end", f"{after}-end", run_to_wire(row, clock.now())))
            yield b"".join(found)
            return
        if found:
            quiet_since = loop.time()
            yield b"".join(found)
        elif loop.time() - quiet_since > _HEARTBEAT_SECONDS:
            quiet_since = loop.time()
            yield b": still here\n\n"
        await asyncio.sleep(_LOOK_SECONDS)


def _progress(row: dict[str, Any]) -> dict[str, Any]:
    return {"rowsRead": row["rows_read"], "bytesCopied": row["bytes_copied"]}


def _event(name: str, event_id: int | str, data: dict[str, Any]) -> bytes:
    return f"id: {event_id}\nevent: {name}\ndata: {orjson.dumps(data).decode()}\n\n".encode()
