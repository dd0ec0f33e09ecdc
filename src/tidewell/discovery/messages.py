"""What a node and the process that asks sources say to each other.

Both send a length of four bytes and so many bytes of JSON. The node sends questions, each with a
number, and `{"cancel": number}`; the process answers `{"number": …, "found": …}`, or `"error"`, in
any order. Connections come with their credentials, in the pipe only.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, BinaryIO, Literal

import orjson

from tidewell import egress, errors
from tidewell.errors import Detail, TidewellError
from tidewell.sources.protocol import Table

LENGTH = struct.Struct(">I")

Kind = Literal["warm", "test", "tables", "columns", "table"]


@dataclass(frozen=True)
class Question:
    """Something to ask of a source.

    `warm` opens none: it is sent before somebody waits. `test` proves that it answers; `tables`
    lists all of them; `columns` describes each of `asked` (schema and name), as far as it goes;
    `table` describes the only one of them, its schema looked at first, and checks `filter`.
    """

    number: int
    kind: Kind
    driver: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    asked: tuple[tuple[str, str], ...] = ()
    filter: str = ""
    file_roots: tuple[str, ...] = ()
    egress: str = ""
    manifests: str = ""

    def to_frame(self) -> bytes:
        """The question as it is sent."""
        return frame(asdict(self))

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> "Question":
        """The question that has arrived."""
        values = dict(message)
        values["asked"] = tuple((schema, name) for schema, name in values["asked"])
        values["file_roots"] = tuple(values["file_roots"])
        return cls(**values)


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

    @property
    def has_key(self) -> bool:
        """Whether it has a primary key."""
        return any(column.in_key for column in self.columns)

    @property
    def proposed(self) -> list[FoundColumn]:
        """The columns that a job can follow, best first."""
        ranked = [(one.rank, one) for one in self.columns if one.rank is not None]
        return [column for _, column in sorted(ranked, key=lambda pair: pair[0])]


def tables_of(found: Sequence[Mapping[str, Any]]) -> list[Table]:
    """The answer to `tables`."""
    return [Table(**one) for one in found]


def described(found: Mapping[str, Any]) -> FoundTable:
    """The answer to `table`, and each of those to `columns`."""
    columns = tuple(FoundColumn(**one) for one in found["columns"])
    return FoundTable(**{**found, "columns": columns})


def frame(message: Mapping[str, Any]) -> bytes:
    """A message as it is sent, by either side."""
    content = orjson.dumps(message)
    return LENGTH.pack(len(content)) + content


def read_frame(stream: BinaryIO) -> dict[str, Any] | None:
    """The next message; None: there is no other."""
    length = stream.read(LENGTH.size)
    if len(length) < LENGTH.size:
        return None
    message: dict[str, Any] = orjson.loads(stream.read(*LENGTH.unpack(length)))
    return message


def error_message(error: TidewellError) -> dict[str, Any]:
    """An error as it is sent: by the name of the nearest class that both sides know."""
    known = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _ERRORS)
    details = [{"field": one.field, "message": one.message} for one in error.details]
    return {"kind": known, "message": error.message, "details": details}


def error_of(told: Mapping[str, Any]) -> TidewellError:
    """The error that was sent."""
    error = _ERRORS[told["kind"]](told["message"])
    error.details = tuple(Detail(one["field"], one["message"]) for one in told["details"])
    return error


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
