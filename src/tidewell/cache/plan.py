"""What a load is told and what it answers: the seam between a run and the cache writer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from uuid import UUID

if TYPE_CHECKING:
    import pyarrow as pa

Mode = Literal["full", "incremental", "append"]
"""All rows anew, changed ones merged by key, or new ones added to those that are there."""


@dataclass(frozen=True)
class CacheColumn:
    """A column to cache: its name in the source, the Arrow type of its batches, its length.

    `length` is the declared maximum in characters.
    """

    name: str
    type: pa.DataType
    nullable: bool = True
    length: int | None = None
    remarks: str = ""


@dataclass(frozen=True)
class Place:
    """Where a cached table stands: PostgreSQL's own names, already cut to 63 bytes."""

    schema: str
    table: str

    @property
    def names(self) -> dict[str, str]:
        """The parameters of a statement about it."""
        return {"schema": self.schema, "table": self.table}


@dataclass(frozen=True)
class Fence:
    """Which attempt writes. `attempt` rises with every attempt of every run of the job."""

    job_id: UUID
    run_id: UUID
    attempt: int

    @property
    def session_name(self) -> str:
        """What the attempt's sessions on the cache are called (`end_sessions`)."""
        return f"tidewell job {self.job_id} {self.attempt}"


@dataclass(frozen=True)
class Standing:
    """What the target knows of a job before a load.

    `committed` is the receipt of this very run when an earlier attempt of it already committed.
    `watermark` and `key` are those of the last committed load; None when nothing is cached.
    """

    exists: bool = False
    watermark: str | None = None
    time_column: str | None = None
    key: tuple[str, ...] | None = None
    loads_since_full: int = 0
    committed: Receipt | None = None


@dataclass(frozen=True)
class LoadPlan:
    """How to load: a full refresh, an increment merged by key, or rows that are added."""

    mode: Mode
    columns: tuple[CacheColumn, ...]
    key: tuple[str, ...] = ()
    time_column: str | None = None
    truncate_strings: bool = False
    origin: str = ""
    """Where the rows come from, in words, for the comment on the table."""
    rebuild: bool = False
    """Whether columns take the source's types also where their values are lost: a full load."""


@dataclass(frozen=True)
class TypeChange:
    """A column whose cached and loaded types no type holds together."""

    name: str
    cached: str
    loaded: str


@dataclass(frozen=True)
class Receipt:
    """What a load did; stored in the target with the rows and shown with the run."""

    mode: Mode
    rows_read: int = 0
    rows_staged: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    strings_cut: int = 0
    nul_bytes_replaced: int = 0
    bytes_copied: int = 0
    digest: str = ""
    """Order-free digest of the rows that were read, equal to that of the rows that were staged."""
    watermark: str | None = None
    schema_changes: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())

    @property
    def rows_affected(self) -> int:
        """Rows written: inserted, updated and deleted (contract §5)."""
        return self.inserted + self.updated + self.deleted
