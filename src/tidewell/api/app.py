"""The HTTP application: routes, errors, health and the document that describes it."""

from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from tidewell import __version__
from tidewell.api import accounts, connections, jobs, links, metrics, query, querylog, webhooks
from tidewell.api.answers.operation import Health, Readiness
from tidewell.api.errors import handle_errors
from tidewell.api.metrics import StateGauges
from tidewell.api.middleware import Around
from tidewell.api.openapi import DescribedAPI
from tidewell.api.rate import RateLimit
from tidewell.api.reference_page import reference_page
from tidewell.api.services import Node, Services

_TAGS = {
    "jobs": "What is copied and when, and each run of it.",
    "query": "SQL over everything: the cache where it has a table, else the source.",
    "connections": "The cache, the sources, and links to the forms that customers fill in.",
    "accounts": "The vendor's customers, and the audit of what was written.",
    "webhooks": "Events, told to an address of the customer's.",
    "operation": "For those who run the service.",
}

log = structlog.get_logger()


def create_app(services: Services) -> FastAPI:
    """The application over the open parts of a node."""
    app = DescribedAPI(
        title="Tidewell",
        version=__version__,
        description="The Job API: keeps copies of tables fresh in PostgreSQL.",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        openapi_tags=[{"name": name, "description": text} for name, text in _TAGS.items()],
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        strict_content_type=False,  # a body without a Content-Type is JSON too
    )
    app.state.services = services
    app.state.rate = RateLimit(services.settings.requests_per_minute)
    handle_errors(app)
    app.add_middleware(Around)
    app.state.gauges = StateGauges()
    for part in (jobs, query, querylog, connections, links, accounts, metrics, webhooks):
        app.include_router(part.router)

    @app.get("/healthz", operation_id="health", tags=["operation"], response_model=Health)
    async def health() -> dict[str, Any]:
        """Whether this process answers."""
        return {"status": "ok", "version": __version__}

    @app.get("/readyz", operation_id="readiness", tags=["operation"], response_model=Readiness)
    async def readiness(node: Node) -> dict[str, Any]:
        """Whether this process can work: its state database answers, else 503."""
        async with node.database.transaction() as connection:
            await connection.execute("SELECT 1")
        return {"status": "ok", "database": "ok"}

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        """Every call, from the OpenAPI document."""
        return HTMLResponse(reference_page(app.openapi()))

    return app
