"""What a node and the process that asks sources say to each other.

Both send a length of four bytes and so many bytes of JSON. The node sends questions, each with a
number, and `{"cancel": number}`; the process answers `{"number": …, "found": …}`, or `"error"`, in
any order. Connections come with their credentials, in the pipe only.
"""

import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, BinaryIO, Literal

import orjson

from tidewell import egress, errors
from tidewell.errors import Detail, TidewellError
from tidewell.sources.protocol import Table

LENGTH = struct.Struct(">I")
LONGEST = 32 << 20
"""Bytes of a message; what a source has may be of any length, and is held in the node's memory."""

Kind = Literal["warm", "test", "tables", "columns", "table"]


@dataclass(frozen=True)
class Question:
    """Something to ask of a source.

    `warm` opens none: it is sent before somebody waits. `test` proves that it answers; `tables`
    lists those whose names have `search` in them, at most `most`; `columns` describes each of
    `asked` (schema and name), as far as it goes; `table` describes the only one of them, its schema
    looked at first, and checks `filter`.
    """

    number: int
    kind: Kind
    driver: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    search: str = ""
    most: int = 0
    asked: tuple[tuple[str, str], ...] = ()
    filter: str = ""
    file_roots: tuple[str, ...] = ()
    egress: str = ""
    manifests: str = ""

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> "Question":
        """The question that has arrived."""
        values = dict(message)
        values["asked"] = tuple((schema, name) for schema, name in values["asked"])
        values["file_roots"] = tuple(values["file_roots"])
        return cls(**values)


@dataclass(frozen=True)
class FoundTables:
    """Tables of a source, by schema: as many as were asked for of the `fitting` ones.

    `total` is how many it has.
    """

    tables: tuple[Table, ...] = ()
    total: int = 0
    fitting: int = 0
    several_schemas: bool = False

    @classmethod
    def from_message(cls, found: Mapping[str, Any]) -> "FoundTables":
        """The answer to `tables`."""
        return cls(**{**found, "tables": tuple(Table(**one) for one in found["tables"])})


@dataclass(frozen=True)
class FoundColumn:
    """A column of a source's table; `type` is the name of its code in the contract (§7).

    `rank` is its place among the columns that are proposed for a time check, from 0; None: it is
    not proposed.
    """

    name: str
    type: str
    in_key: bool = False
    rank: int | None = None


@dataclass(frozen=True)
class FoundTable:
    """A table as its source describes it, or why it does not.

    `missing`: what of it the source does not have. `filter_error`: what is wrong with the filter.
    """

    columns: tuple[FoundColumn, ...] = ()
    error: str = ""
    missing: Literal["", "schema", "table"] = ""
    filter_error: str = ""

    @classmethod
    def from_message(cls, found: Mapping[str, Any]) -> "FoundTable":
        """The answer to `table`, and each of those to `columns`."""
        return cls(**{**found, "columns": tuple(FoundColumn(**one) for one in found["columns"])})

    @property
    def has_key(self) -> bool:
        """Whether it has a primary key."""
        return any(column.in_key for column in self.columns)

    @property
    def proposed(self) -> list[FoundColumn]:
        """The columns that a job can follow, best first."""
        ranked = [(one.rank, one) for one in self.columns if one.rank is not None]
        return [column for _, column in sorted(ranked, key=lambda pair: pair[0])]


def frame(message: Any) -> bytes:
    """A message as it is sent, by either side. Raises TypeError where it holds what JSON cannot."""
    try:
        content = orjson.dumps(message)
    except orjson.JSONEncodeError:
        content = orjson.dumps(_in_utf8(message))
    return LENGTH.pack(len(content)) + content


def read_frame(stream: BinaryIO) -> dict[str, Any] | None:
    """The next message; None: there is no other."""
    length = stream.read(LENGTH.size)
    if len(length) < LENGTH.size:
        return None
    message: dict[str, Any] = orjson.loads(stream.read(*LENGTH.unpack(length)))
    return message


def error_message(error: TidewellError, trace: str = "") -> dict[str, Any]:
    """An error as it is sent: by the name of the nearest class that both sides know.

    `trace` is for the node's log.
    """
    known = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _ERRORS)
    return {
        "kind": known,
        "code": error.code,
        "status": error.status,
        "message": error.message,
        "details": [{"field": one.field, "message": one.message} for one in error.details],
        "trace": trace,
    }


def error_of(told: Mapping[str, Any]) -> TidewellError:
    """The error that was sent."""
    error = _ERRORS[told["kind"]](told["message"])
    error.code, error.status = told["code"], told["status"]  # type: ignore[misc]  # each its own
    error.details = tuple(Detail(one["field"], one["message"]) for one in told["details"])
    return error


def _in_utf8(value: Any) -> Any:
    """A value whose texts have a question mark where UTF-8 has no character: a lone surrogate.

    Names of files are such texts, and what a JSON of somebody else says.
    """
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if is_dataclass(value) and not isinstance(value, type):
        return _in_utf8(asdict(value))
    if isinstance(value, Mapping):
        return {_in_utf8(key): _in_utf8(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_in_utf8(inner) for inner in value]
    return value


_ERRORS: dict[str, type[TidewellError]] = {
    kind.__name__: kind
    for kind in (
        TidewellError,
        errors.InvalidRequest,
        errors.SourceError,
        errors.SourceUnavailable,
        errors.SourceRefused,
        errors.SourceNotFound,
        errors.SourceBroken,
        errors.Stopped,
        egress.EgressRefused,
        egress.HostNotFound,
    )
}
