"""Every error of the API in one shape (contract §2), with the request's id and no inner detail."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from tidewell.errors import Detail, InvalidRequest, NotFound, TidewellError, TooManyRequests

RETRY_SECONDS = 5
_CODES = {
    400: "INVALID_REQUEST",
    401: "UNAUTHENTICATED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "TOO_MANY_REQUESTS",
    503: "UNAVAILABLE",
}
_MESSAGES = {
    404: "There is no such path; /docs lists them all.",
    405: "This path does not take this method; /docs lists what it takes.",
}

log = structlog.get_logger()


def error_body(
    code: str, message: str, request_id: str, details: Sequence[Detail] = ()
) -> dict[str, Any]:
    """The body of an error."""
    error: dict[str, Any] = {"code": code, "message": message}
    if details:
        error["details"] = [{"field": one.field, "message": one.message} for one in details]
    return {"error": error | {"requestId": request_id}}


def invalid_fields(errors: Sequence[Mapping[str, Any]], prefix: str = "") -> InvalidRequest:
    """What pydantic found, as one error that names each field by its path in the body."""
    details = []
    for error in errors:
        parts = list(error["loc"])
        if not prefix and parts and parts[0] in ("body", "query", "path"):
            del parts[0]  # where the value came from; a field of that name may follow
        path = [str(part) for part in parts]
        if error["type"] == "json_invalid":
            return InvalidRequest("The body is not JSON.")
        field = ".".join([prefix, *path] if prefix else path) or "body"
        details.append(Detail(field, _reason(error)))
    message = "; ".join(f"{one.field}: {one.message}" for one in details[:5])
    return InvalidRequest(message or None, details=details)


def _reason(error: Mapping[str, Any]) -> str:
    match error["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not a known field"
        case "string_pattern_mismatch" if str(error.get("input", "")).isprintable() is False:
            return "holds a NUL or another control character"
        case _:
            text = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
            return text[:300]


def handle_errors(app: FastAPI) -> None:
    """Answer every error of the application in the contract's shape."""
    app.add_exception_handler(TidewellError, _tidewell_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)


def _answer(
    request: Request,
    status: int,
    code: str,
    message: str,
    details: Sequence[Detail] = (),
) -> JSONResponse:
    headers = {}
    if status in (429, 503):
        headers["Retry-After"] = str(RETRY_SECONDS)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(
        error_body(code, message, request.state.request_id, details), status, headers
    )


def _tidewell_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, TidewellError):
        raise error
    method = request.method.lower()
    paths = request.app.openapi()["paths"]
    if isinstance(error, NotFound) and method not in paths.get(request.url.path, {method}):
        # A path that exists, for other methods; a route with an id in this place has taken it.
        return _http_error(request, HTTPException(405))
    if error.status >= 500:
        log.warning("request_failed", code=error.code, exc_info=error)
    message = error.message
    if error.status == 500:
        message = (
            "Something went wrong inside Tidewell; the server's log has more under this request id."
        )
    answer = _answer(request, error.status, error.code, message, error.details)
    if isinstance(error, TooManyRequests):
        answer.headers["Retry-After"] = str(error.retry_after)
    return answer


def _validation_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    return _tidewell_error(request, invalid_fields(error.errors()))


def _http_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    if isinstance(error.__cause__, TidewellError):
        # What stopped the reading of a body; FastAPI would call that a body it cannot parse.
        return _tidewell_error(request, error.__cause__)
    code = _CODES.get(error.status_code, "INVALID_REQUEST")
    message = _MESSAGES.get(error.status_code, str(error.detail))
    answer = _answer(request, error.status_code, code, message)
    answer.headers.update(error.headers or {})
    if error.status_code == 405:
        answer.headers["Allow"] = ", ".join(_methods(request))
    return answer


def _methods(request: Request) -> list[str]:
    """The methods that a path takes, of all its routes (RFC 9110 §15.5.6)."""
    described = request.app.openapi()["paths"].get(request.url.path)
    if described:
        return [method.upper() for method in described]
    return [
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        if any(
            route.matches(dict(request.scope, method=method))[0] is Match.FULL
            for route in request.app.routes
        )
    ]
