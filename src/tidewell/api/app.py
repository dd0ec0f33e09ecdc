"""The HTTP application: routes, errors, health and the document that describes it."""

from typing import Any

import structlog
from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse

from tidewell import __version__
from tidewell.api import accounts, connections, jobs, links
from tidewell.api.errors import RETRY_SECONDS, handle_errors
from tidewell.api.middleware import Around
from tidewell.api.reference_page import reference_page
from tidewell.api.services import Node, Services
from tidewell.errors import Unavailable

log = structlog.get_logger()


def create_app(services: Services) -> FastAPI:
    """The application over the open parts of a node."""
    app = FastAPI(
        title="Tidewell",
        version=__version__,
        description="The Job API: keeps copies of tables fresh in PostgreSQL.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        strict_content_type=False,  # a body without a Content-Type is JSON too
    )
    app.state.services = services
    handle_errors(app)
    app.add_middleware(Around)
    for part in (jobs, connections, links, accounts):
        app.include_router(part.router)

    @app.get("/healthz", operation_id="health", tags=["operation"])
    async def health() -> dict[str, Any]:
        """Whether this process answers."""
        return {"status": "ok", "version": __version__}

    @app.get("/readyz", operation_id="readiness", tags=["operation"])
    async def readiness(node: Node, response: Response) -> dict[str, Any]:
        """Whether this process can work: its state database answers."""
        try:
            async with node.database.transaction() as connection:
                await connection.execute("SELECT 1")
        except Unavailable as error:
            response.status_code = 503
            response.headers["Retry-After"] = str(RETRY_SECONDS)
            return {"status": "unavailable", "database": error.message}
        return {"status": "ok", "database": "ok"}

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        """Every call, from the OpenAPI document."""
        return HTMLResponse(reference_page(app.openapi()))

    return app
