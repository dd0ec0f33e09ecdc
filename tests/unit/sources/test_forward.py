"""Which columns are proposed for a time check, and which of them first."""

import pyarrow as pa

from tidewell.sources.forward import best_first
from tidewell.sources.protocol import Column

TIME = pa.timestamp("us", "UTC")


def test_a_name_that_speaks_of_change_comes_first_and_keys_come_last() -> None:
    columns = [
        Column("id", pa.int64(), key_position=0, moves_forward=True),
        Column("createdAt", TIME, moves_forward=True),
        Column("at", TIME, moves_forward=True),
        Column("row_version", pa.int64(), moves_forward=True),
        Column("modifiedAt", TIME, moves_forward=True),
        Column("name", pa.string()),
    ]
    proposed = [one.name for one in best_first(columns)]
    assert proposed == ["modifiedAt", "row_version", "at", "createdAt", "id"]


def test_where_nothing_moves_forward_nothing_is_proposed() -> None:
    assert best_first([Column("name", pa.string())]) == []
