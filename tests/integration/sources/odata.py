"""What the tests of the OData driver share."""

from collections.abc import Callable
from typing import Any

from tests.odd_service import Answer, Request
from tidewell.egress import EgressRules
from tidewell.sources.odata import DRIVER
from tidewell.sources.odata.source import ODataSource
from tidewell.sources.protocol import Environment, ReadRequest

DEFAULTS = {key.name: key.default for key in DRIVER.keys if key.default}


def source(url: str, log: list[str] | None = None, **values: str) -> ODataSource:
    """A source with the driver's defaults, whose trace goes to a list."""

    def trace(_: int, text: str) -> None:
        if log is not None:
            log.append(text)

    return DRIVER.open(
        DEFAULTS | {"URL": url} | values,
        Environment(egress=EgressRules.parse("127.0.0.0/8"), trace=trace),
    )


def rows(opened: ODataSource, table: str = "Things", **request: Any) -> list[dict[str, Any]]:
    """Every row of a read."""
    with opened:
        batches = opened.read(ReadRequest("OData", table, **request)).batches
        return [row for batch in batches for row in batch.to_pylist()]


def pages(*answers: Answer) -> Callable[[Request], Answer]:
    """One answer after another."""
    left = list(answers)
    return lambda _: left.pop(0)


def page(*ids: int, **more: Any) -> Answer:
    """A page of things."""
    return Answer({"value": [{"ID": one, "name": f"n{one}"} for one in ids]} | more)
