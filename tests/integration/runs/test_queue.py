"""What the queue promises of drops: after all runs, one at a time in a cache, until it is done."""

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest

from tests.integration.runs.nodes import LANES, NOW, Node, node
from tidewell.connections.resealing import reseal
from tidewell.connections.sealing import SealingBox
from tidewell.errors import CacheUnavailable, Unavailable
from tidewell.runs import repository
from tidewell.runs.commands import queue_run
from tidewell.runs.queue import DROP, EXECUTE, QUEUE, Queue

__all__ = ["node"]

REGISTER = "SELECT worker_id FROM procrastinate_register_worker_v1()"
DUE = "UPDATE procrastinate_jobs SET scheduled_at = now()"
SEALED = "SELECT args ->> 'sealed' AS sealed FROM procrastinate_jobs ORDER BY id"
END = "SELECT pg_terminate_backend(%s, 10000)"
CACHE = UUID(int=1)


async def drop(node: Node, sealed: str) -> UUID:
    """Queue a drop of a table; returns whose it is."""
    job_id = uuid4()
    async with node.database.transaction() as connection:
        await node.queue.defer_drop(connection, job_id, sealed, CACHE, NOW)
    return job_id


async def drop_of_an_earlier_release(node: Node, sealed: str) -> UUID:
    job_id = uuid4()
    task = node.queue.app.configure_task(DROP, queue=QUEUE)
    await task.defer_async(job_id=str(job_id), sealed=sealed, cache_id=str(CACHE))
    return job_id


async def test_runs_go_before_drops_and_a_cache_takes_one_place_of_a_worker(node: Node) -> None:
    first, _, _, other = [await drop(node, sealed) for sealed in ("dead", "dead", "dead", "other")]
    account_id = await node.account()
    (job_id,) = await node.jobs(account_id, 1)
    async with node.database.transaction() as connection:
        run_id = await queue_run(connection, node.queue, account_id, job_id, "request", NOW)
    async with node.database.statement() as connection:
        row = await (await connection.execute(REGISTER)).fetchone()
        assert row is not None
        taken = []
        while found := await repository.next_of_queue(connection, [QUEUE], row["worker_id"]):
            args = found["args"]
            taken.append((found["task_name"], UUID(args.get("run_id") or args["job_id"])))
    assert taken == [(EXECUTE, run_id), (DROP, first), (DROP, other)]


@pytest.mark.parametrize("queued", [drop, drop_of_an_earlier_release], ids=["now", "earlier"])
async def test_a_table_that_cannot_be_dropped_does_not_hold_back_the_others_for_ever(
    node: Node, queued: Callable[[Node, str], Awaitable[UUID]]
) -> None:
    stuck = await queued(node, "cache")
    others = [await drop(node, "cache") for _ in range(2)]
    tried = []

    async def try_to_drop(job_id: str, **_: str) -> None:
        tried.append(UUID(job_id))
        if tried[-1] == stuck:
            raise CacheUnavailable("It is locked.")

    queue = Queue(node.database, LANES)
    queue.register_drops(try_to_drop)
    await queue.open()
    passes = []
    for _ in range(3):
        await queue.app.run_worker_async(
            queues=[QUEUE],
            wait=False,
            listen_notify=False,
            install_signal_handlers=False,
            delete_jobs="always",
        )
        passes.append(list(tried))
        tried.clear()
        async with node.database.transaction() as connection:
            await connection.execute(DUE)
    # Once it is only tried again, because the cache may be away; then the others go first.
    assert passes == [[stuck], [stuck, *others], [stuck]]


async def test_the_address_of_a_waiting_drop_is_sealed_anew(node: Node) -> None:
    lost, old, new = (bytes([number]) * 32 for number in range(3))
    await drop(node, SealingBox([lost]).seal("Server=a", CACHE))
    await drop(node, SealingBox([old]).seal("Server=b", CACHE))
    async with node.database.transaction() as connection:
        assert await reseal(connection, SealingBox([new, old])) == 1
        rows = await (await connection.execute(SEALED)).fetchall()
    assert SealingBox([lost]).open(rows[0]["sealed"], CACHE) == "Server=a"
    assert SealingBox([new]).open(rows[1]["sealed"], CACHE) == "Server=b"


@pytest.mark.parametrize("what", ["run", "drop"])
async def test_a_state_database_that_goes_away_in_between_is_out_of_reach(
    node: Node, what: str
) -> None:
    async def put() -> None:
        async with node.database.transaction() as connection:
            async with node.database.transaction() as other:
                await other.execute(END, (connection.info.backend_pid,))
            if what == "run":
                await node.queue.defer_run(connection, uuid4(), uuid4(), uuid4(), 1)
            else:
                await node.queue.defer_drop(connection, uuid4(), "", CACHE, NOW)

    with pytest.raises(Unavailable):
        await put()
