"""Numbers keep their digits on the way in and on the way out."""

from decimal import Decimal

import pyarrow as pa
import pytest

from tidewell.errors import QueryFailed
from tidewell.query.parameters import read_parameters
from tidewell.query.result import as_batch

COMPUTED = pa.schema([pa.field("total", pa.decimal128(38, 16))])
"""What a sum in the cache is told as."""


@pytest.mark.parametrize("text", ["1234567890123", "9999999999999999999999.5", "0.0725", "-1E+15"])
def test_a_large_number_goes_into_a_batch(text: str) -> None:
    batch = as_batch([(Decimal(text),), (None,)], COMPUTED)
    assert batch.column(0).to_pylist() == [Decimal(text), None]


@pytest.mark.parametrize("text", ["12345678901234567890123", "1E+60", "1E+90"])
def test_a_number_that_a_column_cannot_hold_is_a_fault_of_the_query(text: str) -> None:
    with pytest.raises(QueryFailed, match="more digits than a decimal128"):
        as_batch([(Decimal(text),)], COMPUTED)


@pytest.mark.parametrize(
    ("written", "read"),
    [("1E+3", "1000"), ("-1.5e3", "-1500"), ("1E-3", "0.001"), (0.0725, "0.0725")],
)
def test_a_decimal_is_read_with_its_digits(written: str | float, read: str) -> None:
    [value] = read_parameters({"@p": {"dataType": 12, "value": written}}).values()
    assert f"{value}" == read


def test_a_decimal_may_be_longer_than_any_engine_writes_it() -> None:
    [value] = read_parameters({"@p": {"dataType": 12, "value": "1E+999999999"}}).values()
    assert value == Decimal("1E+999999999")
