"""What the API and a query's process say to each other.

The API sends one task as a line of JSON; where its sending ends, what runs ends, and the process
with it. The process answers in frames: a letter, four bytes of length, and so many bytes: `H` the
head (JSON), then any number of `D` (data, as the client gets it) and `Z` (the end, JSON); or `E`
(an error, JSON) at any place.
"""

import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, BinaryIO, Literal

import orjson

HEAD, DATA, END, ERROR = b"H", b"D", b"Z", b"E"
PREFIX = struct.Struct(">cI")

Kind = Literal["query", "describe", "catalogue"]
Format = Literal["json", "csv", "arrow"]
MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
}


@dataclass(frozen=True)
class QueryTask:
    """All that a query needs to know. Connections come with their credentials, in the pipe only.

    `query` runs the text once for each of `parameters`; `describe` looks at it only;
    `catalogue` lists what `subject` says, narrowed by `wanted`.
    """

    kind: Kind
    connections: tuple[Mapping[str, Any], ...]
    account: str = ""
    """Whose they are; what a process keeps for its next query is for the same account only."""
    copies: tuple[Mapping[str, Any], ...] = ()
    cache: Mapping[str, Any] | None = None
    text: str = ""
    parameters: tuple[Mapping[str, Any], ...] = ({},)
    default_catalog: str = ""
    default_schema: str = ""
    schema_only: bool = False
    format: str = "json"
    seconds: float = 60.0
    most_rows: int = 10_000_000
    memory: str = "1GB"
    subject: str = ""
    wanted: Mapping[str, Any] = field(default_factory=dict)
    file_roots: tuple[str, ...] = ()
    egress: str = ""
    manifests: str = ""

    def to_line(self) -> bytes:
        """The task as a line of the protocol."""
        return orjson.dumps(asdict(self)) + b"\n"

    @classmethod
    def from_message(cls, task: Mapping[str, Any]) -> "QueryTask":
        """The task of a line that has arrived."""
        values = dict(task)
        for name in ("connections", "copies", "parameters", "file_roots"):
            values[name] = tuple(values[name])
        return cls(**values)


def write_frame(stream: BinaryIO, kind: bytes, content: bytes) -> None:
    """Write one frame."""
    stream.write(PREFIX.pack(kind, len(content)))
    stream.write(content)
