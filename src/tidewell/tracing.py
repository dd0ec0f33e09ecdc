"""Traces over API, queue, run, source and cache, by OpenTelemetry (W3C Trace Context).

Off unless the operator asks for it in OpenTelemetry's own way: with `pip install 'tidewell[otel]'`
and OTEL_EXPORTER_OTLP_ENDPOINT (or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) in the environment. Spans
hold ids, counts and durations; no name, address or value of a customer is an attribute.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from tidewell import __version__
from tidewell.errors import TidewellError

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_TRACEPARENT = "traceparent"

Value = str | int | float | bool


def set_up() -> None:
    """Send traces where the environment says; without that, they are made nowhere.

    Raises TidewellError when they are asked for and the SDK is missing.
    """
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise TidewellError(
            "Traces are asked for (OTEL_EXPORTER_OTLP_ENDPOINT), but their package is missing: "
            "pip install 'tidewell[otel]'."
        ) from error
    about = {"service.name": os.environ.get("OTEL_SERVICE_NAME", "tidewell")}
    provider = TracerProvider(resource=Resource.create(about | {"service.version": __version__}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def flush() -> None:
    """Send what has been made so far: a run's process may be ended at any time."""
    force = getattr(trace.get_tracer_provider(), "force_flush", None)
    if force is not None:
        force()


def traceparent() -> str:
    """The current place in a trace, as the header `traceparent` has it; "": there is none."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get(_TRACEPARENT, "")


@contextmanager
def span(
    name: str,
    *,
    parent: str | Mapping[str, str] = "",
    kind: SpanKind = SpanKind.INTERNAL,
    **attributes: Value,
) -> Iterator[Span]:
    """A part of a trace: below the current one, or below `parent` (a traceparent, or headers)."""
    context = None
    if parent:
        headers = {_TRACEPARENT: parent} if isinstance(parent, str) else parent
        context = propagate.extract(headers)
    tracer = trace.get_tracer("tidewell", __version__)
    given = {f"tidewell.{key}": value for key, value in attributes.items()}
    with tracer.start_as_current_span(
        name,
        context=context,
        kind=kind,
        attributes=given,
        record_exception=False,  # its message may tell what is the customer's
        set_status_on_exception=False,
    ) as made:
        try:
            yield made
        except TidewellError as error:
            made.set_status(Status(StatusCode.ERROR, error.code))
            raise
