"""The streams of a manifest, built by airbyte-cdk, without its threads, its caches and its output.

The CDK's own reader runs a pool of threads behind a queue; here its streams are built the same way
and read directly (`reading.py`), so that memory, cancelling and errors are this program's.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from typing import Any

import orjson
import requests
from airbyte_cdk.models import (
    AirbyteStateBlob,
    AirbyteStateMessage,
    AirbyteStateType,
    AirbyteStreamState,
    StreamDescriptor,
)
from airbyte_cdk.sources.connector_state_manager import ConnectorStateManager
from airbyte_cdk.sources.declarative import concurrent_declarative_source as cdk
from airbyte_cdk.sources.declarative.decoders.json_decoder import JsonDecoder
from airbyte_cdk.sources.declarative.extractors import DpathExtractor
from airbyte_cdk.sources.declarative.models.declarative_component_schema import (
    DpathExtractor as DpathExtractorModel,
)
from airbyte_cdk.sources.declarative.models.declarative_component_schema import (
    SimpleRetriever as SimpleRetrieverModel,
)
from airbyte_cdk.sources.declarative.parsers.model_to_component_factory import (
    ModelToComponentFactory,
)
from airbyte_cdk.sources.message import NoopMessageRepository

from tidewell.errors import SourceBroken
from tidewell.sources.declarative.http import active
from tidewell.sources.declarative.paging import BESIDE, read_to_the_end

_LOGGERS = ("airbyte", "airbyte_cdk", "backoff", "requests_cache", "urllib3")
_LOW_LEVEL = 5


State = Mapping[str, Mapping[str, Any]]


class Streams(cdk.ConcurrentDeclarativeSource):  # type: ignore[misc] # no types are read of the CDK
    """The streams of one manifest with one config. Needs `Http.active` around every use.

    `trusted` manifests may name Python classes. `strict` ones fail where an answer lacks the list
    of records that they name; Airbyte's own take that for an empty list. `own` ones are known to
    keep to the language, and their pages are read to the end (`paging.py`).
    """

    def __init__(
        self,
        manifest: Mapping[str, Any],
        config: Mapping[str, Any],
        *,
        trusted: bool,
        strict: bool,
        own: bool,
    ) -> None:
        _tame()
        self._trusted = trusted
        self._strict = strict
        self._own = own
        super().__init__(
            config=config,
            source_config=deepcopy(dict(manifest)),
            migrate_manifest=not own,
            custom_components_trusted=trusted,
        )
        self._constructor = self._factory({})

    def _validate_source(self) -> None:
        if not self._own:
            super()._validate_source()

    def _factory(self, state: State) -> ModelToComponentFactory:
        """What makes streams of models.

        Without the CDK's cache of parent streams: that is one table for the whole process, whose
        keys leave out the credentials, so one customer would be given another's pages. And
        without its queue of messages, which nobody reads.
        """
        messages = [
            AirbyteStateMessage(
                type=AirbyteStateType.STREAM,
                stream=AirbyteStreamState(
                    stream_descriptor=StreamDescriptor(name=name),
                    stream_state=AirbyteStateBlob(**values),
                ),
            )
            for name, values in state.items()
        ]
        factory = ModelToComponentFactory(
            connector_state_manager=ConnectorStateManager(state=messages),
            message_repository=NoopMessageRepository(),
            disable_cache=True,
            custom_components_trusted=self._trusted,
        )
        if self._strict:
            plain = factory.create_dpath_extractor

            def strict(*arguments: Any, **named: Any) -> _StrictExtractor:
                return _StrictExtractor(plain(*arguments, **named))

            factory.PYDANTIC_MODEL_TO_CONSTRUCTOR[DpathExtractorModel] = strict
        if self._own:
            made = factory.create_simple_retriever

            def complete(*arguments: Any, **named: Any) -> Any:
                return read_to_the_end(made(*arguments, **named))

            factory.PYDANTIC_MODEL_TO_CONSTRUCTOR[SimpleRetrieverModel] = complete
            # Else parents are made by a factory of the CDK's own, with none of this. It is for the
            # state of parents, which our manifests do not keep.
            parents = factory.create_parent_stream_config
            factory.create_parent_stream_config_with_substream_wrapper = parents
        return factory

    def _migrate_and_transform_config(
        self, config_path: str | None, config: Mapping[str, Any] | None
    ) -> Mapping[str, Any] | None:
        """As the CDK does it, but it would print the config, secrets and all."""
        if not config or not self._spec_component:
            return config
        changed = deepcopy(dict(config))
        self._spec_component.migrate_config(changed)
        self._spec_component.transform_config(changed)
        return changed

    def stream_names(self) -> list[str]:
        """The names of all streams, also of those that are made by asking the service."""
        configs = self._stream_configs(self._source_config) + self.dynamic_streams
        return [str(one["name"]) for one in configs]

    def checked_names(self) -> list[str]:
        """The streams that the manifest proves a connection with; perhaps none."""
        return list((self._source_config.get("check") or {}).get("stream_names") or ())

    def stream(
        self, name: str, parameters: Mapping[str, str] | None = None, state: State | None = None
    ) -> Any:
        """One stream, from a state on; `parameters` are added to the query of its requests."""
        self._constructor = self._factory(state or {})
        self._prepare_for_stream_build()
        everyone = self._stream_configs(self._source_config)
        found = next((one for one in everyone if one.get("name") == name), None)
        if found is None:
            everyone += self.dynamic_streams
            found = next(one for one in everyone if one.get("name") == name)
        if parameters:
            found = deepcopy(found)
            requester = found["retriever"]["requester"]
            requester["request_parameters"] = {
                **(requester.get("request_parameters") or {}),
                **parameters,
            }
        return self._create_streams([found], everyone)[0]

    def config_of(self, name: str) -> Mapping[str, Any]:
        """What the manifest says of a stream, with its references resolved."""
        for one in self._stream_configs(self._source_config):
            if one.get("name") == name:
                return dict(one)
        return {}

    def workers(self) -> int:
        """How many partitions the manifest allows to be read at a time."""
        level = self._source_config.get("concurrency_level") or {}
        number = level.get("default_concurrency", 2)
        return max(1, min(number if isinstance(number, int) else 2, 10))


def own_statuses(value: Any) -> Iterator[int]:
    """The error statuses that a manifest does something else with than to try again."""
    if isinstance(value, dict):
        if "http_codes" in value and value.get("action") not in (None, "RETRY", "RATE_LIMITED"):
            yield from (int(code) for code in value["http_codes"] if str(code).isdigit())
        for inner in value.values():
            yield from own_statuses(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from own_statuses(inner)


class _StrictExtractor(DpathExtractor):  # type: ignore[misc] # no types are read of the CDK
    """The list of records at a path, which has to be there."""

    def __init__(self, plain: Any) -> None:
        self._decoder = plain.decoder
        self._path = [part.eval(plain.config) for part in plain._field_path]
        self._plain = plain if "*" in self._path or plain.record_expander else None

    def extract_records(self, response: requests.Response) -> Iterator[Any]:
        """The records of an answer. Raises SourceBroken where it has no such list."""
        if self._plain is not None:
            yield from self._plain.extract_records(response)
            return
        found = _json(response)
        if isinstance(found, dict):
            beside = {n: v for n, v in found.items() if not isinstance(v, list | dict)}
            setattr(response, BESIDE, beside)
        for part in self._path:
            if not isinstance(found, dict) or part not in found:
                raise SourceBroken(
                    f"The service's answer has no {'.'.join(map(str, self._path))!r}, where its "
                    "records should be."
                )
            found = found[part]
        if isinstance(found, list):
            yield from found
        elif isinstance(found, dict):
            yield found
        elif found is not None:
            raise SourceBroken("The service's answer has no list of records where it should be.")


def _json(response: requests.Response) -> Any:
    try:
        return orjson.loads(response.content)
    except ValueError:
        pass
    try:
        return json.loads(response.content)  # NaN and the like, which JSON does not allow
    except ValueError as error:
        raise SourceBroken("The service's answer is not JSON.") from error


def _decode_strictly(self: JsonDecoder, response: requests.Response) -> Iterator[Any]:
    """As the CDK's, but an answer that is not JSON is an error. There it is an empty object, so a
    page that broke in the middle would silently be the last one."""
    body = _json(response) if response.content.strip() else {}
    if isinstance(body, list):
        yield from body or [{}]
    else:
        yield body


class _ToTrace(logging.Handler):
    """What the CDK logs is a run's low-level trace, and stands nowhere else."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on to the source that works in this thread, without its secrets."""
        http = active()
        if http is not None:
            http.trace(_LOW_LEVEL, http.masked(f"{record.name}: {record.getMessage()}"))


@cache
def _tame() -> None:
    """Once a process: the CDK's log goes to the run that causes it, and broken JSON is an error."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [_ToTrace()]
        logger.propagate = False
        # Below this the CDK would write out headers and bodies.
        logger.setLevel(logging.INFO)
    JsonDecoder.decode = _decode_strictly
    # The language's own schema, a large YAML file that it would parse for each source.
    cdk.get_declarative_component_schema = cache(cdk.get_declarative_component_schema)
