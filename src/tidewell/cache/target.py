"""The target of a load: one session on a customer's PostgreSQL, under the fence of its attempt."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, replace
from datetime import datetime
from functools import cache
from typing import Any, Self
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from tidewell.cache import shape, untouched
from tidewell.cache.address import CacheAddress, Connection, connect, explained
from tidewell.cache.alter import Trace
from tidewell.cache.bookkeeping import BOOKS, make_bookkeeping, stored_receipt
from tidewell.cache.hidden import drop_left, drop_left_now, hidden_prefix, may_hide
from tidewell.cache.load import Batches, Load
from tidewell.cache.plan import (
    CacheColumn,
    Fence,
    LoadPlan,
    Place,
    Receipt,
    Standing,
    TypeChange,
)
from tidewell.cache.ranges import Loaded, make_hidden
from tidewell.cache.sessions import SESSIONS
from tidewell.cache.settling import settle_attempt
from tidewell.errors import CacheConflict, CacheError, CacheUnavailable, FencedOut, Stopped
from tidewell.failpoint import reached
from tidewell.state.statements import statements

_SQL = statements("tidewell.cache", "table.sql")
_CANCEL_SECONDS = 1.0
_TABLES = ("r", "p")


class CacheTarget:
    """Loads one cached table. Not shared between threads, except for `cancel`."""

    def __init__(
        self,
        connection: Connection,
        address: CacheAddress,
        fence: Fence,
        place: Place,
        trace: Trace,
    ) -> None:
        self._connection = connection
        self._address = address
        self._fence = fence
        self._place = place
        self._trace = trace
        self._cancelled = threading.Event()
        self._cancelling = threading.Lock()
        self._is_over = False
        self._is_sampled = False
        self._is_anew = False
        self._kept: Sequence[Any] = (None, None)
        """The version of the source that the table held last, when it was read, and how the table
        was left."""

    @classmethod
    def connect(cls, address: CacheAddress, fence: Fence, place: Place, *, trace: Trace) -> Self:
        """Open the session. Raises CacheError."""
        connection = SESSIONS.begin(address, fence.session_name)
        return cls(connection, address, fence, place, trace)

    @property
    def backend_pid(self) -> int:
        """The server's process for this session."""
        return self._connection.info.backend_pid

    def cancel(self) -> None:
        """End what the server does for us, from another thread; the load then raises Stopped."""
        self._cancelled.set()
        with self._cancelling, suppress(psycopg.Error, OSError):
            if not self._is_over:  # else it would be the next run that ends
                self._connection.cancel_safe(timeout=_CANCEL_SECONDS)

    def close(self, *, whole: bool = False) -> None:
        """Let the session go; what was not committed is gone. `whole`: all went well."""
        with self._cancelling:
            self._is_over = True
            # A cancellation may arrive late, and would meet the next run.
            whole = whole and not self._cancelled.is_set()
        SESSIONS.end(self._address, self._connection, whole=whole)

    def standing(self) -> Standing:
        """Take over the fence, end older attempts, and tell what the last load left.

        Raises:
            FencedOut: a newer attempt has taken over.
            CacheConflict: another job, or a table that Tidewell did not make, is in the place.
        """
        with self._errors():
            make_bookkeeping(self._connection)
            # Before the fence: an older attempt may hold it, and wait for somebody who never comes.
            self._connection.execute(
                BOOKS["end_sessions"],
                {"job_id": self._fence.job_id, "attempt": self._fence.attempt - 1},
            )
            self._connection.commit()
            row = self._connection.execute(
                BOOKS["register"],
                {"job_id": self._fence.job_id, "attempt": self._fence.attempt},
            ).fetchone()
            if row is None:
                raise FencedOut
            schema, table, run_id, watermark, time_column, key, loads, receipt = row
            kind, owner, is_left, *self._kept = self._what_stands()
            self._connection.commit()
            if is_left:
                drop_left_now(self._connection, self._fence.job_id, self._fence.attempt)
                self._connection.commit()
        is_ours = (schema, table) == (self._place.schema, self._place.table)
        self._check_place(kind, owner, ours=is_ours)
        if run_id == self._fence.run_id:
            return Standing(exists=True, committed=stored_receipt(receipt))
        if kind is None or (schema, table) != (self._place.schema, self._place.table):
            return Standing()
        return Standing(
            exists=True,
            watermark=watermark,
            time_column=time_column,
            key=tuple(key or ()),
            loads_since_full=loads,
        )

    def _what_stands(self) -> tuple[Any, ...]:
        prefix = hidden_prefix(self._fence.job_id)
        asked = self._place.names | {"job_id": self._fence.job_id, "prefix": prefix}
        return self._connection.execute(BOOKS["place"], asked).fetchone() or (None,) * 9

    def type_changes(self, columns: Sequence[CacheColumn]) -> tuple[TypeChange, ...]:
        """Columns whose cached values no type holds together with those of a load to come."""
        with self._errors():
            found = shape.differences(
                self._connection,
                self._place,
                shape.look(self._connection, self._place),
                list(shape.loaded_columns(columns).values()),
            )
            self._connection.commit()
        return found.changed

    def load(
        self,
        plan: LoadPlan,
        batches: Batches,
        *,
        keys: Callable[[], Batches] | None = None,
        fresh: Callable[[], int] = lambda: 0,
        watermark: Callable[[], str | None],
        version: Callable[[], str | None] | None = None,
        progress: Callable[[int, int], None],
        committing: Callable[[], None] = lambda: None,
    ) -> Receipt:
        """Load the batches in one transaction: rows, watermark and counts, or nothing.

        `keys`, for an increment, gives the merge keys that the source still has: rows of other
        keys are deleted. Asked once, when all batches have been read: `watermark`, `fresh` (rows
        after the last watermark, which are all new or changed) and `version` (of the source, see
        `unchanged`). `progress` is told rows and bytes, and `committing` that the COMMIT is next.
        Raises a CacheError, FencedOut or Stopped; the table is then as it was.
        """
        watermark, version = cache(watermark), cache(version) if version else None

        def ask() -> None:
            watermark()
            if version:
                version()

        where = (self._connection, self._fence, self._place, self._trace)
        load = Load(*where, plan, progress, ask)
        with closing(load), self._errors():
            receipt = load.run(batches, keys, fresh)
            receipt = replace(receipt, watermark=watermark())
            self._note_commit(plan, receipt, load)
            self._keep_version(version, receipt, load)
            committing()
            self._commit()
        self._is_sampled, self._is_anew = load.is_sampled, load.is_anew
        return receipt

    def unchanged(self, version: Callable[[], str | None]) -> datetime | None:
        """When a full load has read this version of the source, if the table is as it left it.

        None where that cannot be proved: then the source has to be read. `version` is asked only
        where `standing` has found that one is known of that load.
        """
        kept, read_at, *left_so = self._kept
        if kept is None or kept != version():
            return None
        with self._errors():
            left = untouched.Left(*left_so)
            same = untouched.is_untouched(self._connection, self._place, left)
        return read_at if same else None

    def commit_unchanged(
        self, receipt: Receipt, committing: Callable[[], None] = lambda: None
    ) -> None:
        """End a run that had nothing to load. Raises as `load` does."""
        with self._errors():
            told = self._connection.execute(
                BOOKS["commit_unchanged"], self._ours() | {"receipt": Jsonb(asdict(receipt))}
            )
            if not told.rowcount:
                raise FencedOut
            committing()
            self._commit()

    def may_load_in_ranges(self) -> bool:
        """Whether nothing stands at the place, and a hidden table can be made."""
        with self._errors():
            kind = shape.relation_kind(self._connection, self._place)
            found = kind is None and may_hide(self._connection)
            self._connection.commit()
        return found

    def load_in_ranges(
        self,
        plan: LoadPlan,
        fill: Callable[[], Sequence[Loaded]],
        *,
        watermark: Callable[[], str | None],
        progress: Callable[[int, int], None],
        committing: Callable[[], None] = lambda: None,
    ) -> Receipt:
        """Load a table where nothing stands yet, by others: `fill` has RangeLoads fill the hidden
        table of this attempt, and tells what each of them has committed there.

        The rest is as in `load`: one transaction brings the table with its watermark and counts.
        """
        load = Load(self._connection, self._fence, self._place, self._trace, plan, progress)
        with self._errors(), self._nothing_left():
            self._hold()
            load.rehearse()
            columns = list(load.columns.values())
            hidden = make_hidden(self._connection, self._fence, columns, self._trace)
            self._connection.commit()
            reached("before ranges")
            loaded = fill()
            reached("after ranges")
            if self._cancelled.is_set():  # nothing was at work that could have been cancelled
                raise Stopped
            receipt = replace(load.finish(hidden, loaded), watermark=watermark())
            self._note_commit(plan, receipt, load)
            committing()
            self._commit()
        self._is_sampled = load.is_sampled
        return receipt

    @contextmanager
    def _nothing_left(self) -> Iterator[None]:
        """Drop the hidden table where its load does not come to its end."""
        try:
            yield
        except BaseException:
            # In a session of its own: this one may be lost, or hold the table.
            self._connection.close()
            with (
                suppress(CacheError, psycopg.Error),
                connect(self._address, self._fence.session_name) as again,
            ):
                drop_left(again, self._fence.job_id, self._fence.attempt)
            raise

    def upkeep(self) -> None:
        """Give a loaded table its usual statistics, and drop the one whose place it took, in a
        session of its own.

        For after the answer: nobody waits for that, and nothing is lost without it. So nothing is
        raised: the load's own small sample then stands until autovacuum comes, and the next run
        drops the table.
        """
        if not self._is_sampled:
            return
        table = sql.Identifier(self._place.schema, self._place.table)
        with (
            suppress(CacheError, psycopg.Error),
            connect(self._address, self._fence.session_name) as again,
        ):
            if self._is_anew:
                drop_left_now(again, self._fence.job_id, self._fence.attempt)
                again.commit()
            again.execute(sql.SQL(_SQL["analyze"]).format(table=table))

    def _check_place(self, kind: str | None, owner: UUID | None, *, ours: bool) -> None:
        where = f"{self._place.schema}.{self._place.table}"
        if owner:
            raise CacheConflict(
                f"The table {where} of the cache belongs to the job {owner}: give cacheSchema "
                "or cacheTable to put this job's table elsewhere."
            )
        if kind is not None and (not ours or kind not in _TABLES):
            raise CacheConflict(
                f"Something that Tidewell did not make stands at {where} of the cache: rename it, "
                "or give cacheSchema or cacheTable to put this job's table elsewhere."
            )

    def _keep_version(
        self, version: Callable[[], str | None] | None, receipt: Receipt, load: Load
    ) -> None:
        left = load.left() if version else None
        told = version() if version and left else None
        if left and told is not None:
            self._connection.execute(
                BOOKS["keep_version"], self._ours() | asdict(left) | {"version": told}
            )
        elif receipt.rows_affected:
            self._connection.execute(BOOKS["forget_version"], self._ours())

    def _hold(self) -> Place | None:
        """Hold the fence to the end; where the last load put the table. Raises FencedOut."""
        held = self._connection.execute(BOOKS["hold"], {"job_id": self._fence.job_id}).fetchone()
        if held is None or held[0] != self._fence.attempt:
            raise FencedOut
        return Place(held[1], held[2]) if held[1] else None

    def _ours(self) -> dict[str, Any]:
        one = self._fence
        return {"job_id": one.job_id, "attempt": one.attempt, "run_id": one.run_id}

    def _note_commit(self, plan: LoadPlan, receipt: Receipt, load: Load) -> None:
        old = self._hold()
        if old and old != self._place:
            self._connection.execute(
                sql.SQL(_SQL["drop_table"]).format(table=sql.Identifier(old.schema, old.table))
            )
        self._connection.execute(
            BOOKS["commit_load"],
            self._ours()
            | {
                "schema": self._place.schema,
                "table": self._place.table,
                "made_schema": load.made_schema,
                "watermark": receipt.watermark,
                "time_column": plan.time_column,
                "key": list(plan.key),
                "columns": [column.name for column in load.columns.values()],
                "mode": plan.mode,
                "receipt": Jsonb(asdict(receipt)),
            },
        )

    def _commit(self) -> None:
        """Commit; when the answer is lost, ask the server what happened."""
        reached("before COMMIT")
        try:
            self._connection.commit()
            reached("after COMMIT")
        except psycopg.OperationalError as error:
            if self._cancelled.is_set() or not self._connection.closed:
                raise
            self._trace(1, "The connection was lost at the commit; asking the cache what happened.")
            if not self._has_committed():
                raise CacheUnavailable(
                    "The connection to the cache was lost before the commit; nothing was written."
                ) from error

    def _has_committed(self) -> bool:
        return settle_attempt(self._address, self._fence) is not None

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            if self._cancelled.is_set():
                raise Stopped from error
            if isinstance(error, psycopg.errors.AdminShutdown) and self._is_fenced_out():
                raise FencedOut from error
            raise explained(error, self._address) from error

    def _is_fenced_out(self) -> bool:
        with suppress(CacheError, psycopg.Error), connect(self._address) as again:
            row = again.execute(BOOKS["hold"], {"job_id": self._fence.job_id}).fetchone()
            return row is None or row[0] > self._fence.attempt
        return False
