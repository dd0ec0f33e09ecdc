"""From what a client sends to the settings of a job: every check that needs no other system."""

from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from tidewell import clock
from tidewell.errors import InvalidRequest
from tidewell.jobs.params import NOT_YET, CachingParams
from tidewell.jobs.schedule import Interval, Unit
from tidewell.lax import LaxBool, LaxInt

CACHING = "Caching"
SCHEDULED_QUERY = "ScheduledQuery"
_JOB_TYPES = {kind.lower(): kind for kind in (CACHING, SCHEDULED_QUERY)}
_DEEPEST = 32
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


class JobBody(BaseModel):
    """The body of create and update."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    job_type: Annotated[str, BeforeValidator(_job_type)]
    interval_unit: Annotated[Unit, BeforeValidator(_unit)]
    interval_value: Annotated[LaxInt, Field(ge=1, le=10_000)]
    log_verbosity: Annotated[LaxInt, Field(ge=1, le=5)] = 1
    enabled: LaxBool = True
    defined_next_run: Annotated[datetime | None, BeforeValidator(_moment)] = None
    name: Annotated[str, Field(max_length=256)] | None = None
    params: Annotated[dict[str, Any], AfterValidator(_not_too_deep)]

    @property
    def interval(self) -> Interval:
        """How often the job runs."""
        return Interval(self.interval_unit, self.interval_value)


def refuse_what_is_not_done(body: JobBody) -> None:
    """Say so where a client asks for something that this version does not do yet."""
    if body.job_type == SCHEDULED_QUERY:
        raise InvalidRequest.of("jobType", "ScheduledQuery is not available in this version")
    for name in sorted(NOT_YET & body.params.keys()):
        if body.params[name] not in (None, "", [], {}):
            raise InvalidRequest.of(f"params.{name}", "is not available in this version")


def check_source_name(params: CachingParams, name: str, driver: str) -> None:
    """`sourceName` is the connection's name or its driver."""
    if params.source_name.casefold() not in (name.casefold(), driver.casefold()):
        raise InvalidRequest.of(
            "params.sourceName",
            f"must be the connection's name ({name}) or its driver ({driver}), not "
            f"{params.source_name[:60]!r}",
        )
