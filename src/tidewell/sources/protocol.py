"""What a driver of a source is: the protocol that every one of them keeps.

All sources give Arrow record batches, bounded by the batch and never by the table. A driver says
which part of a request it could not push down; the caller then applies it (`residual`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, LiteralString, Protocol, Self, runtime_checkable
from uuid import UUID

from tidewell.egress import EgressRules

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Key:
    """One key of a driver's connection string, as forms and errors show it.

    A `neutral` key says how the source is reached or asked, and whatever its value is, the same
    source gives the same rows; a change of any other one makes it another source. `only_with` says
    which values of other keys the key belongs to, as `AuthScheme=Basic`, or `URI=s3://*` for all
    that begin so; forms show it with one of them. None: it always counts.
    """

    name: str
    help: str
    required: bool = False
    secret: bool = False
    default: str = ""
    choices: tuple[str, ...] = ()
    neutral: bool = False
    only_with: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table or view of a source."""

    schema: str
    name: str
    kind: Literal["table", "view"] = "table"
    remarks: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a source's table.

    `type` is the Arrow type its batches have; `pa.uuid()` and `pa.json_()` stand for UUID and
    JSON. `length` is the declared maximum in characters. `key_position` counts from 0 within the
    primary key. `moves_forward` says that the column is a good time-check column. A `pseudo` column
    is given only where a request names it: it stands for something about the row that is not in it.
    """

    name: str
    type: pa.DataType
    nullable: bool = True
    length: int | None = None
    key_position: int | None = None
    moves_forward: bool = False
    remarks: str = ""
    pseudo: bool = False


Operator = Literal["=", "<>", "<", "<=", ">", ">="]


@dataclass(frozen=True)
class Comparison:
    """`column operator value`; the value is text at the source's own precision.

    Times are ISO 8601 (with `Z` where the column has a zone), dates ISO, numbers plain decimals.
    """

    column: str
    operator: Operator
    value: str


@dataclass(frozen=True)
class ReadRequest:
    """Which rows and columns of a table to read; comparisons are joined by AND.

    `columns`, where it is given, holds the columns of `where` too, so that what is not pushed down
    can be applied to the batches. Texts are compared code point by code point; NULL makes no
    comparison true. `order` is ascending; where NULLs stand in it is not promised.
    """

    schema: str
    table: str
    columns: tuple[str, ...] | None = None
    where: tuple[Comparison, ...] = ()
    order: tuple[str, ...] = ()
    limit: int | None = None


@dataclass(frozen=True)
class Reading:
    """A running read: the batches, and what of the request was not pushed down to the source.

    The caller applies `residual` to each batch; a comparison may be pushed down *and* stand there,
    where the source gives more rows than are meant. `ordered` says that the rows come in the
    request's order, `limited` that there are no more of them than its limit: a driver may be so
    only where nothing is left to apply and an order that was asked for is kept.
    """

    batches: pa.RecordBatchReader
    residual: tuple[Comparison, ...] = ()
    ordered: bool = False
    limited: bool = False


class Trace(Protocol):
    """Where a driver tells what it does; levels are the contract's §8 (2: each request)."""

    def __call__(self, level: int, message: str) -> None: ...


def no_trace(level: int, message: str) -> None:
    """A trace that nobody reads."""


@dataclass(frozen=True)
class Environment:
    """What the operator, not the customer, decides for a source."""

    file_roots: tuple[Path, ...] = ()
    egress: EgressRules = field(default_factory=EgressRules)
    trace: Trace = field(default=no_trace)
    patient: bool = True
    """Whether to ask for a catalogue again after an error that passes by itself. Where somebody
    waits for the answer, the error is the better one."""


class Source(Protocol):
    """An open source. Not shared between threads, except for `cancel`.

    A driver's class may inherit from this one, for the two methods that are the same everywhere.
    """

    def test(self) -> None:
        """Prove that the source answers these credentials; a SourceError says why not."""
        ...

    def schemas(self) -> list[str]: ...

    def tables(self, schema: str) -> list[Table]: ...

    def columns(self, schema: str, table: str) -> list[Column]:
        """The columns in the source's own order. Raises SourceNotFound with near names."""
        ...

    def read(self, request: ReadRequest) -> Reading:
        """Start to read. SourceErrors come from here or from the batches; SourceNotFound names a
        column that the table does not have."""
        ...

    def cancel(self) -> None:
        """End a running read at once, from another thread; it then raises Stopped."""
        ...

    def close(self) -> None:
        """Let go of everything; a second time is no error."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Once:
    """A write that takes effect once: the run of a job that it belongs to, and the attempt.

    `again`: an earlier attempt of the run may have written. `schema` and `table` are written to.
    """

    job_id: UUID
    run_id: UUID
    attempt: int
    again: bool
    schema: str
    table: str


@runtime_checkable
class WritableSource(Source, Protocol):
    """A source that takes statements and rows; what it does is whole or not done at all.

    `cancel` ends both, which then raise Stopped and have changed nothing. With `once`, a run that
    has written already does not write again (`tidewell.sources.once`).
    """

    def execute(self, statement: str, once: Once | None = None) -> int:
        """Run one INSERT, UPDATE or DELETE of the driver's dialect, in a transaction of its own.

        Returns the rows affected. Raises SourceRefused for what the source does not accept.
        """
        ...

    def insert(
        self,
        schema: str,
        table: str,
        columns: Sequence[str],
        batches: pa.RecordBatchReader,
        once: Once | None = None,
    ) -> int:
        """Add all rows of the batches in one transaction; returns their number.

        `columns` are the table's, in the order of the batches' own.
        """
        ...


@dataclass(frozen=True)
class Split:
    """How a table can be read in ranges of a column: about how many rows it has, and between which.

    A range goes from one bound, itself taken in, to the next one; the first has no lower bound, the
    last no upper one. `bounds` rise in the order that comparisons of the column have, as texts of
    comparisons. `moment` lets another opening of the source read the same state (`join`); empty:
    each has a moment of its own.
    """

    rows: int
    bounds: tuple[str, ...] = ()
    moment: str = ""


@runtime_checkable
class SplittableSource(Source, Protocol):
    """A source whose tables several processes can read at the same time, each a range of rows.

    Comparisons of the column are then pushed down, and cheap.
    """

    def split(self, schema: str, table: str, column: str, ranges: int, least: int) -> Split | None:
        """Cut a table into at most so many ranges of about as many rows each.

        `column` is the first of the table's primary key. None where that column cannot cut it; no
        bounds where it has fewer than `least` rows by the source's own estimate.
        """
        ...

    def join(self, moment: str) -> None:
        """Read the state of a split of another opening; before anything else is asked."""
        ...


@dataclass(frozen=True)
class FileScan:
    """Files of this machine, and the DuckDB relation over them that gives what `read` gives."""

    files: tuple[Path, ...]
    relation: LiteralString


@runtime_checkable
class ScannableSource(Source, Protocol):
    """A source whose tables a DuckDB may read by itself, as long as the source is open."""

    def scan(self, schema: str, table: str, columns: Sequence[str]) -> FileScan | None:
        """The columns of a table as DuckDB reads them; None where only `read` gives them."""
        ...


@runtime_checkable
class VersionedSource(Source, Protocol):
    """A source that can tell, without a table's rows being read, that they are still the same."""

    def version(self, schema: str, table: str, named: str) -> str | None:
        """What differs whenever a row that `read` gives may be another; None: nothing is certain.

        Pseudo-columns count only where they stand in `named`, a text with the names of all columns
        that are asked for by name. It is asked before a read and once more afterwards: where both
        answers are the same, it is the version of the rows that were read. Raises SourceErrors.
        """
        ...


@runtime_checkable
class SettlingSource(Source, Protocol):
    """A source whose columns get numbers when a row is written, and that knows what is not yet
    committed: a transaction may show a row later than another one shows greater numbers."""

    def settled(self, schema: str, table: str, column: str) -> str | None:
        """The greatest number that no transaction under way has given or can still give to a row.

        It is asked before a read, and the watermark goes no further than that. None: there is no
        such bound. Raises SourceErrors.
        """
        ...


class Driver(Protocol):
    """A kind of source: what the registry finds under the entry point `tidewell.sources`."""

    @property
    def name(self) -> str: ...

    @property
    def dialect(self) -> str:
        """sqlglot's name of the SQL that its sources run themselves; empty where they run none."""
        ...

    @property
    def keys(self) -> Sequence[Key]: ...

    @property
    def several_schemas(self) -> bool:
        """Whether a source can have more than one schema, so that the cache names both parts."""
        ...

    def open(self, values: Mapping[str, str], environment: Environment) -> Source:
        """Make a source of checked values (keys spelled as declared). Does not talk to it yet."""
        ...
