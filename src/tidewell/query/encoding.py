"""A result as bytes, in pieces: the contract's JSON, CSV, or an Arrow stream."""

import io
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

import orjson
import pyarrow as pa

from tidewell.errors import ResultTooLarge
from tidewell.query.messages import Format
from tidewell.query.result import Result, as_batch, as_rows, as_text

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


class Encoder:
    """Encodes one result and counts its rows. Raises ResultTooLarge past `most_rows`."""

    def __init__(self, most_rows: int) -> None:
        self.rows = 0
        self._most_rows = most_rows

    def encode(self, result: Result, kind: Format) -> Iterator[bytes]:
        """The pieces of the answer; an error of the engine comes between them."""
        match kind:
            case "json":
                yield b'{"results":['
                yield from self.json(result)
                yield b"]}"
            case "csv":
                yield from self._csv(result)
            case "arrow":
                yield from self._arrow(result)

    def json(self, result: Result) -> Iterator[bytes]:
        """One element of `results`."""
        schema = [column.to_wire(ordinal) for ordinal, column in enumerate(result.columns)]
        yield b'{"schema":' + orjson.dumps(schema) + b',"rows":['
        separator = b""
        for chunk in result.chunks:
            rows = as_rows(chunk)
            self._count(len(rows))
            if rows:
                yield separator + orjson.dumps(rows, as_text, _OPTIONS)[1:-1]
                separator = b","
        yield b'],"affectedRows":-1}'

    def _csv(self, result: Result) -> Iterator[bytes]:
        """RFC 4180; text is quoted, so that an empty one differs from NULL, which is nothing."""
        yield _line([column.output.label for column in result.columns])
        for chunk in result.chunks:
            rows = as_rows(chunk)
            self._count(len(rows))
            yield b"".join(_line(row) for row in rows)

    def _arrow(self, result: Result) -> Iterator[bytes]:
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, result.schema) as writer:
            yield _taken(sink)
            for chunk in result.chunks:
                batch = as_batch(chunk, result.schema)
                self._count(batch.num_rows)
                writer.write_batch(batch)
                yield _taken(sink)
        yield _taken(sink)

    def _count(self, rows: int) -> None:
        self.rows += rows
        if self.rows > self._most_rows:
            raise ResultTooLarge(
                f"The result has more than {self._most_rows} rows, which is what one answer may "
                "have: narrow the query with WHERE or LIMIT."
            )


def _line(row: Any) -> bytes:
    return (",".join(map(_cell, row)) + "\r\n").encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, datetime | date | time):
        return orjson.dumps(value, option=_OPTIONS).decode().strip('"')
    other = as_text(value)
    return orjson.dumps(other).decode() if isinstance(other, orjson.Fragment) else str(other)


def _taken(sink: io.BytesIO) -> bytes:
    piece = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return piece
