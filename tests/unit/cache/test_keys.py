"""Keys that came more than once are never taken for unique ones."""

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewell.cache import keys
from tidewell.cache.keys import SeenKeys
from tidewell.cache.plan import CacheColumn
from tidewell.cache.types import held


def seen(rows: pa.Table, *key: str, batch: int = 3) -> SeenKeys:
    columns = [(one.name, held(CacheColumn(one.name, one.type))) for one in rows.schema]
    found = SeenKeys(columns, key, utf8=True)
    batches = rows.to_batches(max_chunksize=batch)
    assert list(found.watched(batches)) == batches
    return found


@given(st.lists(st.tuples(st.integers(0, 5), st.text("ab", max_size=2)), max_size=12))
def test_keys_are_unique_when_each_came_once(rows: list[tuple[int, str]]) -> None:
    table = pa.table(
        {
            "value": pa.array(range(len(rows)), pa.int64()),
            "a": pa.array([row[0] for row in rows], pa.int32()),
            "b": pa.array([row[1] for row in rows], pa.string()),
        }
    )
    assert seen(table, "b", "a").are_unique() == (len(set(rows)) == len(rows))


@pytest.mark.parametrize(
    "key",
    [
        pa.array([1, None], pa.int64()),
        pa.array([0.0, -0.0]),
        pa.array([float("nan"), float("nan")]),
        pa.array([Decimal(1), Decimal(2)], pa.decimal256(76, 0)),
        pa.ExtensionArray.from_storage(pa.json_(), pa.array(["1", "2"])),
    ],
)
def test_what_is_not_certain_is_left_to_the_server(key: pa.Array) -> None:
    assert not seen(pa.table({"id": key}), "id").are_unique()


def test_without_a_key_nothing_is_known() -> None:
    assert not seen(pa.table({"id": [1, 2]})).are_unique()


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_MOST", 7)
    assert seen(pa.table({"id": range(7)}), "id").are_unique()
    assert not seen(pa.table({"id": range(8)}), "id").are_unique()
