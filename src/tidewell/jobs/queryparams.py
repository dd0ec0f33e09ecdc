"""The `params` of a scheduled query (contract §6), kept as they were sent."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from tidewell.jobs.params import (
    DEFAULT_RETRIES,
    MergeKey,
    OptionalName,
    Retries,
    TimeoutSeconds,
)
from tidewell.lax import NO_NUL, NullIsAbsent, any_case

DESTINATION_SCHEMA = "ScheduledQueries"
_MODES = ("replace", "append", "merge")
_FIRST_WORDS = 6
_LONGEST_NAME = 60


def _mode(value: object) -> object:
    folded = value.strip().lower() if isinstance(value, str) else value
    if folded == "":
        return "replace"
    if folded not in _MODES:
        raise PydanticCustomError("write_mode", "must be replace, append or merge")
    return folded


def _key(value: Any) -> Any:
    """A column of the key, as the reference writes it or as its mere name."""
    return {"colName": value} if isinstance(value, str) else value


class ScheduledQueryParams(NullIsAbsent):
    """What to run and where its result goes. Unknown params are allowed."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="allow", use_attribute_docstrings=True
    )

    query: Annotated[str, Field(min_length=1, max_length=200_000, pattern=NO_NUL)]
    """One statement over `Catalog.Schema.Table`: SELECT, INSERT … SELECT, UPDATE or DELETE."""
    name: Annotated[str, Field(max_length=256, pattern=NO_NUL)] = ""
    """The job's name; empty: the query's first words."""
    destination_schema: OptionalName = ""
    """The schema of the cache that a SELECT writes to; empty: ScheduledQueries."""
    destination_table: OptionalName = ""
    """The table; empty: the job's name."""
    write_mode: Annotated[
        Literal["replace", "append", "merge"],
        BeforeValidator(_mode),
        WithJsonSchema(any_case(*_MODES)),
    ] = "replace"
    """Whether the result takes the place of what is there, is added, or is merged by key."""
    merge_keys: list[Annotated[MergeKey, BeforeValidator(_key)]] | None = None
    """Of `merge`: the columns that tell rows apart."""
    timeout_seconds: TimeoutSeconds = None
    """Seconds after which a run is ended as failed; absent or empty: none."""
    retries: Retries = None
    """How often a run is tried again after an error that passes by itself; absent or empty:
    twice."""

    @property
    def merge_key_names(self) -> tuple[str, ...]:
        """The columns of the merge key."""
        return tuple(key.col_name for key in self.merge_keys or ())

    @property
    def most_retries(self) -> int:
        """How often a run is tried again after errors that pass by themselves."""
        return DEFAULT_RETRIES if self.retries is None else self.retries

    def job_name(self, given: str | None) -> str:
        """The job's name: its own, else the body's, else the query's first words."""
        named = self.name.strip() or (given or "").strip()
        return named or " ".join(self.query.split()[:_FIRST_WORDS])[:_LONGEST_NAME]
