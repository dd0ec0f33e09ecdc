"""MailChimp as tables: every list of the Marketing API 3.0, over a manifest of our own."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from tidewell.egress import EgressRules
from tidewell.errors import SourceRefused
from tidewell.sources.declarative.driver import Connection, open_source, seconds, secrets_of
from tidewell.sources.declarative.keys import TIMEOUT
from tidewell.sources.protocol import Environment, Key, Source

SCHEMA = "MailChimp"
_DOMAIN = ".api.mailchimp.com"
_DATA_CENTER = re.compile(r"[a-z]{1,4}\d{1,3}", re.IGNORECASE)


@dataclass(frozen=True)
class MailChimpDriver:
    """The driver `MailChimp`; one schema of the same name."""

    name: str = "MailChimp"
    dialect: str = ""
    several_schemas: bool = False
    keys: tuple[Key, ...] = (
        Key(
            "APIKey", "API key, as in Account > Extras > API keys; or an OAuth token.", secret=True
        ),
        Key("OAuthAccessToken", "Access token of an OAuth application.", secret=True),
        Key(
            "DataCenter",
            "Data centre of the account, as us21; an API key ends in it, a token does not.",
        ),
        Key(
            "URL",
            "Root of the API where it is not MailChimp's own host; only a host that the operator "
            "of this service lists in TIDEWELL_EGRESS_ALLOW.",
        ),
        TIMEOUT,
    )

    def open(self, values: Mapping[str, str], environment: Environment) -> Source:
        """A source over an account; nothing is requested yet."""
        authorization = _authorization(values)
        config = {"authorization": authorization, "url": _root(values, environment.egress)}
        connection = Connection(
            schema=SCHEMA,
            manifest=manifest(),
            config=config,
            secrets=(*secrets_of(self.keys, values), authorization.partition(" ")[2]),
            strict=True,
            own=True,
            timeout=seconds(values),
        )
        return open_source(connection, environment)


@cache
def manifest() -> Mapping[str, Any]:
    """Our manifest of the API."""
    import yaml  # comes with the extra

    text = files("tidewell.sources.mailchimp").joinpath("manifest.yaml").read_bytes()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    read: Mapping[str, Any] = yaml.load(text, loader)  # noqa: S506 - the safe loader, in C
    return read


def _authorization(values: Mapping[str, str]) -> str:
    """The API takes a key as the password of any user, and a token as a bearer's."""
    key, token = values.get("APIKey"), values.get("OAuthAccessToken")
    if key and token:
        raise SourceRefused("Give APIKey or OAuthAccessToken, not both.")
    if token:
        return f"Bearer {token}"
    if not key:
        raise SourceRefused("APIKey or OAuthAccessToken is missing.")
    return f"Basic {base64.b64encode(f'tidewell:{key}'.encode()).decode()}"


def _root(values: Mapping[str, str], rules: EgressRules) -> str:
    """The root of the API for this account."""
    if values.get("URL"):
        return _other_host(values["URL"], rules)
    center = values.get("DataCenter") or values.get("APIKey", "").rpartition("-")[2]
    if not _DATA_CENTER.fullmatch(center):
        raise SourceRefused(
            "DataCenter is missing: an API key ends in it (…-us21); with a token, give it as "
            "DataCenter=us21."
        )
    return f"https://{center.lower()}{_DOMAIN}/3.0"


def _other_host(url: str, rules: EgressRules) -> str:
    """A root that a connection names: MailChimp's own, or a host that the operator lists.

    A key opens the whole account, so it is sent to no host that only the connection names.
    """
    parts = urlsplit(url.strip())
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.password:
        raise SourceRefused(
            "URL must be the root of the API, as https://us21.api.mailchimp.com/3.0."
        )
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise SourceRefused("URL has a port that is no number from 0 to 65535.") from None
    own = parts.scheme == "https" and host.endswith(_DOMAIN)
    if not own and not rules.lists(host, port):
        raise SourceRefused(
            f"URL names {host}, which is not MailChimp's own host: leave URL out, or ask the "
            "operator of this service to list the host in TIDEWELL_EGRESS_ALLOW."
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or '/3.0'}"


DRIVER = MailChimpDriver()
