"""What differs between OData 4 and OData 2 on the wire: headers, envelopes of pages."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tidewell.errors import SourceBroken
from tidewell.sources.odata.metadata import Version

METADATA_HEADERS = {"Accept": "application/xml"}


@dataclass(frozen=True)
class Envelope:
    """What a page's JSON holds: its rows, the next page's link, what that is relative to."""

    rows: list[dict[str, Any]]
    link: str
    context: str


@dataclass(frozen=True)
class Dialect:
    """How a version is spoken: headers and options of each request, and how to read an answer."""

    version: Version
    headers: Mapping[str, str]
    options: Mapping[str, str]
    open: Callable[[Any], Envelope]


def version_headers(wanted: str) -> dict[str, str]:
    """The version that a client takes at most; services look for the header of their own."""
    return {
        "2.0": {"MaxDataServiceVersion": "2.0"},
        "4.0": {"OData-MaxVersion": "4.0"},
        "4.01": {"OData-MaxVersion": "4.01"},
    }.get(wanted, {"OData-MaxVersion": "4.01", "MaxDataServiceVersion": "2.0"})


def dialect(version: Version, page_size: int, wanted: str) -> Dialect:
    """The dialect of a version; `wanted` is what the connection says of it."""
    headers = version_headers(wanted)
    if version == "V2":
        accept = {"Accept": "application/json"}
        return Dialect("V2", headers | accept, {"$format": "json"}, _open_v2)
    return Dialect(
        "V4",
        headers
        | {
            "Accept": "application/json;odata.metadata=minimal;IEEE754Compatible=true",
            "Prefer": f"odata.maxpagesize={page_size}",
        },
        {},
        _open_v4,
    )


def _open_v4(body: Any) -> Envelope:
    """OData JSON Format 4.01, 4.5 and 12: control information with or without `odata.`."""
    rows = body.get("value") if isinstance(body, dict) else None
    if not isinstance(rows, list):
        raise SourceBroken("The service's answer has no list of rows ('value').")
    link = body.get("@odata.nextLink") or body.get("@nextLink") or ""
    context = body.get("@odata.context") or body.get("@context") or ""
    return Envelope(rows, str(link), str(context))


def _open_v2(body: Any) -> Envelope:
    """[MS-ODATA] 2.2.6.3.2: `d` holds `results`, or in version 1 the rows themselves."""
    inner = body.get("d") if isinstance(body, dict) else None
    rows = inner.get("results") if isinstance(inner, dict) else inner
    if not isinstance(rows, list):
        raise SourceBroken("The service's answer has no list of rows ('d.results').")
    link = inner.get("__next") if isinstance(inner, dict) else None
    return Envelope(rows, str(link or ""), "")
