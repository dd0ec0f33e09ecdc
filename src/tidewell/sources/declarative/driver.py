"""A connector as a driver: found by its manifest, opened with its spec's keys."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tidewell.errors import SourceRefused
from tidewell.given import whole_number
from tidewell.sources.declarative.keys import TIMEOUT, Spec
from tidewell.sources.protocol import Environment, Key, Source


@dataclass(frozen=True)
class Connection:
    """What a driver made of a connection's values.

    `trusted` and `strict` as in `streams.Streams`. `secrets` are masked in everything that is told.
    `headers` go with each request to the host of the address `headers_for`, and to no other, as
    those do not that `private` names, whoever sets them. `own` says that this program wrote the
    manifest, so that it need not be held against the language each time.
    """

    schema: str
    manifest: Mapping[str, Any]
    config: Mapping[str, Any]
    secrets: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    headers_for: str = ""
    private: tuple[str, ...] = ()
    trusted: bool = False
    strict: bool = False
    own: bool = False
    timeout: float = 60.0


@contextmanager
def importing_the_cdk() -> Iterator[None]:
    """It warns of classes of its own, which it calls experimental, when it is first imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def open_source(connection: Connection, environment: Environment) -> Source:
    """A source over a connector; the CDK is imported with the first of them."""
    with importing_the_cdk():
        from tidewell.sources.declarative.source import DeclarativeSource  # noqa: PLC0415 - heavy
    return DeclarativeSource(connection, environment)


@dataclass(frozen=True)
class DeclarativeDriver:
    """A connector that the operator installed; one schema of its name.

    `complete` makes the manifest whole, by what stands beside it; the CDK is imported for that.
    """

    name: str
    manifest: Mapping[str, Any]
    complete: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    dialect: str = ""
    several_schemas: bool = False

    @property
    def keys(self) -> tuple[Key, ...]:
        """What its spec asks for."""
        return self._spec.keys

    def open(self, values: Mapping[str, str], environment: Environment) -> Source:
        """A source over the connector; nothing is requested yet."""
        connection = Connection(
            schema=self.name,
            manifest=self._whole,
            config=self._spec.config(values),
            secrets=secrets_of(self.keys, values),
            trusted=True,
            timeout=seconds(values),
        )
        return open_source(connection, environment)

    @cached_property
    def _whole(self) -> Mapping[str, Any]:
        return self.complete(self.manifest) if self.complete else self.manifest

    @cached_property
    def _spec(self) -> Spec:
        # The CDK resolves references; few specs have any, and only for those it is imported here.
        has_reference = "#/" in str(self.manifest.get("spec"))
        spec = (self._whole if has_reference else self.manifest).get("spec")
        said = spec.get("connection_specification") if isinstance(spec, Mapping) else None
        return Spec(said if isinstance(said, Mapping) else {})


def secrets_of(keys: tuple[Key, ...], values: Mapping[str, str]) -> tuple[str, ...]:
    """The values that may stand in no message."""
    return tuple(values[key.name] for key in keys if key.secret and values.get(key.name))


def seconds(values: Mapping[str, str]) -> float:
    """The value of `Timeout`. Raises SourceRefused."""
    number = whole_number(values.get(TIMEOUT.name) or TIMEOUT.default, 1, 3600)
    if number is None:
        raise SourceRefused("Timeout must be a whole number of seconds from 1 to 3600.")
    return float(number)
