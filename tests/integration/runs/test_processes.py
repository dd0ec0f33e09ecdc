"""The processes that execute runs are kept warm, and replaced when they hold on to memory."""

import pytest

from tidewell.runs import children as processes
from tidewell.runs.children import Children


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
