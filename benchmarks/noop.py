"""The two sides of a no-op: `python -m benchmarks.noop ours|queue`.

`ours` is a worker of Tidewell whose runs do nothing (`benchmarks.noop_process`); `queue` is one of
Procrastinate alone, with a task that does nothing. Both take their address from the environment
(TIDEWELL_DATABASE_URL) and have the same concurrency.
"""

import asyncio
import sys

import procrastinate
from procrastinate.psycopg_connector import PsycopgConnector

from tidewell import clock, logs
from tidewell.cli.node import open_node
from tidewell.runs.worker import keep_working
from tidewell.settings import Settings

NOTHING = "nothing"
NO_RUN = "benchmarks.noop_process"


def queue_app(url: str) -> procrastinate.App:
    """Procrastinate with a task that does nothing."""
    app = procrastinate.App(connector=PsycopgConnector(conninfo=url))

    @app.task(name=NOTHING, queue=NOTHING)
    async def nothing() -> None:
        """Do nothing."""

    return app


async def work_for_queue(settings: Settings) -> None:
    """A worker of Procrastinate alone."""
    async with queue_app(settings.database_url.get_secret_value()).open_async() as app:
        await app.run_worker_async(
            queues=[NOTHING],
            concurrency=settings.run_concurrency,
            install_signal_handlers=False,
            delete_jobs="never",
        )


async def work_for_ours(settings: Settings) -> None:
    """A worker of Tidewell."""
    async with open_node(settings, settings.database_url.get_secret_value()) as node:
        await keep_working(
            node.database, node.queue, node.sealing, settings, clock.now, program=NO_RUN
        )


def main() -> None:
    match sys.argv[1:]:
        case ["ours"]:
            logs.set_up("warning", pretty=False)
            asyncio.run(work_for_ours(Settings()))
        case _:
            asyncio.run(work_for_queue(Settings()))


if __name__ == "__main__":
    main()
