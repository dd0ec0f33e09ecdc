"""The OpenAPI document as the tests read it: its calls, and whether an answer fits its schema."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import jsonschema_rs

from tidewell.api.app import create_app
from tidewell.settings import Settings

Json = dict[str, Any]

# The document and the routes need no open part of a node.
APP = create_app(SimpleNamespace(settings=Settings()))  # type: ignore[arg-type]
DOCUMENT: Json = APP.openapi()


@dataclass(frozen=True)
class Operation:
    """One call of the document."""

    document: Json
    path: str
    method: str
    about: Json

    @property
    def id(self) -> str:
        """The operation id."""
        return str(self.about["operationId"])

    @property
    def is_closed(self) -> bool:
        """Whether it needs a token."""
        return bool(self.about.get("security"))

    @property
    def body_example(self) -> Any:
        """A body that fits; None where the call takes none."""
        content = self.about.get("requestBody", {}).get("content", {})
        return content["application/json"]["example"] if content else None

    def path_parameters(self) -> list[str]:
        """The names of what stands in the path."""
        return [one["name"] for one in self.about.get("parameters", ()) if one["in"] == "path"]

    def names_something(self) -> bool:
        """Whether the call must say what it is about, in its path or in its query."""
        return any(one.get("required") for one in self.about.get("parameters", ()))

    def concrete_path(self) -> str:
        """The path, with ids that nobody has."""
        path = self.path
        for name in self.path_parameters():
            path = path.replace(f"{{{name}}}", str(uuid4()))
        return path

    def faults(self, status: int, answer: Any) -> list[str]:
        """What in an answer is not as the document says, undocumented fields included."""
        content = self.about["responses"][str(status)]["content"]["application/json"]
        return faults(self.document, content["schema"], answer)


def operations(document: Json) -> Iterator[Operation]:
    """Every call of a document."""
    for path, methods in document["paths"].items():
        for method, about in methods.items():
            yield Operation(document, path, method.upper(), about)


def faults(document: Json, schema: Json, value: Any) -> list[str]:
    """Where a value does not fit a schema of the document; a field that is not in it is a fault."""
    components = {"schemas": {k: _closed(v) for k, v in document["components"]["schemas"].items()}}
    validator = jsonschema_rs.validator_for(
        schema | {"components": components}, validate_formats=True
    )
    return [
        f"{'/'.join(str(part) for part in error.instance_path)}: {error.message}"
        for error in validator.iter_errors(value)
    ]


def _closed(schema: Json) -> Json:
    """The schema without room for more fields; what is documented as free stays free."""
    if schema.get("properties") and schema["title"] != "CachingParams":
        return schema | {"additionalProperties": False}
    return schema
