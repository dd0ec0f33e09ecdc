"""From Arrow batches to the bytes of binary COPY, with what PostgreSQL needs on the way.

Encoding itself is pgpq's; here values are cast to the type table's types, NUL characters (which
PostgreSQL's text cannot hold) are replaced and counted, and strings are held to their length.
"""

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pgpq
import pgpq.encoders
import pgpq.schema
import pyarrow as pa
import pyarrow.compute as pc

from tidewell.cache.digest import Digest
from tidewell.cache.plan import CacheColumn
from tidewell.cache.types import Held, Wire, held
from tidewell.counted import counted
from tidewell.errors import ValueDoesNotFit

ROWS_AT_ONCE = 8192
"""Rows that are encoded at a time: memory is bounded by this, not by the source's batches."""

_REPLACEMENT = "\ufffd"


@dataclass
class Counts:
    """What was read, and what had to be changed to be held."""

    rows: int = 0
    strings_cut: int = 0
    nul_bytes_replaced: int = 0

    def notes(self) -> list[str]:
        """What people are told of the changes."""
        found = []
        if self.strings_cut:
            cut = counted(self.strings_cut, "string was", "strings were")
            found.append(f"{cut} cut to the column's length.")
        if self.nul_bytes_replaced:
            nuls = counted(self.nul_bytes_replaced, "NUL character was", "NUL characters were")
            found.append(f"{nuls} replaced by U+FFFD: PostgreSQL holds none.")
        return found


class Fitting:
    """Brings the batches of one load to the types that hold them, in slices of a bounded size.

    `counts` tells how far it has come and what had to be changed.
    """

    def __init__(
        self, columns: Sequence[CacheColumn], key: Sequence[str], *, truncate_strings: bool
    ) -> None:
        self._columns = [(column, held(column)) for column in columns]
        self._key = tuple(key)
        self._truncate = truncate_strings
        self.counts = Counts()
        self.held = [one for _, one in self._columns]
        self.schema = pa.schema(
            [pa.field(str(position), one.arrow) for position, one in enumerate(self.held)]
        )

    def fitted(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The same rows, of at most ROWS_AT_ONCE a batch. Raises ValueDoesNotFit."""
        for batch in batches:
            for start in range(0, batch.num_rows, ROWS_AT_ONCE):
                part = batch.slice(start, ROWS_AT_ONCE)
                arrays = [
                    self._fit(part.column(position), column, one, part)
                    for position, (column, one) in enumerate(self._columns)
                ]
                self.counts.rows += part.num_rows
                yield pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _fit(
        self, values: pa.Array, column: CacheColumn, one: Held, batch: pa.RecordBatch
    ) -> pa.Array:
        fitted = self._cast(values, column, one, batch)
        if not _is_text(one.arrow):
            return fitted
        fitted = self._without_nul(fitted, one)
        length = column.length if one.declared.startswith("character varying") else None
        return fitted if length is None else self._within(fitted, column, length, batch)

    def _cast(
        self, values: pa.Array, column: CacheColumn, one: Held, batch: pa.RecordBatch
    ) -> pa.Array:
        if values.type == one.arrow:
            return values
        if isinstance(values, pa.ExtensionArray):
            return self._cast(values.storage, column, one, batch)
        if one.wire is not Wire.AS_IS and not _is_text(values.type):
            return pa.array(
                [None if v is None else _as_text(v, one.wire) for v in values.to_pylist()],
                one.arrow,
            )
        if pa.types.is_dictionary(values.type):
            return self._cast(values.dictionary_decode(), column, one, batch)
        try:
            return values.cast(one.arrow)
        except pa.ArrowInvalid as error:
            if _loses_only_nanoseconds(values.type, error):
                return values.cast(one.arrow, safe=False)
            raise ValueDoesNotFit(
                f"A value of the column {column.name} ({values.type}) does not fit "
                f"{one.declared}: {error}"
            ) from error

    def _without_nul(self, values: pa.Array, one: Held) -> pa.Array:
        if one.wire is Wire.JSON:
            escaped = pc.match_substring(values, "\\u0000")
            if not pc.any(escaped).as_py():
                return values
            return pa.array(
                [None if v is None else self._json_without_nul(v) for v in values.to_pylist()],
                values.type,
            )
        if not _holds_nul(values):
            return values
        self.counts.nul_bytes_replaced += pc.sum(pc.count_substring(values, "\0")).as_py() or 0
        return pc.replace_substring(values, "\0", _REPLACEMENT)

    def _json_without_nul(self, text: str) -> str:
        found = 0

        def clean(value: Any) -> Any:
            nonlocal found
            match value:
                case str():
                    found += value.count("\0")
                    return value.replace("\0", _REPLACEMENT)
                case list():
                    return [clean(one) for one in value]
                case dict():
                    return {clean(name): clean(one) for name, one in value.items()}
                case _:
                    return value

        cleaned = clean(json.loads(text))
        self.counts.nul_bytes_replaced += found
        return json.dumps(cleaned, ensure_ascii=False) if found else text

    def _within(
        self, values: pa.Array, column: CacheColumn, length: int, batch: pa.RecordBatch
    ) -> pa.Array:
        """Strings of at most `length` characters: longer ones are cut, or fail the run."""
        long = pc.greater(pc.utf8_length(values), length)
        if not pc.any(long).as_py():
            return values
        if self._truncate:
            self.counts.strings_cut += pc.sum(long).as_py()
            return pc.utf8_slice_codeunits(values, 0, length)
        row = pc.index(long, True).as_py()
        actual = len(values[row].as_py())
        raise ValueDoesNotFit(
            f"The column {column.name} has a string of {actual} characters, longer than its "
            f"{length}{self._which(batch, row)}: set autoTruncateStrings to cut such strings, or "
            "widen the column in the source."
        )

    def _which(self, batch: pa.RecordBatch, row: int) -> str:
        if not self._key:
            return ""
        parts = [
            f"{column.name} = {str(batch.column(position)[row].as_py())[:80]}"
            for position, (column, _) in enumerate(self._columns)
            if column.name in self._key
        ]
        return f" (row with {', '.join(parts)})"


class CopyStream:
    """Encodes fitted batches.

    `rows` and `bytes` tell how far it has come; `digest`, where there is one, is shown the rows.
    """

    def __init__(self, fitting: Fitting, digest: Digest | None) -> None:
        self.rows = 0
        self.bytes = 0
        self._digest = digest
        self._encoder = pgpq.ArrowToPostgresBinaryEncoder.new_with_encoders(
            fitting.schema,
            {
                field.name: _encoder(field, one)
                for field, one in zip(fitting.schema, fitting.held, strict=True)
            },
        )

    def pieces(self, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
        """The stream of all batches, piece by piece."""
        yield bytes(self._encoder.write_header())
        for batch in batches:
            data: bytes = self._encoder.write_batch(batch)
            if self._digest is not None:
                self._digest.see(batch)
            self.rows += batch.num_rows
            self.bytes += len(data)
            yield data
        # The encoder holds small batches back until here.
        last = bytes(self._encoder.finish())
        self.bytes += len(last)
        yield last


def _encoder(field: pa.Field, one: Held) -> Any:
    if one.wire is Wire.JSON:
        return pgpq.encoders.StringEncoderBuilder.new_with_output(field, pgpq.schema.Jsonb())
    return pgpq.ArrowToPostgresBinaryEncoder.infer_encoder(field)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _holds_nul(values: pa.Array) -> bool:
    """Whether any character is NUL: one look at the bytes of all values."""
    offsets, data = values.buffers()[1:]
    if data is None or not len(values):
        return False
    width = 8 if pa.types.is_large_string(values.type) else 4
    bounds = memoryview(offsets).cast("q" if width == 8 else "i")
    first, last = bounds[values.offset], bounds[values.offset + len(values)]
    return b"\0" in bytes(memoryview(data)[first:last])


def _loses_only_nanoseconds(kind: pa.DataType, error: pa.ArrowInvalid) -> bool:
    """PostgreSQL keeps microseconds: what is finer is cut, which the type table says."""
    temporal = pa.types.is_timestamp(kind) or pa.types.is_time(kind) or pa.types.is_duration(kind)
    return bool(temporal and kind.unit == "ns" and "would lose data" in str(error))


def _as_text(value: Any, wire: Wire) -> str:
    if wire is Wire.JSON:
        return orjson.dumps(value, default=_in_json, option=orjson.OPT_NON_STR_KEYS).decode()
    if isinstance(value, pa.MonthDayNano):
        return (
            f"{value.months} months {value.days} days {value.nanoseconds / 1000:.3f} microseconds"
        )
    return str(value)


def _in_json(value: Any) -> Any:
    match value:
        case Decimal() | timedelta():
            return str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
        case tuple():
            return list(value)
        case _:
            return str(value)
