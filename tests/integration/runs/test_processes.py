"""The processes that execute runs are kept warm, and replaced when they hold on to memory."""

import subprocess
import sys
from uuid import uuid4

import pytest

from tidewell.runs import children as processes
from tidewell.runs.children import Children
from tidewell.runs.messages import STOP, CachingTask, Committing, Done, decode


async def test_a_process_is_used_again_unless_it_holds_too_much_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    children = Children(1)
    first = await children.take()
    await children.give_back(first)
    again = await children.take()
    assert again is first
    monkeypatch.setattr(processes, "_MOST_KEPT", 1)
    await children.give_back(again)
    other = await children.take()
    assert other.pid != first.pid
    assert not first.usable
    await other.kill()


STUBBORN = """
import threading
from tidewell.cache.plan import Receipt
from tidewell.runs import child
from tidewell.runs.messages import Committing
ordered = threading.Event()
class Stubborn:
    def __init__(self, answer):
        self.answer = answer
    def execute(self):
        self.answer(Committing())
        ordered.wait()
        return Receipt(mode="full", rows_read=0, rows_staged=0)
    def cancel(self):
        ordered.set()
        raise RuntimeError("it is closed already")
    def upkeep(self):
        pass
child.main(lambda task, answer, log: Stubborn(answer))
"""


def test_a_process_hears_the_next_order_after_a_run_that_would_not_be_cancelled() -> None:
    task = CachingTask(
        run_id=uuid4(),
        job_id=uuid4(),
        attempt=1,
        driver="Files",
        source={},
        cache={},
        secrets=(),
        connection_name="Shop",
        source_schema="Files",
        source_table="orders",
        cache_schema="Shop",
        cache_table="orders",
    )
    command = [sys.executable, "-c", STUBBORN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin
        assert running.stdout
        answers = []
        for orders in (task.to_line(), STOP, task.to_line()):
            running.stdin.write(orders)
            running.stdin.flush()
            answers.append(type(decode(running.stdout.readline())))
        answers.append(type(decode(running.stdout.readline())))
    assert answers == [Committing, Done, Committing, Done]
