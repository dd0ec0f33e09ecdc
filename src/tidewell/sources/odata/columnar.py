"""Pages of OData 4 straight into Arrow columns, where they are written as $metadata says.

Arrow's own JSON reader takes a whole page as one row whose `value` is a list of structs, so that no
value is ever a Python object. It knows less than a service may do: a number where a string is due,
a property that is left out, complex values. Such a page is left to the way over Python objects;
from the first one is learned whether the service writes 64-bit numbers as numbers, although strings
were asked for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from tidewell.sources.odata.metadata import Property
from tidewell.sources.odata.types import NUMERIC, arrow_type

_LINKS = ("@odata.nextLink", "@nextLink")
_CONTEXTS = ("@odata.context", "@context")
_AS_IT_IS = {"Edm.Boolean", "Edm.SByte", "Edm.Byte", "Edm.Int16", "Edm.Int32", "Edm.String"}
_LEARNED = {"Edm.Int64", "Edm.Decimal"}


@dataclass(frozen=True)
class ColumnarPage:
    """A page's rows as the service wrote them, and what leads to the next one."""

    rows: pa.StructArray
    content: bytes
    link: str
    context: str


class ColumnarReader:
    """Reads the pages of one reading: `read` as they come, `columns` in another thread."""

    def __init__(self, wanted: Sequence[Property]) -> None:
        self._wanted = list(wanted)
        self._schema = pa.schema([pa.field(one.name, arrow_type(one)) for one in wanted])
        self._marks = [orjson.dumps(one.name) + b":" for one in wanted]
        self._is_possible = all(one.type in _READ or one.type in _AS_IT_IS for one in wanted)
        self._written = self._as_written(set())
        self._has_learned = False

    def learn(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """See how a service writes what it did not write as it was asked to."""
        if self._has_learned or not rows:
            return
        self._has_learned = True
        numbers = set()
        for one in self._wanted:
            if one.type in _LEARNED:
                found = {type(v) for row in rows if (v := row.get(one.name)) is not None}
                if found == {int} and one.type == "Edm.Int64":
                    numbers.add(one.name)
                elif found - {str}:
                    self._is_possible = False
        self._written = self._as_written(numbers)

    def read(self, content: bytes) -> ColumnarPage | None:
        """A page; None where it is not written as this way needs it."""
        if not self._is_possible:
            return None
        try:
            if not content.isascii():
                content.decode()
            table = pyarrow.json.read_json(
                pa.BufferReader(content),
                pyarrow.json.ReadOptions(use_threads=False, block_size=len(content) + 1),
                pyarrow.json.ParseOptions(
                    self._written, newlines_in_values=True, unexpected_field_behavior="ignore"
                ),
            )
        except (pa.ArrowException, ValueError):
            return None
        if table.num_rows != 1 or table.column("value").null_count:
            return None
        rows = table.column("value").chunk(0).flatten()
        if rows.null_count:
            return None
        return ColumnarPage(rows, content, _control(table, _LINKS), _control(table, _CONTEXTS))

    def columns(self, page: ColumnarPage) -> pa.RecordBatch | None:
        """The rows of a page; None where a value is not what $metadata says."""
        try:
            arrays = [
                self._array(one, page.rows.field(position), page.content, self._marks[position])
                for position, one in enumerate(self._wanted)
            ]
        except (pa.ArrowException, ValueError):
            return None
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _as_written(self, numbers: set[str]) -> pa.Schema:
        fields = [
            pa.field(one.name, pa.int64() if one.name in numbers else _physical(one))
            for one in self._wanted
        ]
        controls = [pa.field(name, pa.string()) for name in (*_LINKS, *_CONTEXTS)]
        return pa.schema([pa.field("value", pa.list_(pa.struct(fields))), *controls])

    def _array(self, one: Property, values: pa.Array, content: bytes, mark: bytes) -> pa.Array:
        # What is missing looks like null: every row has to name the property.
        if values.null_count and content.count(mark) != len(values):
            raise ValueError(f"{one.name} is not in every row")
        read = _READ.get(one.type)
        return read(arrow_type(one), values) if read else values


def _control(table: pa.Table, names: Sequence[str]) -> str:
    return next((v for name in names if (v := table.column(name)[0].as_py())), "")


def _physical(one: Property) -> pa.DataType:
    """What the JSON reader gives: numbers and truth values as they are, everything else as text."""
    if one.type in ("Edm.Double", "Edm.Single"):
        return pa.float64()
    return arrow_type(one) if one.type in _AS_IT_IS else pa.string()


def _cast(kind: pa.DataType, texts: pa.Array) -> pa.Array:
    return texts.cast(kind)


def _float(kind: pa.DataType, values: pa.Array) -> pa.Array:
    return values.cast(kind, safe=False)


def _decimal(kind: pa.DataType, texts: pa.Array) -> pa.Array:
    return pa.ExtensionArray.from_storage(kind, texts) if kind == NUMERIC else texts.cast(kind)


def _moment(kind: pa.DataType, texts: pa.Array) -> pa.Array:
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:
        # Up to 12 digits of a second are allowed; 6 are kept. Cut, never rounded up.
        return pc.replace_substring_regex(texts, r"(\.\d{6})\d+", r"\1").cast(kind)


def _time(kind: pa.DataType, texts: pa.Array) -> pa.Array:
    moments = pc.binary_join_element_wise("1970-01-01", texts, "T")
    return _moment(pa.timestamp("us"), moments).cast(kind)


def _guid(kind: pa.DataType, texts: pa.Array) -> pa.Array:
    digits = pc.fill_null(pc.replace_substring(texts, "-", ""), "0" * 32)
    if not pc.all(pc.equal(pc.binary_length(digits), 32), min_count=0).as_py():
        raise ValueError("not 32 hexadecimal digits")
    data = bytes.fromhex(b"".join(digits.cast(pa.binary()).to_pylist()).decode("ascii"))
    raw = pa.Array.from_buffers(
        pa.binary(16), len(texts), [pc.is_valid(texts).buffers()[1], pa.py_buffer(data)]
    )
    return pa.ExtensionArray.from_storage(kind, raw)


_READ: dict[str, Callable[[pa.DataType, pa.Array], pa.Array]] = {
    "Edm.Int64": _cast,
    "Edm.Single": _float,
    "Edm.Double": _float,
    "Edm.Decimal": _decimal,
    "Edm.Guid": _guid,
    "Edm.Date": _cast,
    "Edm.TimeOfDay": _time,
    "Edm.DateTimeOffset": _moment,
}
