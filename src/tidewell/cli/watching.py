"""`tidewell job watch`: the jobs as they are, and the runs that work as their events tell."""

import asyncio
import sys
from typing import Any

from rich.live import Live

from tidewell import clock
from tidewell.cli import tables
from tidewell.cli.calling import Calling, plain
from tidewell.client import AsyncJob, ClientError, Run

_LIST_SECONDS = 1.0
_FOLLOWED = 16  # runs at a time: each holds a connection
_AT_WORK = ("JOB_QUEUED", "JOB_RUNNING")


async def watch(calling: Calling) -> None:
    """Show all jobs until Ctrl-C."""
    runs = RunsAtWork(calling)
    async with asyncio.TaskGroup() as group:
        if calling.as_json:
            await _tell(calling, runs, group)
        else:
            await _show(calling, runs, group)


class RunsAtWork:
    """The newest runs of jobs that wait or work, each followed until its end."""

    def __init__(self, calling: Calling) -> None:
        self._client = calling.client
        self._changed = asyncio.Event()
        self._followed: set[str] = set()
        self.by_job: dict[str, Run] = {}

    def follow(self, jobs: list[AsyncJob], group: asyncio.TaskGroup) -> None:
        """Follow those of these jobs that are not followed yet."""
        for job in jobs:
            if len(self._followed) >= _FOLLOWED:
                return
            if job.last_run.status in _AT_WORK and job.id not in self._followed:
                self._followed.add(job.id)
                group.create_task(self._follow(job))

    async def moved(self) -> None:
        """Return when a run has moved or ended, at the latest when it is time to ask again."""
        try:
            await asyncio.wait_for(self._changed.wait(), _LIST_SECONDS)
        except TimeoutError:
            return
        self._changed.clear()

    def see(self, run: Run) -> None:
        """Keep where a run stands."""
        self.by_job[run.job_id] = run
        self._changed.set()

    async def _follow(self, job: AsyncJob) -> None:
        try:
            for run in await job.runs(limit=1):
                await self._client.runs.wait(run.id, watching=self)
        except ClientError:
            await asyncio.sleep(_LIST_SECONDS)  # the list itself says what is wrong
        finally:
            self._followed.discard(job.id)
            self.by_job.pop(job.id, None)
            self._changed.set()


async def _show(calling: Calling, runs: RunsAtWork, group: asyncio.TaskGroup) -> None:
    with Live(console=calling.console, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            found = await calling.client.jobs.list()
            runs.follow(found, group)
            live.update(tables.jobs(found, clock.now(), runs.by_job), refresh=True)
            await runs.moved()


async def _tell(calling: Calling, runs: RunsAtWork, group: asyncio.TaskGroup) -> None:
    told: Any = None
    while True:
        jobs = await calling.client.jobs.list()
        runs.follow(jobs, group)
        found = plain(list(jobs))
        if found != told:
            told = found
            calling.answer(found, lambda: None)
            sys.stdout.flush()
        await runs.moved()
