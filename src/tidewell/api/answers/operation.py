"""What operators ask: whether the process answers, and whether it can work."""

from typing import Literal

from pydantic import ConfigDict

from tidewell import __version__
from tidewell.api.answers.base import Answer


class Health(Answer):
    """This process answers."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"status": "ok", "version": __version__}]}
    )

    status: Literal["ok"]
    version: str


class Readiness(Answer):
    """This process can work."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok", "database": "ok"}]})

    status: Literal["ok"]
    database: Literal["ok"]
