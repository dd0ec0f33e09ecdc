"""What every route of a page shares: its errors are pages, and its bodies are forms."""

from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import structlog
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from tidewell.errors import InvalidRequest, NotFound, TidewellError
from tidewell.pages.rendering import page

_MOST_FIELDS = 1000
_OPERATORS = ("/oem/operator", "/oem/accounts")
_BROKEN = (
    "Something went wrong on our side. Please try again later; the operator finds more in the "
    "server's log under the id below."
)

log = structlog.get_logger()


class PageRoute(APIRoute):
    """Errors of these routes are pages, too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_with_pages(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError:
                # What stands in a page's own address is never wrong, unless somebody altered it.
                return _refused(request, NotFound("There is no such page."))
            except TidewellError as error:
                return _refused(request, error)
            except HTTPException:
                raise  # of the framework, before any page was looked for
            except Exception as error:
                log.exception("page_broke", kind=type(error).__name__)
                return _told(request, 500, _BROKEN)

        return handle_with_pages


def _refused(request: Request, error: TidewellError) -> Response:
    log.info("page_refused", code=error.code)
    if error.status == 500:
        log.exception("page_broke", exc_info=error)
        return _told(request, 500, _BROKEN)
    return _told(request, error.status, error.message)


def _told(request: Request, status: int, message: str) -> Response:
    return page(
        "refused.html",
        status=status,
        message=message,
        request_id=request.state.request_id,
        is_link=status in (401, 403),
        is_for_operator=request.url.path in _OPERATORS,
        jobs=_jobs_of(request),
    )


def _jobs_of(request: Request) -> str:
    """The list of jobs of the account that an address names; empty where it names none."""
    try:
        return f"/oem/accounts/{UUID(request.path_params['account_id'])}/jobs"
    except (KeyError, ValueError):
        return ""


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a sent form; of several of one name the last. Raises InvalidRequest."""
    return dict(await pairs_of(request))


async def pairs_of(request: Request) -> list[tuple[str, str]]:
    """The fields of a sent form in their order. Raises InvalidRequest."""
    try:
        text = (await request.body()).decode()
        pairs = parse_qsl(
            text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
        )
    except ValueError:
        raise InvalidRequest("The form could not be read.") from None
    return [(name, value.replace("\0", "")) for name, value in pairs]
