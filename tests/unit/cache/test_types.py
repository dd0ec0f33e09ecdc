"""The type table: what docs/types.md shows is what the code does, and widening loses nothing."""

from pathlib import Path

import pyarrow as pa
import pytest

from tidewell.cache.plan import CacheColumn
from tidewell.cache.types import held, wider

PAGE = (Path(__file__).parents[3] / "docs" / "types.md").read_text()
SHOWN = [
    *(pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64()),
    *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.float16(), pa.float32(), pa.float64()),
    *(pa.decimal128(10, 2), pa.decimal128(5, -2), pa.decimal256(60, 10)),
    *(pa.string(), pa.large_string(), pa.string_view()),
    *(pa.binary(), pa.large_binary(), pa.binary(8)),
    *(pa.date32(), pa.date64(), pa.time32("s"), pa.time64("ns")),
    *(pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("us", "UTC")),
    *(pa.timestamp("ms", "Europe/Berlin"), pa.duration("s"), pa.month_day_nano_interval()),
    *(pa.uuid(), pa.json_(), pa.null(), pa.dictionary(pa.int32(), pa.string())),
    *(pa.list_(pa.int32()), pa.struct([("a", pa.int32())]), pa.map_(pa.string(), pa.int32())),
]


@pytest.mark.parametrize("kind", SHOWN, ids=str)
def test_the_page_shows_what_the_code_does(kind: pa.DataType) -> None:
    assert f"| `{kind}` | `{held(CacheColumn('a', kind)).declared}` |" in PAGE


def test_a_declared_length_is_kept() -> None:
    assert held(CacheColumn("a", pa.string(), length=20)).declared == "character varying(20)"
    assert held(CacheColumn("a", pa.string(), length=20_000_000)).declared == "text"


@pytest.mark.parametrize(
    ("cached", "loaded", "both"),
    [
        ("integer", "integer", "integer"),
        ("smallint", "bigint", "bigint"),
        ("bigint", "smallint", "bigint"),
        ("integer", "double precision", "double precision"),
        ("bigint", "numeric(10,2)", "numeric(21,2)"),
        ("numeric(10,2)", "numeric(5,4)", "numeric(12,4)"),
        ("numeric(10,2)", "numeric", "numeric"),
        ("character varying(10)", "character varying(20)", "character varying(20)"),
        ("character varying(20)", "character varying(10)", "character varying(20)"),
        ("character varying(10)", "text", "text"),
        # What reads a number or a time as such would break: such a change is for people to decide.
        ("integer", "text", None),
        ("text", "integer", None),
        ("bigint", "double precision", None),
        ("boolean", "integer", None),
        ("date", "jsonb", None),
        ("date", "timestamp without time zone", "timestamp without time zone"),
    ],
)
def test_a_type_that_holds_both(cached: str, loaded: str, both: str | None) -> None:
    assert wider(cached, loaded) == both
