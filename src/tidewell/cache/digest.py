"""The receipt's digest: of the rows that were read, and of what then stands in PostgreSQL.

Both sides compute the same: a hash of each value with its column's seed, XOR over a row, sum over
all rows, so that their order does not matter. Here it is numpy over the batches that are about to
be encoded, there one statement over the staging table (`digest.sql`). Exact numbers are summed
instead, and JSON is counted, because PostgreSQL rewrites it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from tidewell.cache.address import Connection
from tidewell.cache.lookup3 import (
    Hashes,
    hash_float64,
    hash_int64,
    hash_padded,
    hash_uint32,
)
from tidewell.cache.types import Held, Wire
from tidewell.state.statements import statements

_SQL = statements("tidewell.cache", "digest.sql")

LONGEST_HASHED = 1024
"""Bytes of a text up to which it is hashed itself; of a longer one its SHA-256 is."""
_WIDTHS = (60, 252, LONGEST_HASHED)
_BLOCK = 12
_DAYS_TO_2000 = 10_957
_MICROSECONDS_TO_2000 = _DAYS_TO_2000 * 86_400_000_000
_SAFE_TO_SUM = 30
"""Digits of decimals of which a batch can be summed within Arrow's 38."""
_EXACT = Context(prec=2000)
_KINDS = {
    "boolean": "hash_boolean",
    "smallint": "hash_smallint",
    "integer": "hash_integer",
    "bigint": "hash_bigint",
    "real": "hash_real",
    "double precision": "hash_double",
    "date": "hash_date",
    "time without time zone": "hash_time",
    "timestamp without time zone": "hash_timestamp",
    "timestamp with time zone": "hash_timestamptz",
    "interval": "hash_interval",
    "uuid": "hash_uuid",
    "bytea": "hash_bytea",
    "text": "hash_text",
    "character varying": "hash_text",
    "numeric": "sum_numeric",
    "jsonb": "count_jsonb",
}


@dataclass
class Sums:
    """What a digest is made of: rows, the sum of their hashes, sums and counts by column."""

    rows: int
    hashes: int
    others: list[Decimal]

    @property
    def text(self) -> str:
        """A short text that two digests have in common only if all of it is equal."""
        parts = [self.rows, self.hashes % 2**64, *(_plain(one) for one in self.others)]
        return hashlib.sha256(" ".join(str(one) for one in parts).encode()).hexdigest()[:32]


class Digest:
    """Computes both sides for the columns of one load.

    `columns` are their names in the staging table, and how they are held. Where the database does
    not hold UTF-8 its bytes of a text are others than ours, so that all texts go by SHA-256.
    """

    def __init__(self, columns: Sequence[tuple[str, Held]], *, utf8: bool = True) -> None:
        self._longest = LONGEST_HASHED if utf8 else -1
        self._columns = [(name, _kind(held)) for name, held in columns]
        others = [kind for _, kind in self._columns if not kind.startswith("hash")]
        self.read = Sums(0, 0, [Decimal(0)] * len(others))
        self._with_nulls: set[int] = set()

    def see(self, batch: pa.RecordBatch) -> None:
        """Take a batch into account, as it is about to be encoded."""
        row = np.zeros(batch.num_rows, np.uint64)
        other = 0
        for position, (_, kind) in enumerate(self._columns):
            values = batch.column(position)
            if kind.startswith("hash"):
                seed = position + 1
                hashes = _hashes(kind, values, seed, self._longest)
                if values.null_count:
                    hashes[_nulls(values)] = seed
                    self._with_nulls.add(position)
                row ^= hashes
                continue
            if kind == "count_jsonb":
                found = Decimal(len(values) - values.null_count)
            else:
                found = _exact_sum(values)
            with localcontext(_EXACT):
                self.read.others[other] += found
            other += 1
        self.read.rows += batch.num_rows
        self.read.hashes += _sum_signed(row)

    def of_table(self, connection: Connection, table: sql.Identifier) -> Sums:
        """What stands in a table, as the server sees it."""
        parts = [
            (kind, self._part(position, name, kind))
            for position, (name, kind) in enumerate(self._columns)
        ]
        hashes = [part for kind, part in parts if kind.startswith("hash")]
        rest = [sql.SQL(", ") + part for kind, part in parts if not kind.startswith("hash")]
        statement = sql.SQL(_SQL["digest"]).format(
            table=table,
            row=sql.SQL(" # ").join(hashes) if hashes else sql.SQL("0"),
            rest=sql.SQL("").join(rest),
        )
        found = connection.execute(statement).fetchone() or (0, 0)
        return Sums(found[0], int(found[1]), [Decimal(one or 0) for one in found[2:]])

    def _part(self, position: int, name: str, kind: str) -> sql.Composed:
        seed = position + 1
        fragment = sql.SQL(_SQL[kind]).format(
            value=sql.SQL("staged.{}").format(sql.Identifier(name)),
            seed=sql.Literal(seed),
            longest=sql.Literal(self._longest),
            when_true=sql.Literal(_boolean(True, seed)),
            when_false=sql.Literal(_boolean(False, seed)),
        )
        # Where no NULL was read, one that stands there makes its row drop out of the sum.
        if not kind.startswith("hash") or position not in self._with_nulls:
            return fragment
        return sql.SQL("coalesce({}, {})").format(fragment, sql.Literal(seed))


def _kind(held: Held) -> str:
    if held.wire is Wire.TEXT:
        return "hash_text"
    return _KINDS[held.declared.partition("(")[0]]


def _plain(value: Decimal) -> int | str:
    with localcontext(_EXACT):
        return str(value.normalize())


def _sum_signed(hashes: Hashes) -> int:
    """The sum of hashes as the server's signed numbers, exactly."""
    low = int((hashes & np.uint64(0xFFFFFFFF)).sum(dtype=np.uint64))
    high = int((hashes.view(np.int64) >> 32).sum(dtype=np.int64))
    return (high << 32) + low


def _exact_sum(values: pa.Array) -> Decimal:
    if values.type.precision > _SAFE_TO_SUM:
        values = values.cast(pa.decimal256(76, values.type.scale))
    found: Decimal | None = pc.sum(values).as_py()
    return found or Decimal(0)


@cache
def _boolean(value: bool, seed: int) -> int:
    return int(hash_int64(np.array([int(value) - 2]), seed).view(np.int64)[0])


def _nulls(values: pa.Array) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = pc.is_null(values).to_numpy(zero_copy_only=False)
    return found


def _hashes(kind: str, values: pa.Array, seed: int, longest_text: int) -> Hashes:
    match kind:
        case "hash_boolean":
            true = values.fill_null(False).cast(pa.int8()).to_numpy()
            pair = np.array([_boolean(False, seed), _boolean(True, seed)]).view(np.uint64)
            chosen: Hashes = pair[true.astype(np.intp)]
            return chosen
        case "hash_smallint" | "hash_integer":
            return hash_uint32(_numbers(values, _stored(values), "i4").view(np.uint32), seed)
        case "hash_bigint" | "hash_time" | "hash_interval":
            return hash_int64(_numbers(values, "i8", "i8"), seed)
        case "hash_real" | "hash_double":
            return hash_float64(_numbers(values, _stored(values), "f8"), seed)
        case "hash_date":
            days = _numbers(values, "i4", "i4") - np.int32(_DAYS_TO_2000)
            return hash_uint32(days.view(np.uint32), seed)
        case "hash_timestamp" | "hash_timestamptz":
            return hash_int64(_numbers(values, "i8", "i8") - _MICROSECONDS_TO_2000, seed)
        case "hash_uuid":
            return _hash_fixed(values, seed)
        case "hash_bytea":
            return _hash_long([None if v is None else bytes(v) for v in values.to_pylist()], seed)
        case _:
            return _hash_texts(values, seed, longest_text)


def _stored(values: pa.Array) -> str:
    return ("f" if pa.types.is_floating(values.type) else "i") + str(values.type.bit_width // 8)


def _numbers(values: pa.Array, stored: str, wanted: str) -> npt.NDArray[Any]:
    """The values as numpy has them, without a look at which are NULL."""
    if not len(values):
        return np.empty(0, wanted)
    raw = np.frombuffer(values.buffers()[1], stored)
    return raw[values.offset : values.offset + len(values)].astype(wanted, copy=False)


def _hash_fixed(values: pa.Array, seed: int) -> Hashes:
    width = values.type.byte_width
    values = values.fill_null(b"\0" * width)
    raw = np.frombuffer(values.buffers()[1], np.uint8)
    rows = raw[values.offset * width :][: len(values) * width].reshape(len(values), width)
    padded = np.zeros((len(values), (width // _BLOCK + 1) * _BLOCK), np.uint8)
    padded[:, :width] = rows
    return hash_padded(padded.view(np.uint32), np.full(len(values), width), seed)


def _hash_texts(values: pa.Array, seed: int, longest_hashed: int) -> Hashes:
    """By length, so that one long text does not make all others as wide."""
    values = values.fill_null("")
    lengths = pc.binary_length(values).to_numpy(zero_copy_only=False).astype(np.int64)
    longest = int(lengths.max(initial=0))
    if longest <= min(_WIDTHS[0], longest_hashed):
        return _hash_short(values, lengths, longest, seed)
    hashes = np.empty(len(values), np.uint64)
    least = -1
    for most in (*(width for width in _WIDTHS if width <= longest_hashed), longest):
        chosen = (lengths > least) & (lengths <= most)
        if chosen.any():
            some = values.filter(pa.array(chosen))
            hashes[chosen] = (
                _hash_short(some, lengths[chosen], most, seed)
                if most <= longest_hashed
                else _hash_long([one.encode() for one in some.to_pylist()], seed)
            )
        least = max(least, most)
    return hashes


def _hash_short(
    values: pa.Array, lengths: npt.NDArray[np.int64], longest: int, seed: int
) -> Hashes:
    width = (longest // _BLOCK + 1) * _BLOCK
    padded = pc.ascii_rpad(values, width, padding="\0")
    data = padded.buffers()[2]
    raw = np.frombuffer(data, np.uint32, count=len(values) * width // 4)
    return hash_padded(raw.reshape(len(values), -1), lengths, seed)


def _hash_long(values: Sequence[bytes | None], seed: int) -> Hashes:
    texts = pa.array([hashlib.sha256(one or b"").hexdigest() for one in values], pa.string())
    return _hash_short(texts, np.full(len(values), 64), 64, seed)
