"""What every driver has to keep, whatever its source is."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from tidewell.egress import EgressRules
from tidewell.errors import SourceNotFound, Stopped
from tidewell.sources.conformance.expectations import (
    TEXTS,
    BigTable,
    Blocked,
    Expected,
    as_text,
    is_comparable,
)
from tidewell.sources.conformance.memory import Growth, WholeTable, growth_of_reading
from tidewell.sources.protocol import (
    Comparison,
    Driver,
    Environment,
    Operator,
    Reading,
    ReadRequest,
    Source,
)
from tidewell.sources.residual import apply_residual

OPERATORS: tuple[Operator, ...] = ("=", "<>", "<", "<=", ">", ">=")
TABLES = ("typed", "texts", "empty", "wide", "oddly_named", "paged")
LEAST_WIDE_COLUMNS = 100
LEAST_PAGED_ROWS = 2000
LARGEST_BATCH_ROWS = 65_536
MOST_EDGES = 6


class DriverConformance:
    """Subclass it and give each fixture that raises here; what is costly comes from a fixture of
    your module."""

    memory_bound = 192 * 2**20
    """Bytes by which a process may grow that reads a table of any size."""

    stop_seconds = 2.0
    """Seconds within which a blocked read ends when it is cancelled (contract §4)."""

    @pytest.fixture
    def driver(self) -> Driver:
        """The driver."""
        raise NotImplementedError

    @pytest.fixture
    def values(self) -> Mapping[str, str]:
        """Values of a connection to a source that works; defaults are filled in."""
        raise NotImplementedError

    @pytest.fixture
    def environment(self) -> Environment:
        """What the operator allows; addresses of this machine unless overridden."""
        return Environment(egress=EgressRules.parse("127.0.0.0/8 ::1"))

    @pytest.fixture
    def typed(self) -> Expected:
        """A column of each type that the source has; each column with and without a value."""
        raise NotImplementedError

    @pytest.fixture
    def texts(self) -> Expected:
        """A table with a column of strings that holds all of `TEXTS`."""
        raise NotImplementedError

    @pytest.fixture
    def empty(self) -> Expected:
        """A table without rows."""
        raise NotImplementedError

    @pytest.fixture
    def wide(self) -> Expected:
        """A table of many columns, `LEAST_WIDE_COLUMNS` or more."""
        raise NotImplementedError

    @pytest.fixture
    def oddly_named(self) -> Expected:
        """A table whose name, and whose columns' names, are as odd and long as the source allows:
        spaces, both kinds of quotes, words of SQL, letters outside of ASCII."""
        raise NotImplementedError

    @pytest.fixture
    def paged(self) -> Expected:
        """A table of `LEAST_PAGED_ROWS` or more and more than one page or batch, with a column in
        `moves_forward` in which many rows share each value, also across the edge of a page."""
        raise NotImplementedError

    @pytest.fixture
    def big(self) -> BigTable:
        """A table of at least twice `memory_bound` as Arrow; long strings make it cheap."""
        raise NotImplementedError

    @pytest.fixture
    def blocked(self) -> AbstractContextManager[Blocked]:
        """A source that hangs in the middle of a read, until the context ends."""
        raise NotImplementedError

    @pytest.fixture
    def opened(
        self, driver: Driver, values: Mapping[str, str], environment: Environment
    ) -> Callable[..., Source]:
        """Opens a source; `values` may be given, else those that work."""

        def opened(other: Mapping[str, str] | None = None, where: Environment = environment) -> Any:
            return driver.open(with_defaults(driver, other or values), where)

        return opened

    # What a driver says of itself

    def test_its_keys_explain_themselves(self, driver: Driver) -> None:
        assert driver.name
        names = [key.name.lower() for key in driver.keys]
        assert len(set(names)) == len(names), "keys have no case"
        assert all(key.help.strip() for key in driver.keys), "each key has one help text"
        for key in driver.keys:
            assert not key.choices or key.default in ("", *key.choices), key.name
            assert not (key.secret and key.default), f"{key.name}: a secret has no default"

    def test_a_working_source_passes_its_test(self, opened: Callable[..., Source]) -> None:
        with opened() as source:
            source.test()

    def test_closing_twice_is_closing(self, opened: Callable[..., Source]) -> None:
        source = opened()
        source.close()
        source.close()

    # Names

    @pytest.mark.parametrize("table", TABLES)
    def test_its_tables_are_listed(
        self, opened: Callable[..., Source], table: str, request: pytest.FixtureRequest
    ) -> None:
        expected: Expected = request.getfixturevalue(table)
        with opened() as source:
            assert expected.schema in source.schemas()
            listed = source.tables(expected.schema)
        assert expected.name in [one.name for one in listed]
        assert {one.schema for one in listed} == {expected.schema}

    def test_what_does_not_exist_is_said_with_near_names(
        self, opened: Callable[..., Source], paged: Expected
    ) -> None:
        with opened() as source:
            with pytest.raises(SourceNotFound) as table:
                source.columns(paged.schema, f"{paged.name}x")
            with pytest.raises(SourceNotFound):
                source.columns(f"{paged.schema}_no_such", paged.name)
            with pytest.raises(SourceNotFound) as column:
                rows_of(source.read(paged.request(columns=("no_such_column",))))
            condition = Comparison("no_such_column", "=", "1")
            with pytest.raises(SourceNotFound):
                rows_of(source.read(paged.request(where=(condition,))))
        assert paged.name in table.value.message, "a near name helps"
        assert "no_such_column" in column.value.message

    # Columns and rows

    @pytest.mark.parametrize("table", TABLES)
    def test_columns_have_their_types_and_keys(
        self, opened: Callable[..., Source], table: str, request: pytest.FixtureRequest
    ) -> None:
        expected: Expected = request.getfixturevalue(table)
        with opened() as source:
            columns = source.columns(expected.schema, expected.name)
            columns = [one for one in columns if not one.pseudo]
        assert {one.name: str(one.type) for one in columns} == {
            name: str(kind) for name, kind in expected.columns.items()
        }
        assert [one.name for one in columns] == list(expected.columns)
        parts = [one for one in columns if one.key_position is not None]
        parts.sort(key=lambda one: one.key_position or 0)
        assert tuple(one.name for one in parts) == expected.key
        forward = {one.name for one in columns if one.moves_forward}
        assert set(expected.moves_forward) <= forward

    @pytest.mark.parametrize("table", TABLES)
    def test_every_row_comes_once_and_unchanged(
        self, opened: Callable[..., Source], table: str, request: pytest.FixtureRequest
    ) -> None:
        expected: Expected = request.getfixturevalue(table)
        with opened() as source:
            reading = source.read(expected.request())
            assert reading.residual == ()
            assert {field.name: str(field.type) for field in reading.batches.schema} == {
                name: str(kind) for name, kind in expected.columns.items()
            }
            found = rows_of(reading)
        assert_same_rows(found, expected.rows)

    def test_null_is_told_from_every_value(self, typed: Expected) -> None:
        for name in set(typed.columns) - {*typed.key, *typed.never_null}:
            values = [row[name] for row in typed.rows]
            assert None in values, f"`typed` has to hold a NULL in {name}"
            assert any(value is not None for value in values), f"`typed` needs a value in {name}"

    def test_the_texts_are_all_there(self, texts: Expected) -> None:
        held = {value for row in texts.rows for value in row.values()}
        assert set(TEXTS) <= held, "`texts` has to hold each of TEXTS"

    def test_a_wide_table_is_wide(self, wide: Expected) -> None:
        assert len(wide.columns) >= LEAST_WIDE_COLUMNS
        assert wide.rows

    def test_columns_come_as_they_are_asked_for(
        self, opened: Callable[..., Source], paged: Expected, wide: Expected
    ) -> None:
        for table in (paged, wide):
            all_names = list(table.columns)
            for names in (tuple(reversed(all_names)), (all_names[-1],)):
                with opened() as source:
                    reading = source.read(table.request(columns=names))
                    assert tuple(reading.batches.schema.names) == names
                    found = rows_of(reading)
                assert_same_rows(found, [{n: row[n] for n in names} for row in table.rows])

    def test_rows_come_in_bounded_batches(
        self, opened: Callable[..., Source], paged: Expected
    ) -> None:
        assert len(paged.rows) >= LEAST_PAGED_ROWS
        with opened() as source:
            sizes = [batch.num_rows for batch in source.read(paged.request()).batches]
        assert max(sizes) <= LARGEST_BATCH_ROWS
        assert sum(sizes) == len(paged.rows)

    def test_a_source_is_read_again_and_beside_another(
        self, opened: Callable[..., Source], paged: Expected
    ) -> None:
        with opened() as first, opened() as second:
            begun = iter(first.read(paged.request()).batches)
            next(begun)
            assert_same_rows(rows_of(second.read(paged.request())), paged.rows)
            list(begun)
            assert_same_rows(rows_of(first.read(paged.request())), paged.rows)

    # Pushdown: told, and honoured

    def test_a_condition_gives_the_rows_it_says(
        self, opened: Callable[..., Source], typed: Expected
    ) -> None:
        with opened() as source:
            everything = table_of(source.read(typed.request()))
            named = [c for c in source.columns(typed.schema, typed.name) if not c.pseudo]
            columns = [c for c in named if is_comparable(c)]
            for column in columns:
                values = {row[column.name] for row in typed.rows} - {None}
                for value in sorted(values)[:3]:
                    for operator in OPERATORS:
                        text = as_text(value, column.type)
                        condition = Comparison(column.name, operator, text)
                        found = rows_of(source.read(typed.request(where=(condition,))))
                        expected = filtered(everything, [condition])
                        assert_same_rows(found, expected, f"{condition}")

    def test_conditions_are_joined_by_and(
        self, opened: Callable[..., Source], paged: Expected
    ) -> None:
        time_column = paged.moves_forward[0]
        kind = paged.columns[time_column]
        edges = edges_of(paged)
        where = (
            Comparison(time_column, ">", as_text(edges[0], kind)),
            Comparison(time_column, "<", as_text(edges[-1], kind)),
        )
        with opened() as source:
            found = rows_of(source.read(paged.request(where=where)))
        expected = [row for row in paged.rows if edges[0] < row[time_column] < edges[-1]]
        assert_same_rows(found, expected)

    def test_equal_timestamps_at_the_edge_are_all_read(
        self, opened: Callable[..., Source], paged: Expected
    ) -> None:
        time_column = paged.moves_forward[0]
        kind = paged.columns[time_column]
        shared = Counter(row[time_column] for row in paged.rows)
        assert max(shared.values()) > 1, "`paged` needs rows that share a time"
        for edge in edges_of(paged):
            for operator in (">=", "="):
                condition = Comparison(time_column, operator, as_text(edge, kind))
                with opened() as source:
                    found = rows_of(source.read(paged.request(where=(condition,))))
                expected = [
                    row
                    for row in paged.rows
                    if (row[time_column] == edge or (operator == ">=" and row[time_column] > edge))
                ]
                assert_same_rows(found, expected, f"{condition}")

    def test_order_and_limit_are_kept_where_the_reading_says_so(
        self, opened: Callable[..., Source], paged: Expected
    ) -> None:
        order = paged.key or (next(iter(paged.columns)),)
        wanted = len(paged.rows) // 2 + 1
        with opened() as source:
            ordered = source.read(paged.request(order=order))
            found = [tuple(row[name] for name in order) for row in rows_of(ordered)]
            assert len(found) == len(paged.rows)
            if ordered.ordered:
                assert found == sorted(found)
            limited = source.read(paged.request(limit=wanted))
            count = len(rows_of(limited))
            assert count == wanted if limited.limited else count >= wanted
            both = source.read(paged.request(order=order, limit=wanted))
            found = [tuple(row[name] for name in order) for row in rows_of(both)]
            if both.limited:
                assert both.ordered, "the first rows of an order that is not kept are no answer"
                assert found == sorted(tuple(row[n] for n in order) for row in paged.rows)[:wanted]

    def test_a_limit_never_hides_a_row_that_a_condition_wants(
        self, opened: Callable[..., Source], paged: Expected, typed: Expected
    ) -> None:
        with opened() as source:
            for table in (paged, typed):
                for column in source.columns(table.schema, table.name):
                    if column.pseudo or not is_comparable(column):
                        continue
                    values = [row[column.name] for row in table.rows]
                    if values[-1] is None:
                        continue
                    where = (Comparison(column.name, "=", as_text(values[-1], column.type)),)
                    reading = source.read(table.request(where=where, limit=1))
                    assert not (reading.limited and reading.residual)
                    assert rows_of(reading), f"{where}: the row was cut off before the condition"

    # Ends

    def test_a_blocked_read_ends_when_it_is_cancelled(
        self,
        driver: Driver,
        environment: Environment,
        blocked: AbstractContextManager[Blocked],
    ) -> None:
        with blocked as hanging:
            source = driver.open(with_defaults(driver, hanging.values), environment)
            ended = Outcome(lambda: rows_of(source.read(hanging.request)))
            hanging.wait()
            started = time.monotonic()
            source.cancel()
            error = ended.error(within=self.stop_seconds)
            assert time.monotonic() - started < self.stop_seconds
            assert isinstance(error, Stopped), repr(error)
            source.close()

    def test_a_cancelled_read_gives_no_more_rows(
        self, opened: Callable[..., Source], paged: Expected
    ) -> None:
        with opened() as source:
            batches = iter(source.read(paged.request()).batches)
            next(batches)
            source.cancel()
            with pytest.raises(Stopped):
                list(batches)

    def test_a_read_may_be_left_in_the_middle(
        self, opened: Callable[..., Source], paged: Expected
    ) -> None:
        source = opened()
        batches = iter(source.read(paged.request()).batches)
        next(batches)
        source.close()

    def test_memory_is_bounded_by_the_batch(
        self,
        driver: Driver,
        values: Mapping[str, str],
        environment: Environment,
        paged: Expected,
        big: BigTable,
    ) -> None:
        growth: Growth = growth_of_reading(
            driver,
            environment,
            small=WholeTable(with_defaults(driver, values), paged.request()),
            big=WholeTable(
                with_defaults(driver, big.values or values), ReadRequest(big.schema, big.name)
            ),
        )
        assert growth.rows == big.rows
        assert growth.read_bytes >= 2 * self.memory_bound, "`big` is too small to show anything"
        assert growth.grown_bytes <= self.memory_bound, f"grew by {growth.grown_bytes >> 20} MiB"


class Outcome:
    """Does something in a thread of its own, and tells how it ended."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], Any]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test judges it
            self._error = error

    def error(self, within: float) -> BaseException | None:
        """How it ended; fails when it has not, after so many seconds."""
        self._thread.join(within)
        assert not self._thread.is_alive(), f"it goes on after {within} s"
        return self._error


def with_defaults(driver: Driver, values: Mapping[str, str]) -> dict[str, str]:
    """The values with the defaults of the keys that are not given, as `strings.parse` does."""
    return {key.name: key.default for key in driver.keys if key.default} | dict(values)


def table_of(reading: Reading) -> pa.Table:
    """Everything that a read gives, after what it did not push down has been applied."""
    schema = reading.batches.schema
    batches = [apply_residual(batch, reading.residual) for batch in reading.batches]
    return pa.Table.from_batches(batches, schema=schema)


def rows_of(reading: Reading) -> list[dict[str, Any]]:
    """The same as rows of Python."""
    rows: list[dict[str, Any]] = table_of(reading).to_pylist()
    return rows


def filtered(table: pa.Table, where: Sequence[Comparison]) -> list[dict[str, Any]]:
    """The rows of a table for which all conditions are true."""
    return [row for batch in table.to_batches() for row in apply_residual(batch, where).to_pylist()]


def assert_same_rows(
    found: Iterable[Mapping[str, Any]], expected: Iterable[Mapping[str, Any]], of: str = ""
) -> None:
    """Both hold the same rows the same number of times, in any order."""
    ours, theirs = _counted(found), _counted(expected)
    missing, added = list((theirs - ours).elements()), list((ours - theirs).elements())
    told = f"{of} missing {len(missing)}: {missing[:2]}; not expected {len(added)}: {added[:2]}"
    assert not missing, told
    assert not added, told


def edges_of(table: Expected) -> list[Any]:
    """Some of the times of a table, the first and the last among them."""
    times = sorted({row[table.moves_forward[0]] for row in table.rows} - {None})
    step = max(1, len(times) // MOST_EDGES)
    return [*times[:-1:step], times[-1]]


def _counted(rows: Iterable[Mapping[str, Any]]) -> Counter[str]:
    return Counter(
        repr(sorted((name, _plain(value)) for name, value in row.items())) for row in rows
    )


def _plain(value: Any) -> Any:
    """A moment is the same in whatever way its zone is written."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat()
    return value
