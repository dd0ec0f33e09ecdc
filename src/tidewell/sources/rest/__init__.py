"""Any JSON API as tables, without code: its paths, paging and keys stand in the connection."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from tidewell.errors import SourceRefused
from tidewell.sources.declarative import trust
from tidewell.sources.declarative.driver import Connection, open_source, seconds, secrets_of
from tidewell.sources.declarative.keys import TIMEOUT
from tidewell.sources.protocol import Environment, Key, Source
from tidewell.sources.rest.manifest import simple_manifest

SCHEMA = "REST"
_CLIENT = ("AuthScheme=OAuthClient",)
_API_KEY = ("AuthScheme=APIKey",)
_BY_PARAMETER = ("Paging=Page", "Paging=Offset", "Paging=Cursor")
_ANY_PAGING = (*_BY_PARAMETER, "Paging=NextURL")
_TOLD = ("Paging=Cursor", "Paging=NextURL")


@dataclass(frozen=True)
class RESTDriver:
    """The driver `REST`; one schema of the same name."""

    name: str = "REST"
    dialect: str = ""
    several_schemas: bool = False
    keys: tuple[Key, ...] = (
        Key("URL", "Root of the API, as https://host/api/v1."),
        Key(
            "Paths",
            "Paths of the tables, separated by commas: orders=/orders, people=/hr/people?all=1; a "
            "name may be left out where it is the last part of the path.",
        ),
        Key(
            "RecordsSelector",
            "Where the list of records is in an answer, as data.items; empty: it is the answer. "
            "Like PrimaryKey and CursorField, one for all tables or table=value, …",
        ),
        Key("PrimaryKey", "Property that tells records apart; several are separated by spaces."),
        Key(
            "Columns",
            "Properties and their types (text, integer, number, boolean, timestamp, date, json), "
            "as id:integer, orders.total:number; empty: by the first records.",
        ),
        Key("CursorField", "Property that moves forward when a record changes."),
        Key("CursorParameter", "Query parameter that asks for records since a moment."),
        Key("CursorFormat", "How that moment is written.", default="%Y-%m-%dT%H:%M:%SZ"),
        Key(
            "Paging",
            "How the API gives pages: by a page's number, by an offset, by a token that comes with "
            "the page before (Cursor), by the next page's address (NextURL).",
            default="None",
            choices=("None", "Page", "Offset", "Cursor", "NextURL"),
        ),
        Key(
            "PageParameter",
            "Query parameter of the page, offset or token; empty: page, offset or cursor.",
            only_with=_BY_PARAMETER,
        ),
        Key("PageStart", "Number of the first page.", default="1", only_with=("Paging=Page",)),
        Key("PageSizeParameter", "Query parameter of the page's size.", only_with=_ANY_PAGING),
        Key("PageSize", "Records a page.", default="100", neutral=True, only_with=_ANY_PAGING),
        Key(
            "NextField",
            "Where the next token or address is in an answer, as meta.next.",
            only_with=_TOLD,
        ),
        Key(
            "AuthScheme",
            "How to sign in.",
            default="None",
            choices=("None", "Basic", "Bearer", "APIKey", "OAuthClient"),
        ),
        Key("User", "User, for Basic.", only_with=("AuthScheme=Basic",)),
        Key(
            "Password",
            "Password, for Basic.",
            secret=True,
            neutral=True,
            only_with=("AuthScheme=Basic",),
        ),
        Key("Token", "Access token, for Bearer.", secret=True, only_with=("AuthScheme=Bearer",)),
        Key("APIKey", "Key, for APIKey.", secret=True, only_with=_API_KEY),
        Key(
            "APIKeyHeader",
            "Header that carries the key.",
            default="X-API-Key",
            only_with=_API_KEY,
        ),
        Key("OAuthClientId", "Client, for OAuthClient.", only_with=_CLIENT),
        Key(
            "OAuthClientSecret",
            "Secret of the client, for OAuthClient.",
            secret=True,
            neutral=True,
            only_with=_CLIENT,
        ),
        Key(
            "OAuthAccessTokenURL",
            "Where the client gets its token, for OAuthClient.",
            only_with=_CLIENT,
        ),
        Key(
            "CustomHeaders",
            "Headers for every request, each on a line of its own: Name: value.",
            secret=True,
        ),
        Key(
            "Manifest",
            "A manifest in Airbyte's low-code language, YAML or JSON, in place of Paths and what "
            "belongs to them.",
        ),
        Key("Config", "JSON object that the manifest reads as config['…'].", secret=True),
        TIMEOUT,
    )

    def open(self, values: Mapping[str, str], environment: Environment) -> Source:
        """A source over an API; nothing is requested yet."""
        root = _root(values)
        config = _config(values)
        is_own = not values.get("Manifest")
        manifest = simple_manifest(values, root) if is_own else trust.parse(values["Manifest"])
        trust.check(manifest)
        headers, scheme = _headers(values), values.get("AuthScheme")
        connection = Connection(
            schema=SCHEMA,
            manifest=manifest,
            config={"url": root, **config},
            secrets=(
                *secrets_of(self.keys, values),
                *headers.values(),
                *_texts(config),
            ),
            headers=headers,
            headers_for=root,
            # The token of OAuthClient is added by the CDK, to every address that it asks.
            private=("Authorization",) if is_own and scheme == "OAuthClient" else (),
            strict=True,
            own=is_own,
            timeout=seconds(values),
        )
        return open_source(connection, environment)


def _root(values: Mapping[str, str]) -> str:
    url = values.get("URL", "").strip()
    if not url and values.get("Manifest"):
        return ""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SourceRefused("URL must be the root of the API, as https://host/api/v1.")
    if parts.username or parts.password:
        raise SourceRefused("URL must not hold credentials: use AuthScheme and its keys.")
    if "{" in url:
        raise SourceRefused("URL must be an address, without braces.")
    return url.rstrip("/")


def _config(values: Mapping[str, str]) -> dict[str, Any]:
    """What the manifest may read."""
    config: dict[str, Any] = {}
    if values.get("Config"):
        try:
            read: Any = orjson.loads(values["Config"])
        except ValueError:
            raise SourceRefused("Config must be a JSON object.") from None
        if not isinstance(read, dict) or any(name.startswith("__") for name in read):
            raise SourceRefused("Config must be a JSON object, no name of which begins with __.")
        config = read
    if values.get("AuthScheme") == "OAuthClient":
        config["client_id"] = values.get("OAuthClientId", "")
        config["client_secret"] = values.get("OAuthClientSecret", "")
    return config


def _texts(value: Any) -> list[str]:
    """Every text in a config."""
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return [value] if isinstance(value, str) else []


def _headers(values: Mapping[str, str]) -> dict[str, str]:
    """What every request to the API's own host carries."""
    headers = {}
    text = values.get("CustomHeaders", "").replace("\\r\\n", "\n").replace("\\n", "\n")
    for line in filter(str.strip, text.splitlines()):
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise SourceRefused("CustomHeaders: each line has to be Name: value.")
        headers[name.strip()] = value.strip()
    match values.get("AuthScheme"):
        case "Basic":
            pair = f"{values.get('User', '')}:{values.get('Password', '')}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        case "Bearer":
            headers["Authorization"] = f"Bearer {values.get('Token', '')}"
        case "APIKey":
            headers[values["APIKeyHeader"]] = values.get("APIKey", "")
    if not all(name.isascii() and value.isprintable() for name, value in headers.items()):
        raise SourceRefused("A header may hold neither control characters nor line ends.")
    return headers


DRIVER = RESTDriver()
