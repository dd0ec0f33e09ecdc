"""Hosted pages: forms that a vendor's customers fill in, and the Jobs pages.

Everything on them comes from here; nothing is loaded from elsewhere.
"""

from fastapi import APIRouter

from tidewell.pages import routes
from tidewell.pages.jobs import (
    connection_pages,
    entrance,
    job_page,
    list_page,
    live,
    new_page,
    query_page,
    run_page,
)

router = APIRouter()
# `jobs/new/query` comes before `jobs/new/{connection_id}`, and that before `jobs/{job_id}`.
for part in (
    routes,
    entrance,
    list_page,
    query_page,
    new_page,
    job_page,
    run_page,
    live,
    connection_pages,
):
    router.include_router(part.router)

__all__ = ["router"]
