"""Where a list ends that is read by page numbers or by offsets: at its empty page.

A short page is not the last one: a service may give fewer records than it is asked for, because it
has a bound of its own, or hides some of a page from this user. The CDK takes it for the last one.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from airbyte_cdk.sources.declarative.requesters.paginators import DefaultPaginator
from airbyte_cdk.sources.declarative.requesters.paginators.strategies import (
    OffsetIncrement,
    PageIncrement,
)
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from tidewell.errors import SourceBroken
from tidewell.sources.declarative.http import active

BESIDE = "tidewell_beside"
"""The attribute of an answer that holds the values that it has beside its records."""


def read_to_the_end(retriever: Any) -> Any:
    """A retriever that, where it pages by numbers or offsets, goes on until nothing more comes.

    Such a strategy has no `page_size`, and the parameter `total` may name where an answer tells how
    many records there are in all.
    """
    paginator = retriever.paginator
    if isinstance(paginator, DefaultPaginator) and isinstance(
        paginator.pagination_strategy, PageIncrement | OffsetIncrement
    ):
        retriever._read_pages = partial(_pages, retriever)
    return retriever


def _pages(
    retriever: Any, records_of: Callable[[Any], Iterator[Any]], stream_slice: Any
) -> Iterator[Any]:
    """The records of all pages, in place of the CDK's own loop over them."""
    total_at = retriever._parameters.get("total")
    token = retriever._get_initial_next_page_token()
    before: list[Any] = []
    longest = count = 0
    total: int | None = None
    while True:
        may_be_last = len(before) < longest or count == len(before) > 0
        try:
            answer = retriever._fetch_next_page(stream_slice, token)
        except AirbyteTracedException:
            if total is None and before and _is_past_the_end(may_be_last):
                return
            raise
        if not answer:  # an error that the manifest says to ignore
            return
        records = list(records_of(answer))
        if records and records == before:
            # Some services give their last page for all that would come after it. And what is one
            # object, not a list, has no pages.
            if total is None and (len(before) < longest or len(before) == 1):
                return
            raise SourceBroken(
                "The service gives the same records again: it takes no notice of how we ask for "
                "the next page. Check PageParameter; if it gives all at once, set Paging to None."
            )
        yield from records
        count += len(records)
        if total_at:
            told = getattr(answer, BESIDE, {}).get(total_at)
            total = told if isinstance(told, int) else None
            if total is not None and count >= total:
                return
        last = records[-1] if records else None
        token = retriever._next_page_token(answer, len(records), last, token["next_page_token"])
        if token is None:
            return
        before, longest = records, max(longest, len(records))


def _is_past_the_end(may_be_last: bool) -> bool:
    """Whether a refusal says that there is no such page. 404 is Django REST framework's, 400 is
    WordPress's; after a full page, 400 may as well mean that the service goes no further."""
    http = active()
    answer = http.last_answer if http else None
    status = 0 if answer is None else answer.status_code
    return status == 404 or (status == 400 and may_be_last)
