"""The router: a statement goes where its tables are.

All cached: the whole statement to the customer's PostgreSQL. Otherwise to DuckDB, over readers of
the sources and, for what is cached, of the cache.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import pyarrow as pa
from sqlglot import exp

from tidewell.cache.address import CacheAddress
from tidewell.cache.plan import Place
from tidewell.errors import CacheUnavailable, QueryFailed, SourceUnavailable, Stopped
from tidewell.query.binding import Bound, Output, Use, bind, written_table
from tidewell.query.cached import CacheSession, StoredColumns
from tidewell.query.cached import statement_of as cached_statement
from tidewell.query.cachedreader import CachedTable
from tidewell.query.live import LiveSession, SourceTable, Table, computable
from tidewell.query.livetext import statement_of as live_statement
from tidewell.query.naming import Catalog, Connected, Copy, Named
from tidewell.query.placeholders import put_parameters, type_parameters
from tidewell.query.plans import PLANS, Plan, key_of
from tidewell.query.pushdown import Pushed, joins_several, pushable
from tidewell.query.reading import Statement, parsed_statement, read, with_place
from tidewell.query.result import Result, ResultColumn, Row
from tidewell.query.writing import bind_write, connections_of, is_writing
from tidewell.sources.protocol import (
    Column,
    FileScan,
    ReadRequest,
    ScannableSource,
    Source,
)


@dataclass(frozen=True)
class Limits:
    """What one query may use. `memory` as DuckDB writes it; `spill` a folder for what is more."""

    seconds: float = 60.0
    memory: str = "1GB"
    threads: int = 2
    spill: str = ""


@dataclass(frozen=True)
class Answer:
    """A result, and what is told beside it: which drivers took part, how old the oldest copy is."""

    result: Result
    drivers: tuple[str, ...]
    refreshed_at: datetime | None
    """When the oldest cached table that was used was refreshed; None: none was used."""


class Engine:
    """Runs statements of one account. Not shared between threads, except for `cancel`."""

    def __init__(
        self,
        connections: Sequence[Connected],
        copies: Sequence[Copy],
        cache: CacheAddress | None,
        limits: Limits,
        *,
        default_catalog: str = "",
        default_schema: str = "",
        world: bytes = b"",
    ) -> None:
        """`world`: a digest of what the names of a statement may lead to (`plans.world_of`)."""
        self._connections = {one.id: one for one in connections}
        self._cache = cache
        self._limits = limits
        self._world = world
        self._sessions: list[CacheSession | LiveSession] = []
        self._sources: dict[Any, Source] = {}
        self._cancelled = False
        self._copies = copies if cache else []
        self._copies_known: dict[Place, StoredColumns] = {}
        self._mentioned: set[str] = set()
        self.connections = [self._opened_once(one) for one in connections]
        self.catalog = Catalog(
            self.connections,
            self._copies,
            self._columns_of_copy,
            default_catalog,
            default_schema,
        )

    def bind(self, text: str) -> tuple[Statement, Bound]:
        """Read a statement and find its tables and columns. Raises QueryFailed with the place."""
        statement = read(text)
        return statement, self._bound(statement)

    def run(self, text: str, parameters: Mapping[str, Any], *, schema_only: bool = False) -> Answer:
        """Run a statement. Raises QueryFailed, a SourceError, a CacheError or Stopped."""
        key = key_of(self._world, text, parameters)
        kept = PLANS.get(key)
        plan = self._as_of_now(kept) if kept else None
        if plan is None:
            plan = self._planned(read(text), parameters)
            PLANS.put(key, plan)
        try:
            return self._run(plan, parameters, schema_only=schema_only)
        except QueryFailed as error:
            raise with_place(error, text) from error

    def run_read(
        self, statement: Statement, parameters: Mapping[str, Any], *, schema_only: bool = False
    ) -> Answer:
        """Run a statement that has been read. Raises as `run` does."""
        return self._run(self._planned(statement, parameters), parameters, schema_only=schema_only)

    def _run(self, plan: Plan, parameters: Mapping[str, Any], *, schema_only: bool) -> Answer:
        if self._cancelled:
            raise Stopped
        values = plan.values(parameters)
        pushed = {key: one.with_values(parameters) for key, one in plan.pushable.items()}
        if plan.explain:
            return self._answer(plan, self._explained(plan, pushed, values))
        if plan.cached:
            result = self._cache_session().run(plan, values, schema_only=schema_only)
        else:
            scans = {
                use.key: scan for use in plan.uses if (scan := self._scan(use, pushed[use.key]))
            }
            session = LiveSession(
                memory=self._limits.memory,
                threads=self._limits.threads,
                spill=self._limits.spill,
                scans=scans,
                world=self._world,
            )
            self._sessions.append(session)
            tables = {
                use.key: self._table(use, pushed[use.key])
                for use in plan.uses
                if use.key not in scans
            }
            result = session.run(plan, tables, values, schema_only=schema_only)
        return self._answer(plan, result)

    def describe(self, text: str) -> dict[str, Any]:
        """What a scheduled query does: whether it writes, over which connections, which columns.

        The connections are those that the names lead to, so they are known before anything is
        opened; `plain` says that each stands there in full and as it is spelled. Where a source
        does not answer, or is cancelled, `columns` is None.
        """
        statement = parsed_statement(text)
        writes = is_writing(statement)
        selected = None if writes else read(text)
        used, plain = self._named(selected.query if selected else statement)
        columns = None
        try:
            if selected is None:
                used |= connections_of(bind_write(statement, self.catalog), self.catalog)
            else:
                bound = self._bound(selected)
                used |= {use.named.connection_id for use in bound.uses}
                columns = [output.label for output in bound.outputs]
        except (SourceUnavailable, CacheUnavailable, Stopped):
            pass
        connections = sorted(map(str, used))
        return {"writes": writes, "connections": connections, "plain": plain, "columns": columns}

    def cancel(self) -> None:
        """End what runs, from another thread; it then raises Stopped."""
        self._cancelled = True
        for session in list(self._sessions):
            session.cancel()
        for source in list(self._sources.values()):
            source.cancel()

    def close(self) -> None:
        """Close everything that was opened."""
        for session in self._sessions:
            session.close()
        for source in self._sources.values():
            source.close()

    def _named(self, statement: exp.Expr) -> tuple[set[UUID], bool]:
        """The connections whose tables a statement names, without a look at any of them; and
        whether each is named in full and as it is spelled, so that it is the same one among more
        connections."""
        found: list[Connected] = []

        def away(one: Connected) -> Connected:
            def opened() -> Source:
                found.append(one)
                raise SourceUnavailable

            return replace(one, open=opened)

        catalog = Catalog([away(one) for one in self.connections], (), self._columns_of_copy)
        own = {one.alias.casefold() for one in statement.find_all(exp.CTE)}
        plain = True
        for table in statement.find_all(exp.Table):
            is_own = not table.db and table.name.casefold() in own
            if is_own or not isinstance(table.this, exp.Identifier):
                continue
            with suppress(SourceUnavailable):
                catalog.find(table, live=True)
            plain = plain and table.catalog == found[-1].name
        return {one.id for one in found}, plain

    def _bound(self, statement: Statement) -> Bound:
        self._mentioned = {table.name.casefold() for table in statement.query.find_all(exp.Table)}
        return bind(statement.query, self.catalog)

    def _planned(self, statement: Statement, parameters: Mapping[str, Any]) -> Plan:
        type_parameters(statement.query, parameters)
        bound = self._bound(statement)
        cached = bool(bound.uses) and all(use.named.copy for use in bound.uses)
        # A statement that runs in the cache as a whole has nothing to push down but itself.
        pushed = {} if cached and not statement.explain else pushable(bound)
        order = put_parameters(bound.query, parameters)
        text = cached_statement(bound) if cached else live_statement(bound)
        joins = joins_several(bound)
        return Plan(text, order, bound.uses, bound.outputs, pushed, statement.explain, joins)

    def _as_of_now(self, plan: Plan) -> Plan | None:
        """A plan that was kept, where its names mean what they did; None: it has to be made anew.

        What is wrong with a name is then said with its place.
        """
        self._mentioned = {use.written[-1].casefold() for use in plan.uses}
        try:
            return plan.over([self.catalog.find(written_table(use)) for use in plan.uses])
        except QueryFailed:
            return None

    def _answer(self, plan: Plan, result: Result) -> Answer:
        used = {use.named.connection_id for use in plan.uses}
        drivers = {self._connections[one].driver for one in used}
        times = [use.named.copy.refreshed_at for use in plan.uses if use.named.copy]
        return Answer(result, tuple(sorted(drivers)), min(times, default=None))

    def _scan(self, use: Use, pushed: Pushed) -> FileScan | None:
        """A table that DuckDB reads by itself; the source stays open for it."""
        source = self._sources.get(use.named.connection_id)
        if use.named.copy is not None or not isinstance(source, ScannableSource):
            return None
        return source.scan(use.named.schema, use.named.table, pushed.columns)

    def _table(self, use: Use, pushed: Pushed) -> Table:
        columns = [one for one in use.named.columns if use.named.stored_name(one) in pushed.columns]
        request = ReadRequest(
            use.named.schema, use.named.table, pushed.columns, pushed.where, limit=pushed.limit
        )
        if use.named.copy is None:
            opened = self._connections[use.named.connection_id]
            return SourceTable(opened.open, request, columns)
        if self._cache is None:
            raise QueryFailed("The account has no cache connection any more.")
        fields = [pa.field(use.named.stored_name(one), computable(one.type)) for one in columns]
        return CachedTable(
            self._cache, use.named.copy.place, request, pa.schema(fields), self._limits.seconds
        )

    def _explained(
        self,
        plan: Plan,
        pushed: Mapping[str, Pushed],
        values: Sequence[Any],
    ) -> Result:
        """A row for each use of a table: where it is read, as of when, and what is pushed there."""
        rows: list[Row] = []
        cached = plan.cached
        for use in plan.uses:
            part = pushed[use.key]
            where = " AND ".join(f"{one.column} {one.operator} {one.value}" for one in part.where)
            rows.append(
                (
                    use.named.full_name,
                    _read_from(use.named),
                    use.named.copy.refreshed_at if use.named.copy else None,
                    ", ".join(part.columns),
                    "the whole statement" if cached else where,
                    None if cached else part.limit,
                )
            )
        if cached:
            rows += [
                ("", "plan", None, "", line, None)
                for line in self._cache_session().explained(plan, values)
            ]
        columns = (
            ("TABLE", pa.string()),
            ("READ_FROM", pa.string()),
            ("REFRESHED_AT", pa.timestamp("us", "UTC")),
            ("COLUMNS", pa.string()),
            ("PUSHED_DOWN", pa.string()),
            ("LIMIT", pa.int64()),
        )
        return Result(
            tuple(ResultColumn(Output(label), kind) for label, kind in columns), iter([rows])
        )

    def _cache_session(self) -> CacheSession:
        for session in self._sessions:
            if isinstance(session, CacheSession):
                return session
        if self._cache is None:
            raise QueryFailed("The account has no cache connection any more.")
        opened = CacheSession(self._cache, self._limits.seconds)
        self._sessions.append(opened)
        return opened

    def _columns_of_copy(self, copy: Copy) -> tuple[tuple[Column, ...], Mapping[str, str]]:
        """The columns of a cached table; those of all that the statement names are asked for at
        once."""
        if copy.place not in self._copies_known:
            places = [one.place for one in self._copies if one.table.casefold() in self._mentioned]
            asked = dict.fromkeys([copy.place, *places])
            self._copies_known |= self._cache_session().columns(list(asked))
        found = self._copies_known.get(copy.place)
        if found is None:
            raise QueryFailed(
                f"The cached table {copy.place.schema}.{copy.place.table} is not in the cache any "
                "more: run its job again."
            )
        return found.columns, found.stored

    def _opened_once(self, one: Connected) -> Connected:
        """A connection that is opened once for all questions about its tables."""

        def opened() -> Source:
            if not one.driver:
                raise SourceUnavailable  # it came by its name alone
            if one.id not in self._sources:
                self._sources[one.id] = one.open()
            return self._sources[one.id]

        return replace(one, open=opened)


def _read_from(named: Named) -> str:
    if named.copy is None:
        return "source"
    return f"cache: {named.copy.place.schema}.{named.copy.place.table}"
