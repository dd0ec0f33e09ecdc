"""A hash of each row, computed alike on both sides.

Here it is numpy over batches, there an expression over the columns of a table (`rowhash.sql`): a
hash of each value with its column's seed, XOR over the row. What the two sides disagree on is a
row that is not the same; JSON has no hash, because PostgreSQL rewrites it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from tidewell.cache.lookup3 import (
    Hashes,
    hash_float64,
    hash_int64,
    hash_padded,
    hash_uint32,
)
from tidewell.cache.numerics import SHIFT, hash_decimals
from tidewell.cache.types import Held, Wire
from tidewell.state.statements import statements

_SQL = statements("tidewell.cache", "rowhash.sql")

LONGEST_HASHED = 1024
"""Bytes of a text up to which it is hashed itself; of a longer one its SHA-256 is."""
_WIDTHS = (60, 252, LONGEST_HASHED)
_BLOCK = 12
_DAYS_TO_2000 = 10_957
_MICROSECONDS_TO_2000 = _DAYS_TO_2000 * 86_400_000_000
_EXACT_SECONDS = (-5_364_662_400_000_000, 7_258_118_400_000_000)
"""From 1800 to 2200, in microseconds: between them seconds as a float8 tell all moments apart."""
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
    "numeric": "hash_numeric",
    "jsonb": "count_jsonb",
}
_RARE = {
    "hash_text": "hash_short_text",
    "hash_timestamp": "hash_near_moment",
    "hash_timestamptz": "hash_near_moment",
}
"""Shorter expressions for columns that hold nothing rare: no long text, no far moment."""


@dataclass(frozen=True)
class Seen:
    """In which columns, by position, a NULL was seen, and in which what needs more to be hashed."""

    nulls: tuple[int, ...] = ()
    rare: tuple[int, ...] = ()


class RowHash:
    """Hashes the rows of these columns; columns that have no hash (JSON) are left out.

    Each is a name and how it is held. Where the database does not hold UTF-8 its bytes of a text
    are others than ours, so that all texts go by SHA-256.
    """

    def __init__(self, columns: Sequence[tuple[str, Held]], *, utf8: bool = True) -> None:
        self._longest = LONGEST_HASHED if utf8 else -1
        kinds = [(name, _kind(held)) for name, held in columns]
        self._hashed = [
            (position, name, kind)
            for position, (name, kind) in enumerate(kinds)
            if kind.startswith("hash")
        ]
        self.unhashed = [
            (position, sql.SQL(_SQL[kind]).format(value=_value("staged", name)))
            for position, (name, kind) in enumerate(kinds)
            if not kind.startswith("hash")
        ]
        """Positions of the columns that have no hash, and what the server counts of them."""
        # Positions of the columns in which a NULL was seen, or what needs a longer expression.
        self._with_nulls: set[int] = set()
        self._with_rare: set[int] = set()

    def of(self, batch: pa.RecordBatch) -> Hashes:
        """The hash of each row; the batch's columns are held as was said."""
        row = np.zeros(batch.num_rows, np.uint64)
        for position, _, kind in self._hashed:
            values = batch.column(position)
            seed = position + 1
            hashes = _hashes(kind, values, seed, self._longest)
            if values.null_count:
                hashes[_nulls(values)] = np.uint64(_null(seed) % 2**64)
                self._with_nulls.add(position)
            if kind in _RARE and position not in self._with_rare and _is_rare(kind, values):
                self._with_rare.add(position)
            row ^= hashes
        return row

    @property
    def seen(self) -> Seen:
        """What `expression` goes by."""
        return Seen(tuple(sorted(self._with_nulls)), tuple(sorted(self._with_rare)))

    def take(self, seen: Seen) -> None:
        """Take into account what another one of the same columns has seen."""
        self._with_nulls.update(seen.nulls)
        self._with_rare.update(seen.rare)

    def expression(self, row: str, *, unseen: bool) -> sql.Composable:
        """The same as SQL over a row; `unseen`: of other rows than those that were seen.

        Else a NULL where none was seen makes its row's hash NULL, and a long text or a far moment
        where none was seen makes it another.
        """
        parts = [
            self._part(position, _value(row, name), kind, unseen=unseen)
            for position, name, kind in self._hashed
        ]
        return sql.SQL(" # ").join(parts) if parts else sql.SQL("0::int8")

    def _part(self, position: int, value: sql.Composed, kind: str, *, unseen: bool) -> sql.Composed:
        seed = position + 1
        if kind in _RARE and not unseen and position not in self._with_rare and self._longest > 0:
            kind = _RARE[kind]
        fragment = sql.SQL(_SQL[kind]).format(
            value=value,
            seed=sql.Literal(seed),
            longest=sql.Literal(self._longest),
            shift=sql.Literal(SHIFT),
            when_true=sql.Literal(_boolean(True, seed)),
            when_false=sql.Literal(_boolean(False, seed)),
        )
        if not unseen and position not in self._with_nulls:
            return fragment
        return sql.SQL("coalesce({}, {})").format(fragment, sql.Literal(_null(seed)))


def _value(row: str, name: str) -> sql.Composed:
    return sql.SQL("{}.{}").format(sql.Identifier(row), sql.Identifier(name))


def _kind(held: Held) -> str:
    if held.wire is Wire.TEXT:
        return "hash_text"
    return _KINDS[held.declared.partition("(")[0]]


@cache
def _boolean(value: bool, seed: int) -> int:
    return int(hash_int64(np.array([int(value) - 2]), seed).view(np.int64)[0])


@cache
def _null(seed: int) -> int:
    """What a NULL counts as, signed: as like to be the hash of some value as any other number.

    The seed itself is PostgreSQL's hash of 0.0, and so of midnight and of 1970.
    """
    found = hashlib.sha256(f"NULL {seed}".encode()).digest()
    return int.from_bytes(found[:8], "big", signed=True)


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
        case "hash_bigint":
            numbers = _numbers(values, "i8", "i8")
            return hash_int64(numbers, seed) ^ numbers.view(np.uint64)
        case "hash_time":
            return _hash_seconds(_numbers(values, "i8", "i8"), seed)
        case "hash_interval":
            micros = _numbers(values, "i8", "i8")
            return hash_int64(micros, seed) ^ _hash_seconds(micros, seed)
        case "hash_real" | "hash_double":
            return hash_float64(_numbers(values, _stored(values), "f8"), seed)
        case "hash_date":
            days = _numbers(values, "i4", "i4") - np.int32(_DAYS_TO_2000)
            return hash_uint32(days.view(np.uint32), seed)
        case "hash_timestamp" | "hash_timestamptz":
            return _hash_moments(_numbers(values, "i8", "i8"), seed)
        case "hash_numeric":
            return hash_decimals(values, seed)
        case "hash_uuid":
            return _hash_fixed(values, seed)
        case "hash_bytea":
            return _hash_long([None if v is None else bytes(v) for v in values.to_pylist()], seed)
        case _:
            return _hash_texts(values, seed, longest_text)


def _is_rare(kind: str, values: pa.Array) -> bool:
    if kind == "hash_text":
        longest: int | None = pc.max(pc.binary_length(values)).as_py()
        return longest is not None and longest > LONGEST_HASHED
    return bool(_far(_numbers(values, "i8", "i8")).any())


def _far(micros: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = micros <= _EXACT_SECONDS[0]
    found |= micros >= _EXACT_SECONDS[1]
    return found


def _hash_moments(micros: npt.NDArray[np.int64], seed: int) -> Hashes:
    hashes = _hash_seconds(micros, seed)
    far = _far(micros)
    if far.any():
        hashes[far] ^= hash_int64(micros[far] - _MICROSECONDS_TO_2000, seed)
    return hashes


def _hash_seconds(micros: npt.NDArray[np.int64], seed: int) -> Hashes:
    return hash_float64(micros / 1e6, seed)


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
