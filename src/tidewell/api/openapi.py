"""The OpenAPI document: what FastAPI derives from the routes, completed for every route alike.

A route says its operation id, its answer's model, and with `conflict` or `leads_to` what only it
knows. The errors that follow from a call's shape (it takes a token, a body, an id, parameters), the
headers and the examples are added here, so that no route can forget them.
"""

import json
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from tidewell.api.answers.base import Answer, Error
from tidewell.api.errors import RETRY_SECONDS

Responses = dict[int | str, dict[str, Any]]
Json = dict[str, Any]

_REQUEST_ID = "9d9f5b6e-8f1c-4a7e-b1f7-2f6f4a1f6f0e"
_ERRORS = {
    400: (
        "INVALID_REQUEST",
        "The body is not JSON, or a value does not fit; `details` names the fields.",
        "intervalValue: must be a whole number",
    ),
    401: (
        "UNAUTHENTICATED",
        "Who calls is not proven: no token, or not a valid one.",
        "The token has expired: make a new one.",
    ),
    403: (
        "FORBIDDEN",
        "The token names no sub-account where one is needed, or not one of its vendor, or it is "
        "narrowed to some connections and this call is about more.",
        "The token's sub is not a sub-account of its iss.",
    ),
    404: ("NOT_FOUND", "There is no such object in this account.", "There is no such job."),
    409: (
        "CONFLICT",
        "The current state forbids the call; the message says which.",
        "This job is disabled, so it does not run: enable it first.",
    ),
    413: ("PAYLOAD_TOO_LARGE", "The body is over 1 MiB.", "The body is over 1 MiB; send less."),
    415: (
        "UNSUPPORTED_MEDIA_TYPE",
        "The body is not sent as JSON.",
        "Send the body as application/json.",
    ),
    429: (
        "TOO_MANY_REQUESTS",
        "This account calls more often than the operator allows.",
        "This account calls too often: wait 1 s.",
    ),
    500: (
        "INTERNAL_ERROR",
        "A fault of the service; its log has more under the request id.",
        "Something went wrong inside Tidewell; the server's log has more under this request id.",
    ),
    503: (
        "UNAVAILABLE",
        "The state database is out of reach.",
        "Tidewell's own database is out of reach; try again in a few seconds.",
    ),
}
_EXTRA_HEADERS: dict[int, dict[str, tuple[str, Json, Any]]] = {
    401: {"WWW-Authenticate": ("The scheme that is needed.", {"type": "string"}, "Bearer")},
    429: {"Retry-After": ("Seconds to wait.", {"type": "integer"}, 1)},
    503: {"Retry-After": ("Seconds to wait.", {"type": "integer"}, RETRY_SECONDS)},
}
_WRITES = ("post", "put", "patch")


def conflict(reason: str) -> Responses:
    """The `responses` of a route that a state can forbid: 409, and when."""
    return {409: {"description": f"The current state forbids the call: {reason}."}}


def leads_to(*operations: str, status: int = 200, **parameters: str) -> Responses:
    """The `responses` of a route whose answer names what other calls take (OpenAPI 3.1 §4.8.20)."""
    links = {name: {"operationId": name, "parameters": parameters} for name in operations}
    return {status: {"links": links}}


class DescribedAPI(FastAPI):
    """The application, with a complete description of itself."""

    def openapi(self) -> Json:
        """The OpenAPI document."""
        if self.openapi_schema is None:
            self.openapi_schema = _completed(super().openapi())
        return self.openapi_schema


def _completed(document: Json) -> Json:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    error = Error.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= error.pop("$defs") | {"Error": error}
    for model in _models(Answer):
        # FastAPI leaves out what is null, in examples too; there it is part of the answer.
        extra = model.model_config.get("json_schema_extra")
        if isinstance(extra, dict) and model.__name__ in schemas:
            schemas[model.__name__] |= extra
    for path, method, operation in _operations(document):
        _complete(operation, method, path, schemas)
    for schema in schemas.values():
        # Titles that only repeat a field's name say nothing.
        for field in schema.get("properties", {}).values():
            field.pop("title", None)
    _drop_unused(document, schemas)
    return document


def _models(base: type[Answer]) -> Iterator[type[Answer]]:
    for model in base.__subclasses__():
        yield model
        yield from _models(model)


def _drop_unused(document: Json, schemas: Json) -> None:
    """Drop what nothing refers to, like FastAPI's own errors, which are never answered here."""
    while True:
        text = json.dumps(document)
        unused = [name for name in schemas if f'"#/components/schemas/{name}"' not in text]
        if not unused:
            return
        for name in unused:
            del schemas[name]


def _operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _complete(operation: Json, method: str, path: str, schemas: Json) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    for status in _statuses(operation, method, path):
        responses.setdefault(str(status), {})
    for status, response in responses.items():
        if int(status) >= 400:
            _complete_error(int(status), response)
        else:
            _complete_success(response, schemas)
        response.setdefault("headers", {})["X-Request-Id"] = _header(
            "The id of this request.", {"type": "string"}, _REQUEST_ID
        )
    operation["responses"] = dict(sorted(responses.items()))
    for content in operation.get("requestBody", {}).get("content", {}).values():
        _give_example(content, schemas)


def _statuses(operation: Json, method: str, path: str) -> set[int]:
    """The errors that follow from the shape of a call."""
    statuses = {500, 503} if path != "/healthz" else {500}
    parameters = operation.get("parameters", ())
    if operation.get("security"):
        statuses |= {401, 403, 429}
    if "requestBody" in operation or any(one["in"] == "query" for one in parameters):
        statuses.add(400)
    if any(one["in"] == "path" for one in parameters):
        statuses.add(404)
    if method in _WRITES:
        statuses |= {413, 415}
    return statuses


def _complete_error(status: int, response: Json) -> None:
    code, description, message = _ERRORS[status]
    response.setdefault("description", description)
    error: Json = {"code": code, "message": message}
    if status == 400:
        field, _, text = message.partition(": ")
        error["details"] = [{"field": field, "message": text}]
    response["content"] = {
        "application/json": {
            "schema": {"$ref": "#/components/schemas/Error"},
            "example": {"error": error | {"requestId": _REQUEST_ID}},
        }
    }
    for name, (text, schema, example) in _EXTRA_HEADERS.get(status, {}).items():
        response.setdefault("headers", {})[name] = _header(text, schema, example)


def _header(description: str, schema: Json, example: object) -> Json:
    return {"description": description, "required": True, "schema": schema, "example": example}


def _complete_success(response: Json, schemas: Json) -> None:
    for content in response.get("content", {}).values():
        model = _give_example(content, schemas)
        if model.get("description"):
            response["description"] = model["description"]


def _give_example(content: Json, schemas: Json) -> Json:
    """Put the model's own example beside its schema; returns the model."""
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    model: Json = schemas.get(name, {})
    if model.get("examples"):
        content.setdefault("example", model["examples"][0])
    return model
