"""The process that asks sources, with a driver whose sources do what they should not."""

import os
import sys
import threading
import time
from collections.abc import Mapping

import pyarrow as pa

from tidewell import scratch
from tidewell.discovery import child
from tidewell.errors import SourceBroken
from tidewell.sources import registry
from tidewell.sources.protocol import Column, Environment, Key, Reading, ReadRequest, Source, Table


class _Asked:
    before = False


class OddSource(Source):
    """Does what `Do` says when it is tested."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def test(self) -> None:
        """hang: for ever, deaf to `cancel`. die: with the process; once: if it is not alone there.
        fail: by what is no error of ours, and holds the password. tell: the process and its
        environment, as an error. exit: as a program ends. spill: leave a file behind. The rest is
        said as an error."""
        print("drivers may print")
        what = self._values.get("Do", "")
        if what == "hang":
            threading.Event().wait()
        if what == "die":
            os._exit(7)
        if what == "once" and _Asked.before:
            os._exit(7)
        _Asked.before = True
        if what == "exit":
            sys.exit("no driver should")
        if what == "spill":
            (scratch.folder() / "rows").write_text("of a customer")
            raise SourceBroken(str(scratch.folder()))
        if what == "surrogate":
            raise SourceBroken("caf\udce9 is no name")
        if what == "fail":
            raise KeyError(self._values["Password"])
        if what == "tell":
            raise SourceBroken(f"{os.getpid()} {' '.join(os.environ)}")

    def schemas(self) -> list[str]:
        """One."""
        return ["Odd"]

    def tables(self, schema: str) -> list[Table]:
        """More than a pipe holds at a time."""
        if self._values.get("Do") == "surrogate":
            return [Table(schema, "caf\udce9")]
        return [Table(schema, f"table {number} {'é' * 50}") for number in range(20_000)]

    def columns(self, schema: str, table: str) -> list[Column]:
        """More than a message may hold."""
        return [Column("x" * (1 << 20) + str(number), pa.string()) for number in range(40)]

    def read(self, request: ReadRequest) -> Reading:
        """Nothing is read."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Fails."""
        raise RuntimeError("it is closed already")

    def close(self) -> None:
        """Nothing is held."""


class OddDriver:
    """The driver `Odd`."""

    name = "Odd"
    dialect = ""
    several_schemas = False
    keys = (Key("Do", "What it does."), Key("Password", "A secret.", secret=True))

    def open(self, values: Mapping[str, str], environment: Environment) -> Source:
        """A source; slow: when what it needs is read, lacking: where that is not installed."""
        if values.get("Do") == "slow":
            time.sleep(1.5)
        if values.get("Do") == "lacking":
            raise ModuleNotFoundError("No module named 'vendor'", name="vendor")
        return OddSource(values)


def main() -> None:
    """As the process does, which finds this driver for any name."""
    registry.driver = lambda _: OddDriver()  # type: ignore[assignment]
    registry._known = lambda: {"odd": registry._Known("Odd", str, "tidewell-odd", OddDriver)}  # type: ignore[assignment, misc]
    child.main()


if __name__ == "__main__":
    main()
