"""A progress bar for a run that is waited for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from tidewell.client._models import Run


class Watching(Protocol):
    """Sees a run as it goes on."""

    def see(self, run: Run) -> None:
        """Take its state into account."""


class Nobody:
    """Watches no run."""

    def see(self, run: Run) -> None:
        """Look away."""


@contextmanager
def shown(name: str, progress: bool) -> Iterator[Watching]:
    """What watches a run: a bar on standard error, or nothing."""
    if not progress:
        yield Nobody()
        return
    from rich.console import Console  # noqa: PLC0415 - only where somebody looks
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(f"{name}: queued")

        class Bar:
            def see(self, run: Run) -> None:
                state = run.status.removeprefix("JOB_").lower()
                rows = "1 row" if run.rows_read == 1 else f"{run.rows_read:,} rows"
                bar.update(task, description=f"{name}: {state}, {rows} read")

        yield Bar()
