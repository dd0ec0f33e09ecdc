"""The pages of an entity set, as the service cuts them or as we ask for them."""

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import orjson
import pyarrow as pa

from tidewell.errors import SourceBroken
from tidewell.sources.odata.client import AnswerTooLarge, Client
from tidewell.sources.odata.columnar import ColumnarReader
from tidewell.sources.odata.dialects import Dialect
from tidewell.sources.odata.literals import after, can_be_followed, key_of
from tidewell.sources.odata.metadata import EntitySet

Cutter = Literal["Auto", "Server", "Client"]


@dataclass(frozen=True)
class Wanted:
    """What is asked of an entity set; `select` is empty where all properties are."""

    entity_set: EntitySet
    select: tuple[str, ...]
    filter: str
    order: tuple[str, ...]
    limit: int | None


class Page:
    """One page: its rows as JSON objects."""

    def __init__(
        self,
        content: bytes,
        dialect: Dialect,
        rows: list[dict[str, Any]] | None = None,
        columnar: Callable[[], pa.RecordBatch | None] = lambda: None,
    ) -> None:
        self._content = content
        self._dialect = dialect
        self._rows = rows
        self._columnar = columnar

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows."""
        if self._rows is None:
            self._rows = self._dialect.open(orjson.loads(self._content)).rows
        return self._rows

    def columns(self) -> pa.RecordBatch | None:
        """The rows as columns already; None where they have to be taken one by one."""
        return self._columnar()

    def digit_by_digit(self) -> list[dict[str, Any]]:
        """The rows once more, with fractions as they are written: a service that writes decimals
        as numbers, although strings were asked for, would lose digits in binary floats."""
        return self._dialect.open(json.loads(self._content, parse_float=Digits)).rows


class Digits(float):
    """A number of JSON that still knows how it was written, for columns that are exact."""

    __slots__ = ("written",)
    written: str

    def __new__(cls, text: str) -> "Digits":
        """A float of the text."""
        made = super().__new__(cls, text)
        made.written = text
        return made

    def __str__(self) -> str:
        return self.written


@dataclass(frozen=True)
class _Step:
    """A page to ask for. In pages that we cut, `before` rows of the whole and `in_window` rows of
    this window came before it; `first` is the key with which the last window began."""

    url: str
    before: int = 0
    in_window: int = 0
    first: tuple[Any, ...] | None = None


class Pages:
    """Asks for an entity set page by page; while one is worked on, the next is on its way.

    Pages that the service cuts end where it gives no next link (OData 4.01 Protocol, 11.2.6.7).
    Pages that we cut go on after the last row's key, else by `$skip`, until one is empty: a
    service may give fewer rows than `$top` asks for, with or without a next link.
    """

    def __init__(
        self,
        client: Client,
        dialect: Dialect,
        cutter: Cutter,
        page_size: int,
        wanted: Wanted,
        columnar: ColumnarReader | None = None,
    ) -> None:
        self._client = client
        self._columnar = columnar
        self._dialect = dialect
        self._cutter = cutter
        self._page_size = page_size
        self._wanted = wanted
        parts = [one for one in wanted.entity_set.properties if one.key_position is not None]
        self._key = sorted(parts, key=lambda one: one.key_position or 0)
        names = tuple(one.name for one in self._key)
        in_order = wanted.order in ((), names[: len(wanted.order)])
        self._by_key = in_order and can_be_followed(self._key, dialect.version)

    def __iter__(self) -> Iterator[Page]:
        ours = self._cutter == "Client" or (
            self._cutter == "Auto" and self._dialect.version == "V2"
        )
        if ours:
            yield from self._walk(self._window(0, None, None), ours=True)
            return
        walk = self._walk(_Step(self._url(self._options(with_key=self._by_key))), ours=False)
        try:
            first = next(walk, None)
        except AnswerTooLarge:
            if self._cutter == "Server":
                raise
            # It took no notice of the page size and gives no next links: cut its pages ourselves.
            yield from self._walk(self._window(0, None, None), ours=True)
            return
        if first is not None:
            yield first
        yield from walk

    def _walk(self, start: _Step, *, ours: bool) -> Iterator[Page]:
        seen = {start.url}
        ask = self._ask_ours if ours else self._ask
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="odata-page") as ahead:
            coming = ahead.submit(ask, start)
            while True:
                page, following = coming.result()
                if following is not None:
                    if following.url in seen:
                        raise SourceBroken("The service's pages go round in a circle.")
                    seen.add(following.url)
                    coming = ahead.submit(ask, following)
                yield page
                if following is None:
                    return

    def _ask(self, step: _Step) -> tuple[Page, _Step | None]:
        page, link = self._page(step.url, self._columnar)
        return page, _Step(link) if link else None

    def _ask_ours(self, step: _Step) -> tuple[Page, _Step | None]:
        """A window is what one `$top` asks for; the service may cut it into pages of its own."""
        page, link = self._page(step.url)
        rows = page.rows
        before, in_window = step.before + len(rows), step.in_window + len(rows)
        first = step.first
        # Rows without a key may be the same by right.
        if self._key and rows and not step.in_window:
            first = key_of(self._key, rows[0])
            if first == step.first:
                raise SourceBroken(
                    "The service gives the same page again: it takes no notice of how we ask for "
                    "the next one. Set Paging to Server."
                )
        limit = self._wanted.limit
        if limit is not None and before >= limit:
            return page, None
        if link:
            return page, _Step(link, before, in_window, first)
        if not in_window:
            return page, None
        return page, self._window(before, rows[-1] if rows else None, first)

    def _window(
        self, before: int, last: dict[str, Any] | None, first: tuple[Any, ...] | None
    ) -> _Step:
        limit = self._wanted.limit
        top = self._page_size if limit is None else min(self._page_size, limit - before)
        options = self._options(with_key=True) | {"$top": str(top)}
        by_key = self._by_key and (last is not None or not before)
        order = self._wanted.order or tuple(one.name for one in self._key)
        if order:
            options["$orderby"] = ",".join(order if not by_key else [k.name for k in self._key])
        if by_key and last is not None:
            following = after(self._key, last, self._dialect.version)
            options["$filter"] = (
                f"({options['$filter']}) and ({following})" if self._wanted.filter else following
            )
        elif before:
            options["$skip"] = str(before)
        return _Step(self._url(options), before, 0, first)

    def _options(self, *, with_key: bool) -> dict[str, str]:
        wanted = self._wanted
        options = dict(self._dialect.options)
        if wanted.select:
            needed = [one.name for one in self._key if one.name not in wanted.select]
            options["$select"] = ",".join([*wanted.select, *(needed if with_key else [])])
        if wanted.filter:
            options["$filter"] = wanted.filter
        if wanted.order:
            options["$orderby"] = ",".join(wanted.order)
        if wanted.limit is not None:
            options["$top"] = str(wanted.limit)
        return options

    def _url(self, options: Mapping[str, str]) -> str:
        return self._client.url(self._wanted.entity_set.path, options)

    def _page(self, url: str, columnar: ColumnarReader | None = None) -> tuple[Page, str]:
        content = self._client.get(url, self._dialect.headers)
        found = columnar.read(content) if columnar else None
        if columnar is not None and found is not None:
            page = Page(content, self._dialect, columnar=partial(columnar.columns, found))
            return page, self._following(url, found.context, found.link)
        try:
            body = orjson.loads(content)
        except ValueError as error:
            raise SourceBroken("The service's answer is not JSON.") from error
        envelope = self._dialect.open(body)
        if columnar and all(isinstance(row, dict) for row in envelope.rows):
            columnar.learn(envelope.rows)
        following = self._following(url, envelope.context, envelope.link)
        return Page(content, self._dialect, envelope.rows), following

    def _following(self, url: str, context: str, link: str) -> str:
        return self._client.next_url(url, context, link) if link else ""
