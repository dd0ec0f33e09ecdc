"""Connection strings: `Key=value;Key='va;lue'`, as the reference's drivers write them.

Keys have no case. A value may stand in single or double quotes, in which a doubled quote stands
for itself, so that it can hold `;` and `=`. The prefix `jdbc:cdata:<driver>:` is allowed
(contract §3).
"""

import difflib
import re
from collections.abc import Collection, Mapping, Sequence

from tidewell import logs
from tidewell.errors import InvalidRequest
from tidewell.sources.protocol import Key

FIELD = "connectionString"
MASK = "********"
_ADDRESS = re.compile(r"(url|uri|host|server|endpoint|domain|port|address)$", re.IGNORECASE)
"""Keys that say where a source is, whatever its driver."""
_BESIDE = frozenset({
    *("User", "Database", "AuthScheme", "Token", "APIKey", "APIKeyHeader", "CustomHeaders"),
    *("OAuthClientId", "OAuthScope", "OAuthAccessToken", "ODataVersion", "Paging", "Paths"),
    *("RecordsSelector", "PrimaryKey", "Columns", "CursorField", "CursorParameter"),
    *("CursorFormat", "PageParameter", "PageStart", "PageSizeParameter", "NextField"),
    *("Format", "IncludeColumnHeaders", "NullValues", "AWSRegion", "DataCenter"),
    *("ZeroDatesToNull", "Schema", "Role", "Account", "AccessToken", "ProjectId", "DatasetId"),
    *("OAuthJWTCert", "BrowsableSchemas", "UseSSL", "SSLMode", "SSLServerCert", "Timeout"),
})  # fmt: skip
"""Keys of our own drivers that name no host. A connector may make one of any key that it has."""
_PREFIX = re.compile(r"^\s*jdbc:cdata:\w+:", re.IGNORECASE)
_PLAIN = re.compile(r"""[^;'"\s](?:[^;]*[^;\s])?""")


def split(text: str) -> dict[str, str]:
    """The pairs of a connection string in their order, with the keys as they are written.

    Raises:
        InvalidRequest: a piece is no pair, a quote is not closed, or a key comes twice.
    """
    found: dict[str, str] = {}
    names: set[str] = set()
    rest = _PREFIX.sub("", text)
    position = 0
    while position < len(rest):
        separator = rest.find("=", position)
        stop = rest.find(";", position)
        if separator == -1 or -1 < stop < separator:
            piece = rest[position : stop if stop != -1 else len(rest)].strip()
            if piece:
                raise _invalid("each part has to be key=value, separated by ';'")
            position = stop + 1 if stop != -1 else len(rest)
            continue
        key = rest[position:separator].strip()
        if not key:
            raise _invalid("there is a value without a key before '='")
        value, position = _value(rest, separator + 1, key)
        if key.lower() in names:
            raise _invalid(f"the key {key[:60]} comes twice")
        names.add(key.lower())
        found[key] = value
    return found


def _value(text: str, position: int, key: str) -> tuple[str, int]:
    """The value that begins at a position, and where the next pair begins."""
    while position < len(text) and text[position].isspace():
        position += 1
    quote = text[position : position + 1]
    if quote not in ("'", '"') or not quote:
        stop = text.find(";", position)
        stop = len(text) if stop == -1 else stop
        return text[position:stop].strip(), stop + 1
    value = []
    position += 1
    while True:
        stop = text.find(quote, position)
        if stop == -1:
            raise _invalid(f"the quote of {key} is not closed")
        value.append(text[position:stop])
        if text[stop + 1 : stop + 2] != quote:
            break
        value.append(quote)
        position = stop + 2
    following = text.find(";", stop + 1)
    following = len(text) if following == -1 else following
    if text[stop + 1 : following].strip():
        raise _invalid(f"after the closing quote of {key} a ';' has to follow")
    return "".join(value), following + 1


def parse(text: str, keys: Sequence[Key], ignored: Collection[str] = ()) -> dict[str, str]:
    """The values of a connection string by the declared spelling of their keys, checked.

    `ignored` are keys (in lower case) that are accepted and change nothing.

    Raises:
        InvalidRequest: an unknown key (named), a missing one, or a value that is no choice.
    """
    declared = {key.name.lower(): key for key in keys}
    values = {key.name: key.default for key in keys if key.default}
    for name, value in split(text).items():
        key = declared.get(name.lower())
        if key is None:
            if name.lower() in ignored:
                continue
            near = difflib.get_close_matches(name.lower(), declared, n=1)
            hint = f"; did you mean {declared[near[0]].name}?" if near else ""
            raise _invalid(
                f"unknown key {name[:60]!r}{hint} (known: {', '.join(k.name for k in keys)})"
            )
        if "\0" in value:
            raise _invalid(f"{key.name} holds a NUL character")
        if value:
            values[key.name] = _choice(key, value)
        else:
            values.pop(key.name, None)
    logs.hide(values[key.name] for key in keys if key.secret and values.get(key.name))
    missing = [key.name for key in keys if key.required and not values.get(key.name)]
    if missing:
        raise _invalid(f"{', '.join(missing)} is missing")
    return values


def _choice(key: Key, value: str) -> str:
    """The declared spelling of a value, where the key has choices."""
    if not key.choices:
        return value
    for choice in key.choices:
        if choice.lower() == value.lower():
            return choice
    raise _invalid(f"{key.name} must be one of {', '.join(key.choices)}")


def write(values: Mapping[str, str]) -> str:
    """The connection string of values; `parse` gives them back."""
    return ";".join(f"{key}={_quoted(value)}" for key, value in values.items())


def masked(values: Mapping[str, str], keys: Sequence[Key]) -> dict[str, str]:
    """The values with every secret masked."""
    secret = {key.name for key in keys if key.secret}
    return {name: MASK if name in secret else value for name, value in values.items()}


def unmasked(
    values: Mapping[str, str], stored: Mapping[str, str], keys: Sequence[Key]
) -> dict[str, str]:
    """The values with every mask replaced by the secret that is stored."""
    secret = {key.name for key in keys if key.secret}
    return {
        name: stored.get(name, value) if name in secret and value == MASK else value
        for name, value in values.items()
    }


def sent_elsewhere(
    given: Mapping[str, str], stored: Mapping[str, str], keys: Sequence[Key]
) -> list[str]:
    """The masked secrets that might be sent to another address than they were given for.

    Who may change a connection may not read its secrets: they would be read by sending them there.
    """
    kept = [key.name for key in keys if key.secret and given.get(key.name) == MASK]
    moved = any(
        given.get(key.name, key.default) != stored.get(key.name, key.default)
        for key in keys
        if key.name not in kept
        and (_ADDRESS.search(key.name) or not (key.neutral or key.name in _BESIDE))
    )
    return kept * moved


def is_same_source(one: Mapping[str, str], other: Mapping[str, str], keys: Sequence[Key]) -> bool:
    """Whether values of one driver lead to the same rows: only neutral keys may differ."""
    telling = [key.name for key in keys if not key.neutral]
    return all(one.get(name, "") == other.get(name, "") for name in telling)


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    return '"' + value.replace('"', '""') + '"'


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest.of(FIELD, message)
