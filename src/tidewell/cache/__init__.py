"""Where rows go: the cached tables in a customer's PostgreSQL.

A load is one transaction on the target: rows, watermark and counts stand there together or not at
all, and only the newest attempt of a job can commit (docs/architecture.md, "The way of the data").
"""

from tidewell.cache.address import CacheAddress, test_address
from tidewell.cache.names import place
from tidewell.cache.rangeload import RangeLoad
from tidewell.cache.target import CacheTarget, drop_cached_table, settle_attempt

__all__ = [
    "CacheAddress",
    "CacheTarget",
    "RangeLoad",
    "drop_cached_table",
    "place",
    "settle_attempt",
    "test_address",
]
