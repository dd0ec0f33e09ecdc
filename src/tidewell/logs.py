"""Structured logs on standard error: one JSON object a line, times in UTC, no secret."""

import logging
import sys
from collections.abc import Iterable, MutableMapping
from contextvars import ContextVar
from typing import Any

import structlog

_SECRET_NAMES = ("password", "token", "secret", "authorization", "connection_string", "key")
MASK = "********"
_SHORTEST = 3  # masking one or two letters would blot out the line and hide nothing
_hidden: ContextVar[frozenset[str]] = ContextVar("hidden", default=frozenset())


def hide(secrets: Iterable[str]) -> None:
    """Let no line that this request or task logs from now on show one of these texts.

    The message of an error that nobody foresaw may hold one: a driver's, a library's.
    """
    long_enough = {secret for secret in secrets if len(secret) >= _SHORTEST}
    # A message may also have it as Python writes it, with a backslash before a backslash.
    _hidden.set(_hidden.get() | long_enough | {repr(secret)[1:-1] for secret in long_enough})


def set_up(level: str, *, pretty: bool = False) -> None:
    """Log from `level` on; `pretty` is for a person's terminal. Libraries log through here too."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _mask,
    ]
    shape: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer()
        if pretty
        else structlog.processors.JSONRenderer(sort_keys=False)
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _mask_hidden,
            shape,
        ],
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number)
    # They tell of each step at INFO, which is noise beside our own lines.
    for noisy in ("procrastinate", "alembic", "httpx", "psycopg.pool"):
        logging.getLogger(noisy).setLevel(max(number, logging.WARNING))


def _mask(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in event:
        if any(secret in name.lower() for secret in _SECRET_NAMES):
            event[name] = MASK
    return event


def _mask_hidden(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Tracebacks come here as text, without the values of variables."""
    secrets = sorted(_hidden.get(), key=len, reverse=True)
    for name, value in event.items():
        if isinstance(value, str):
            for secret in secrets:
                value = value.replace(secret, MASK)  # noqa: PLW2901
            event[name] = value
    return event
