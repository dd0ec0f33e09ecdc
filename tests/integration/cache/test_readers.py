"""People build on a cached table, and read it while it is refreshed: they notice nothing."""

import threading
import time
from dataclasses import dataclass, field

import psycopg
import pyarrow as pa

from tests.integration.cache.conftest import CachedTable

REFRESHES = 200
ROWS = 400
_BUILT = """
    CREATE VIEW public.by_version AS
    SELECT version, count(*) AS rows FROM "My shop".orders GROUP BY version;
    CREATE MATERIALIZED VIEW public.kept AS SELECT id FROM "My shop".orders;
    CREATE INDEX by_name ON "My shop".orders (name);
    GRANT USAGE ON SCHEMA "My shop" TO PUBLIC;
    GRANT SELECT ON "My shop".orders TO PUBLIC;
    GRANT SELECT ON public.by_version TO PUBLIC;
    COMMENT ON COLUMN "My shop".orders.name IS 'as the customer calls it';
    CREATE TABLE public.note (id bigint REFERENCES "My shop".orders, text text);
    INSERT INTO public.note SELECT id, 'mine' FROM "My shop".orders WHERE id < 10;
"""


@dataclass(eq=False)
class Reader(threading.Thread):
    """Reads in a loop, and remembers what it should never see."""

    url: str
    question: str
    ended: threading.Event = field(default_factory=threading.Event)
    wrong: list[object] = field(default_factory=list)
    longest: float = 0.0
    reads: int = 0

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def run(self) -> None:
        try:
            with psycopg.connect(self.url, autocommit=True) as connection:
                while not self.ended.is_set():
                    started = time.monotonic()
                    found = connection.execute(self.question).fetchall()
                    self.longest = max(self.longest, time.monotonic() - started)
                    self.reads += 1
                    if len(found) != 1 or found[0][1] != ROWS:
                        self.wrong.append(found)
        except psycopg.Error as error:
            self.wrong.append(error)


def version_of(number: int) -> pa.Table:
    """Every version has as many rows; ten of them are others than in the version before."""
    first = 10 + 10 * (number % 7)
    ids = [*range(10), *range(first, first + ROWS - 10)]
    return pa.table(
        {"id": ids, "version": [number] * ROWS, "name": [f"n{one % 17}" for one in ids]}
    )


def test_readers_see_one_whole_version_through_two_hundred_refreshes(table: CachedTable) -> None:
    table.load(version_of(0), key=("id",))
    table.execute(_BUILT)
    readers = [
        Reader(table.database.url, 'SELECT min(version), count(*) FROM "My shop".orders'
                                   ' HAVING min(version) = max(version)'),
        Reader(table.database.url, "SELECT * FROM public.by_version"),
    ]  # fmt: skip
    for reader in readers:
        reader.start()
    for number in range(1, REFRESHES + 1):
        receipt = table.load(version_of(number), key=("id",))
        assert receipt.inserted == receipt.deleted
    for reader in readers:
        reader.ended.set()
        reader.join()
        print(f"{reader.reads} reads, the longest {reader.longest * 1000:.0f} ms")

    assert [reader.wrong for reader in readers] == [[], []]
    assert all(reader.reads > REFRESHES for reader in readers)
    with psycopg.connect(table.database.url) as connection:
        connection.execute("REFRESH MATERIALIZED VIEW public.kept")
        kept = connection.execute("""
            SELECT (SELECT rows FROM public.by_version),
                   (SELECT count(*) FROM public.kept),
                   to_regclass('"My shop".by_name') IS NOT NULL,
                   has_table_privilege('pg_read_all_settings', '"My shop".orders', 'SELECT'),
                   col_description('"My shop".orders'::regclass, 3),
                   (SELECT count(*) FROM public.note JOIN "My shop".orders USING (id))
        """).fetchone()
    assert kept == (ROWS, ROWS, True, True, "as the customer calls it", 10)
