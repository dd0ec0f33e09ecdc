"""From what a client sends to the settings of a job: every check that needs no other system."""

from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from tidewell import clock
from tidewell.errors import InvalidRequest
from tidewell.jobs.params import CachingParams
from tidewell.jobs.queryparams import ScheduledQueryParams
from tidewell.jobs.schedule import Interval, Unit
from tidewell.lax import NO_NUL, LaxBool, LaxInt, NullIsAbsent, any_case, between

CACHING = "Caching"
SCHEDULED_QUERY = "ScheduledQuery"
_JOB_TYPES = {kind.lower(): kind for kind in (CACHING, SCHEDULED_QUERY)}
_ANSWERED = {"id", "created", "lastModified", "nextRunTime", "lastRun"}
"""Fields of a job that no client sets."""
_DEEPEST = 32
_MOMENT_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "null"}, {"const": ""}, {"type": "string", "format": "date-time"}]
}
_UNITS = {unit.value.lower(): unit for unit in Unit}


def _job_type(value: object) -> object:
    if not isinstance(value, str) or value.lower() not in _JOB_TYPES:
        raise PydanticCustomError("job_type", "must be Caching or ScheduledQuery")
    return _JOB_TYPES[value.lower()]


def _unit(value: object) -> object:
    if not isinstance(value, str) or value.lower() not in _UNITS:
        raise PydanticCustomError("unit", "must be Minute, Hour, Day, Week or Month")
    return _UNITS[value.lower()]


def _moment(value: object) -> object:
    if value is None or value in ("", clock.SENTINEL):
        return None
    if isinstance(value, str):
        with suppress(ValueError, OverflowError):
            return clock.from_wire(value)
    raise PydanticCustomError(
        "time", 'must be an ISO 8601 time in UTC, as in "2030-01-31T06:00:00Z"'
    )


def _not_too_deep(value: dict[str, Any]) -> dict[str, Any]:
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return value
    raise PydanticCustomError("too_deep", f"is nested deeper than {_DEEPEST} levels")


class JobBody(NullIsAbsent):
    """The body of create and update. `id`, `created`, `lastModified`, `nextRunTime` and `lastRun`
    may stand in it as in an answer; they set nothing."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "jobType": "Caching",
                    "intervalUnit": "Hour",
                    "intervalValue": "1",
                    "logVerbosity": "1",
                    "enabled": "true",
                    "params": {
                        "timeCheckColumn": "",
                        "autoTruncateStrings": "false",
                        "sourceConnection": "36b2c04f-70f4-44a1-876a-29e42237ee63",
                        "sourceName": "OData1",
                        "sourceSchema": "OData",
                        "sourceTable": "Categories",
                    },
                }
            ]
        },
    )

    job_type: Annotated[
        str, BeforeValidator(_job_type), WithJsonSchema(any_case(*_JOB_TYPES.values()))
    ]
    interval_unit: Annotated[
        Unit, BeforeValidator(_unit), WithJsonSchema(any_case(*[unit.value for unit in Unit]))
    ]
    interval_value: Annotated[LaxInt, between(1, 10_000)]
    """How many units lie between two runs."""
    log_verbosity: Annotated[LaxInt, between(1, 5)] = 1
    """1 (a run's outline) to 5 (the source's low-level trace)."""
    enabled: LaxBool = True
    """A job that is not enabled never runs."""
    defined_next_run: Annotated[
        datetime | None, BeforeValidator(_moment), WithJsonSchema(_MOMENT_SCHEMA)
    ] = None
    """When it runs first; without it a run is queued at once."""
    name: Annotated[str, Field(max_length=256, pattern=NO_NUL)] | None = None
    """Of a scheduled query; a caching job is named after its table."""
    params: Annotated[
        dict[str, Any],
        BeforeValidator(
            lambda value: value, json_schema_input_type=CachingParams | ScheduledQueryParams
        ),
        AfterValidator(_not_too_deep),
    ]
    """What the job does; unknown ones are kept and given back."""

    @model_validator(mode="before")
    @classmethod
    def _as_it_was_read(cls, given: object) -> object:
        """Leave out what an answer has besides: programs read a job, change it and send it back."""
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if name not in _ANSWERED}

    @property
    def interval(self) -> Interval:
        """How often the job runs."""
        return Interval(self.interval_unit, self.interval_value)


def check_together(params: CachingParams) -> None:
    """What params mean to each other, and the filter as far as it says itself."""
    if params.filter.strip():
        # Only here: what reads a filter takes 10 MB, and most jobs have none.
        from tidewell.sources.condition import parse  # noqa: PLC0415

        parse(params.filter)
    if params.max_rows_per_run is not None and not params.time_check_column:
        raise InvalidRequest.of(
            "params.maxRowsPerRun",
            "needs a timeCheckColumn: a full refresh reads the whole table in one run",
        )


def check_source_name(params: CachingParams, name: str, driver: str) -> None:
    """`sourceName` is the connection's name or its driver."""
    if params.source_name.casefold() not in (name.casefold(), driver.casefold()):
        raise InvalidRequest.of(
            "params.sourceName",
            f"must be the connection's name ({name}) or its driver ({driver}), not "
            f"{params.source_name[:60]!r}",
        )
