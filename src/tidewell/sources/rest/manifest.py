"""The manifest that a connection's simple keys stand for."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tidewell.errors import SourceRefused
from tidewell.given import whole_number

_NAME = re.compile(r"[\w$@. -]+")
_TYPES: dict[str, dict[str, Any]] = {
    "text": {"type": ["string", "null"]},
    "integer": {"type": ["integer", "null"]},
    "number": {"type": ["number", "null"]},
    "boolean": {"type": ["boolean", "null"]},
    "timestamp": {"type": ["string", "null"], "format": "date-time"},
    "date": {"type": ["string", "null"], "format": "date"},
    "json": {"type": ["object", "array", "null"]},
}


def simple_manifest(values: Mapping[str, str], root: str) -> dict[str, Any]:
    """A manifest with a stream for each path. Raises SourceRefused that names the key."""
    tables = _tables(values)
    streams = [_stream(name, path, values, root) for name, path in tables.items()]
    return {
        "version": "7.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": [next(iter(tables))]},
        "streams": streams,
    }


def _tables(values: Mapping[str, str]) -> dict[str, str]:
    """The paths of the tables by their names."""
    tables: dict[str, str] = {}
    for part in _parts(values.get("Paths", "")):
        match = re.fullmatch(r"([^/=?]+?)\s*=\s*(.+)", part)
        path = match[2] if match else part
        name = match[1] if match else urlsplit(path).path.rstrip("/").rpartition("/")[2]
        if not name or name in tables:
            raise SourceRefused(f"Paths: give {path[:60]!r} a name of its own, as name=/path.")
        tables[name] = path.lstrip("/")
    if not tables:
        raise SourceRefused("Paths or Manifest is missing: Paths=orders=/orders, people=/people.")
    return tables


def _stream(name: str, path: str, values: Mapping[str, str], root: str) -> dict[str, Any]:
    cursor = _of_table(values, "CursorField", name)
    parameter = _of_table(values, "CursorParameter", name)
    if parameter and not values.get("CursorField"):
        raise SourceRefused("CursorParameter needs CursorField.")
    selector = _of_table(values, "RecordsSelector", name)
    requester: dict[str, Any] = {
        "type": "HttpRequester",
        "url": f"{root}/{path}" if path else root,
        "http_method": "GET",
    }
    size = _number(values, "PageSize", least=1)
    if values["Paging"] != "None" and values.get("PageSizeParameter"):
        requester["request_parameters"] = {values["PageSizeParameter"]: str(size)}
    if values.get("AuthScheme") == "OAuthClient":
        requester["authenticator"] = {
            "type": "OAuthAuthenticator",
            "token_refresh_endpoint": values.get("OAuthAccessTokenURL", ""),
            "client_id": "{{ config['client_id'] }}",
            "client_secret": "{{ config['client_secret'] }}",
            "grant_type": "client_credentials",
        }
    retriever: dict[str, Any] = {
        "type": "SimpleRetriever",
        "requester": requester,
        "record_selector": {
            "type": "RecordSelector",
            "extractor": {
                "type": "DpathExtractor",
                "field_path": [part for part in selector.split(".") if part],
            },
        },
    }
    paginator = _paginator(values)
    if paginator is not None:
        retriever["paginator"] = paginator
    stream: dict[str, Any] = {
        "type": "DeclarativeStream",
        "name": name,
        "retriever": retriever,
        "schema_loader": {
            "type": "InlineSchemaLoader",
            "schema": {"type": "object", "properties": _columns(values, name)},
        },
    }
    key = _of_table(values, "PrimaryKey", name).split()
    if key:
        stream["primary_key"] = key
    if cursor:
        stream["$parameters"] = {
            "forward": [cursor],
            "since": {cursor: parameter} if parameter else {},
            "since_format": values["CursorFormat"],
        }
    return stream


def _columns(values: Mapping[str, str], table: str) -> dict[str, Any]:
    """The declared columns of a table; none: they are found in its first records."""
    columns = {}
    for part in _parts(values.get("Columns", "")):
        name, colon, kind = (piece.strip() for piece in part.rpartition(":"))
        if not colon or kind.lower() not in _TYPES or not name:
            raise SourceRefused(
                f"Columns: {part[:60]!r} has to be name:type or table.name:type, with a type of "
                + ", ".join(_TYPES)
            )
        owner, dot, own_name = name.partition(".")
        if not dot or owner == table:
            columns[own_name if dot else name] = _TYPES[kind.lower()]
    return columns


def _paginator(values: Mapping[str, str]) -> dict[str, Any] | None:
    """How the next page is asked for. That a page is short says nothing (`paging.py`), so that the
    strategies know of no size."""
    kind = values["Paging"]
    parameter = values.get("PageParameter", "")
    match kind:
        case "None":
            return None
        case "Page":
            strategy: dict[str, Any] = {
                "type": "PageIncrement",
                "start_from_page": _number(values, "PageStart", least=0),
                "inject_on_first_request": True,
            }
        case "Offset":
            strategy = {"type": "OffsetIncrement", "inject_on_first_request": True}
        case _:
            following = _expression(values.get("NextField", ""))
            strategy = {
                "type": "CursorPagination",
                "cursor_value": f"{{{{ {following} }}}}",
                "stop_condition": f"{{{{ not {following} }}}}",
            }
    paginator: dict[str, Any] = {"type": "DefaultPaginator", "pagination_strategy": strategy}
    if kind == "NextURL":
        paginator["page_token_option"] = {"type": "RequestPath"}
    else:
        default = {"Page": "page", "Offset": "offset", "Cursor": "cursor"}[kind]
        paginator["page_token_option"] = _in_query(parameter or default)
    return paginator


def _in_query(name: str) -> dict[str, Any]:
    return {"type": "RequestOption", "inject_into": "request_parameter", "field_name": name}


def _expression(field: str) -> str:
    """What a template reads at a dotted place of an answer; a place that is missing is none."""
    if not field or not _NAME.fullmatch(field):
        raise SourceRefused("NextField must name where the next page is told, as meta.next.")
    parts = field.split(".")
    found = "response"
    for part in parts:
        found = f"({found}.get('{part}') or {{}})"
    return found


def _of_table(values: Mapping[str, str], key: str, table: str) -> str:
    """The value of a key for a table: one for all, or `table=value` for some."""
    general = ""
    for part in _parts(values.get(key, "")):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            general = name
        elif name == table:
            return value
    return general


def _parts(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"[,\n]", text) if part.strip()]


def _number(values: Mapping[str, str], name: str, *, least: int) -> int:
    number = whole_number(values[name], least, 1_000_000)
    if number is None:
        raise SourceRefused(f"{name} must be a whole number from {least} to 1000000.")
    return number
