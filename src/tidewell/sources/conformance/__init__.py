"""What every driver has to keep, as classes for pytest (docs/write-a-driver.md).

Subclass `DriverConformance` and say, in fixtures, how to open the source and what stands in its
tables. A source that is reached over a network keeps `HostConformance` too, one that asks who reads
it `CredentialsConformance`. The tables are made by the test itself, by other means than the driver,
so that what is expected is never what the driver says.
"""

import pytest

pytest.register_assert_rewrite(f"{__name__}.suite", f"{__name__}.reach")

# Assertions are rewritten in modules that are imported from here on only.
from tidewell.sources.conformance.expectations import (  # noqa: E402
    TEXTS,
    BigTable,
    Blocked,
    Expected,
)
from tidewell.sources.conformance.reach import (  # noqa: E402
    CredentialsConformance,
    HostConformance,
)
from tidewell.sources.conformance.suite import DriverConformance  # noqa: E402

__all__ = [
    "TEXTS",
    "BigTable",
    "Blocked",
    "CredentialsConformance",
    "DriverConformance",
    "Expected",
    "HostConformance",
]
