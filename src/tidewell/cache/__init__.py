"""Where rows go: the cached tables in a customer's PostgreSQL.

A load is one transaction on the target: rows, watermark and counts stand there together or not at
all, and only the newest attempt of a job can commit (docs/architecture.md, "The way of the data").
What loads (`target`, `rangeload`) is not imported here: a worker and a ticker, whose runs load in
processes of their own, would be a third larger.
"""

from tidewell.cache.address import CacheAddress, test_address
from tidewell.cache.names import place
from tidewell.cache.settling import drop_cached_table, settle_attempt

__all__ = [
    "CacheAddress",
    "drop_cached_table",
    "place",
    "settle_attempt",
    "test_address",
]
