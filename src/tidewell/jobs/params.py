"""The `params` of a caching job (contract §5): read where we need them, kept as they were sent."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from tidewell.lax import NO_NUL, LaxBool, LaxInt, NullIsAbsent, any_case, between


def _connection_id(value: object) -> object:
    try:
        return UUID(value) if isinstance(value, str) else value
    except ValueError:
        raise PydanticCustomError(
            "connection_id",
            "is not the id of a connection: take the id that POST /api/connections or "
            "GET /api/poweredby/connection/list gives",
        ) from None


DEFAULT_RETRIES = 2
MOST_RETRIES = 20
LONGEST_RUN_SECONDS = 7 * 24 * 3600


def _empty_is_absent(value: object) -> object:
    """The reference's programs send `""` for a param that they do not set."""
    return None if value == "" else value


_Seconds = Annotated[LaxInt, between(1, LONGEST_RUN_SECONDS)]
_Retries = Annotated[LaxInt, between(0, MOST_RETRIES)]
_Runs = Annotated[LaxInt, between(1, 1_000_000)]
_Rows = Annotated[LaxInt, between(1, 1_000_000_000_000)]
TimeoutSeconds = Annotated[
    _Seconds | None,
    BeforeValidator(_empty_is_absent, json_schema_input_type=_Seconds | Literal[""] | None),
]
Retries = Annotated[
    _Retries | None,
    BeforeValidator(_empty_is_absent, json_schema_input_type=_Retries | Literal[""] | None),
]
FullRefreshEvery = Annotated[
    _Runs | None,
    BeforeValidator(_empty_is_absent, json_schema_input_type=_Runs | Literal[""] | None),
]
MaxRowsPerRun = Annotated[
    _Rows | None,
    BeforeValidator(_empty_is_absent, json_schema_input_type=_Rows | Literal[""] | None),
]


def _delete_detection(value: object) -> object:
    """`none` or `keys`, also as a boolean or the word for one."""
    folded = str(value).strip().lower() if isinstance(value, str | bool) else value
    meaning = {"none": "none", "false": "none", "": "none", "keys": "keys", "true": "keys"}
    if not isinstance(folded, str) or folded not in meaning:
        raise PydanticCustomError("delete_detection", "must be none or keys (or false or true)")
    return meaning[folded]


def _on_type_change(value: object) -> object:
    folded = value.strip().lower() if isinstance(value, str) else value
    if folded not in ("", "fail", "rebuild"):
        raise PydanticCustomError("on_type_change", "must be fail or rebuild")
    return folded or "fail"


Name = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=NO_NUL)]
OptionalName = Annotated[str, StringConstraints(max_length=1024, pattern=NO_NUL)]
OptionalFilter = Annotated[str, Field(max_length=10_000)]

DeleteDetection = Annotated[
    Literal["none", "keys"],
    BeforeValidator(_delete_detection),
    WithJsonSchema(
        {"anyOf": [{"type": "boolean"}, any_case("none", "keys", "false", "true")["anyOf"][1]]}
    ),
]
"""`keys`: an increment also reads all keys of the source and drops the rows that are gone."""

OnTypeChange = Annotated[
    Literal["fail", "rebuild"],
    BeforeValidator(_on_type_change),
    WithJsonSchema(any_case("fail", "rebuild")),
]
"""What a run does where no type holds a column's cached and new values: fail, or load anew."""


class MergeKey(NullIsAbsent):
    """One column of the key that rows are merged by."""

    model_config = ConfigDict(alias_generator=to_camel, extra="allow")

    col_name: Name
    col_type: str | int = ""
    is_primary_key: LaxBool = True


class CachingParams(NullIsAbsent):
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
    full_refresh_every: FullRefreshEvery = None
    """Of an incremental job: every so many runs a full refresh; absent or empty: never."""
    filter: OptionalFilter = ""
    """A SQL condition over the source's columns; only rows for which it is true are copied."""
    delete_detection: DeleteDetection = "none"
    """`keys`: an increment also reads the source's keys and deletes what is gone."""
    max_rows_per_run: MaxRowsPerRun = None
    """Of an incremental job: read the oldest new rows first, up to this many of them; absent or
    empty: all."""
    on_type_change: OnTypeChange = "fail"
    """Where a column's type changes so that no wider type holds both: fail, or load anew."""
    timeout_seconds: TimeoutSeconds = None
    """Seconds after which a run is ended as failed, from its start, all attempts together; absent
    or empty: none."""
    retries: Retries = None
    """How often a run is tried again after an error that passes by itself; absent or empty:
    twice."""

    @property
    def merge_key_names(self) -> tuple[str, ...] | None:
        """The columns of the merge key; None: the source's primary key."""
        return tuple(key.col_name for key in self.merge_keys) if self.merge_keys else None

    @property
    def most_retries(self) -> int:
        """How often a run is tried again after errors that pass by themselves."""
        return DEFAULT_RETRIES if self.retries is None else self.retries

    @property
    def column_names(self) -> tuple[str, ...] | None:
        """The columns asked for; None: all."""
        return tuple(self.columns) if self.columns else None
