"""The `params` of a caching job (contract §5): read where we need them, kept as they were sent."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from tidewell.lax import LaxBool, LaxInt, between


def _connection_id(value: object) -> object:
    try:
        return UUID(value) if isinstance(value, str) else value
    except ValueError:
        raise PydanticCustomError(
            "connection_id",
            "is not the id of a connection: take the id that POST /api/connections or "
            "GET /api/poweredby/connection/list gives",
        ) from None


Name = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern="^[^\x00]*$")]
OptionalName = Annotated[str, StringConstraints(max_length=1024, pattern="^[^\x00]*$")]


class MergeKey(BaseModel):
    """One column of the key that rows are merged by."""

    model_config = ConfigDict(alias_generator=to_camel, extra="allow")

    col_name: Name
    col_type: str | int = ""
    is_primary_key: LaxBool = True


class CachingParams(BaseModel):
    """What to copy and how. Unknown params are allowed: the reference keeps them too."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="allow", use_attribute_docstrings=True
    )

    source_connection: Annotated[UUID, BeforeValidator(_connection_id)]
    """The id of a connection of the same sub-account."""
    source_name: Name
    """That connection's name, or its driver."""
    source_schema: Name
    source_table: Name
    time_check_column: OptionalName = ""
    """A column that moves forward when a row changes; empty: every run is a full refresh."""
    auto_truncate_strings: LaxBool = False
    """Whether a string longer than its cached column is cut and counted, or fails the run."""
    merge_keys: list[MergeKey] | None = None
    """What rows are merged by; absent: the source's primary key."""
    cache_schema: OptionalName = ""
    """Where the cached table stands; empty: the connection's name."""
    cache_table: OptionalName = ""
    """Its name; empty: the source table's."""
    columns: list[Name] | None = None
    """Only these columns; absent: all."""
    full_refresh_every: Annotated[LaxInt, between(1, 1_000_000)] | None = None
    """Of an incremental job: every so many runs a full refresh."""

    @property
    def merge_key_names(self) -> tuple[str, ...] | None:
        """The columns of the merge key; None: the source's primary key."""
        return tuple(key.col_name for key in self.merge_keys) if self.merge_keys else None

    @property
    def column_names(self) -> tuple[str, ...] | None:
        """The columns asked for; None: all."""
        return tuple(self.columns) if self.columns else None


NOT_YET = frozenset({"filter", "deleteDetection", "maxRowsPerRun", "timeoutSeconds", "retries"})
"""Params of the contract that this version refuses, so that nobody trusts what is not done."""
