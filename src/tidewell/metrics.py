"""What this process counts, for `/metrics`; what the state database knows is read when asked.

Labels are bounded: no account, no name, no address is one.
"""

from prometheus_client import CollectorRegistry, Counter, Histogram

REGISTRY = CollectorRegistry()

RUNS = Counter(
    "tidewell_runs", "Runs that ended in this process, by how.", ["state"], registry=REGISTRY
)
ROWS_READ = Counter("tidewell_rows_read", "Rows read from sources.", registry=REGISTRY)
ROWS_WRITTEN = Counter(
    "tidewell_rows_written", "Rows inserted, updated or deleted in caches.", registry=REGISTRY
)
BYTES_COPIED = Counter("tidewell_copied_bytes", "Bytes sent to caches.", registry=REGISTRY)
RUN_SECONDS = Histogram(
    "tidewell_run_seconds",
    "Seconds from the start of a run to its end.",
    buckets=(0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14_400),
    registry=REGISTRY,
)
REQUEST_SECONDS = Histogram(
    "tidewell_http_request_seconds",
    "Seconds that a request took, by its route.",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30),
    registry=REGISTRY,
)


def count_run(
    state: str, seconds: float, rows_read: int, rows_written: int, bytes_copied: int
) -> None:
    """A run has ended here, `seconds` after it started."""
    RUNS.labels(state).inc()
    ROWS_READ.inc(rows_read)
    ROWS_WRITTEN.inc(rows_written)
    BYTES_COPIED.inc(bytes_copied)
    RUN_SECONDS.observe(seconds)
