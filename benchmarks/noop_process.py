"""The process of a no-op run: the real one (`tidewell.runs.child`), around a body that is empty."""

from tidewell.cache.plan import Receipt
from tidewell.runs import child


class NoRun:
    """Reads nothing and writes nothing, and says so as a run does that has committed."""

    def execute(self) -> Receipt:
        """End at once."""
        return Receipt(mode="full", rows_read=0, rows_staged=0)

    def cancel(self) -> None:
        """There is nothing to cancel."""

    def upkeep(self) -> None:
        """There is no table to look after."""


if __name__ == "__main__":
    child.main(lambda *_: NoRun())
