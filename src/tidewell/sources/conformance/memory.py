"""How much a process grows that reads a table: measured in a fresh process of its own."""

import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import psutil

from tidewell.sources.protocol import Driver, Environment, ReadRequest, no_trace


@dataclass(frozen=True)
class Growth:
    """Rows and Arrow bytes that were read, and by how much the process grew meanwhile."""

    rows: int
    read_bytes: int
    grown_bytes: int


@dataclass(frozen=True)
class WholeTable:
    """A table to read, and the source that it is in."""

    values: Mapping[str, str]
    request: ReadRequest


def growth_of_reading(
    driver: Driver, environment: Environment, small: WholeTable, big: WholeTable
) -> Growth:
    """Read a whole table and keep nothing of it, after a small one has loaded every library."""
    # A spawned process has none of the memory that this one has already used and kept.
    context = multiprocessing.get_context("spawn")
    quiet = replace(environment, trace=no_trace)
    with ProcessPoolExecutor(1, mp_context=context) as processes:
        processes.submit(_read, driver, quiet, small).result()
        return processes.submit(_read, driver, quiet, big).result()


def _read(driver: Driver, environment: Environment, table: WholeTable) -> Growth:
    process = psutil.Process()
    rows = read_bytes = 0
    before = peak = process.memory_info().rss
    with driver.open(table.values, environment) as source:
        for batch in source.read(table.request).batches:
            rows += batch.num_rows
            read_bytes += batch.nbytes
            peak = max(peak, process.memory_info().rss)
    return Growth(rows, read_bytes, peak - before)
