"""Fields of a form, made from the keys that a driver declares."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tidewell.connections import strings
from tidewell.errors import InvalidRequest
from tidewell.sources.protocol import Key

# What has several lines: a field of one line takes the line ends away.
_LONG = frozenset(
    {"SSLServerCert", "CustomHeaders", "Manifest", "Config", "OAuthJWTCert", "PrivateKey"}
)
# Keys that most people leave as they are: folded away until somebody looks for them.
_RARE = frozenset(
    {
        "SSLServerCert",
        "CustomHeaders",
        "ODataVersion",
        "PageSize",
        "Timeout",
        "UseSSL",
        "Manifest",
        "Config",
        "CursorFormat",
        "AWSSessionToken",
        "NullValues",
        "IncludeColumnHeaders",
        "BrowsableSchemas",
        "Endpoint",
    }
)
_LABELS = {
    "User": "User name",
    "SSLMode": "Encryption (TLS)",
    "SSLServerCert": "Server certificate",
    "UseSSL": "Use TLS",
    "AuthScheme": "Sign-in",
}
# What stands side by side where there is room: of six columns, how many a field takes.
_WIDTHS = {"Server": "most", "Port": "few", "User": "half", "Password": "half"}
_CHOICES = {
    ("SSLMode", "disable"): "Off (disable)",
    ("SSLMode", "allow"): "Only if the server insists (allow)",
    ("SSLMode", "prefer"): "Where the server offers it (prefer)",
    ("SSLMode", "require"): "Always (require)",
    ("SSLMode", "verify-ca"): "Always, and check the certificate (verify-ca)",
    ("SSLMode", "verify-full"): "Always, and check certificate and host name (verify-full)",
}
_WORD = re.compile(r"OAuth|OData|[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[0-9]+")
_NOT_IN_IDS = re.compile(r"[^\w-]")
NAME = "connection_name"


@dataclass(frozen=True)
class Choice:
    """One value that a field may have, and how the page calls it."""

    value: str
    label: str


@dataclass(frozen=True)
class Field:
    """One field as the page shows it. A secret's value is never shown; `kept` says there is one."""

    name: str
    label: str
    help: str
    value: str = ""
    kind: str = "text"
    required: bool = False
    kept: bool = False
    readonly: bool = False
    choices: tuple[Choice, ...] = ()
    error: str = ""
    width: str = "full"
    rare: bool = False
    only_with: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The name as selectors take it: the keys of connectors have dots in them."""
        return _NOT_IN_IDS.sub("-", self.name)


def fields_of(
    keys: Sequence[Key],
    values: Mapping[str, str],
    stored: Mapping[str, str],
    errors: Mapping[str, str],
) -> list[Field]:
    """The fields of a driver's keys, filled with values, with the errors that blame them."""
    return [_field(key, values, stored, errors.get(key.name, "")) for key in keys]


def values_of(
    keys: Sequence[Key], form: Mapping[str, str], stored: Mapping[str, str]
) -> dict[str, str]:
    """What a person filled in; a secret that is left empty keeps the stored one."""
    found = {}
    for key in keys:
        value = form.get(key.name, "").replace("\r\n", "\n")
        value = value if key.secret else value.strip()
        if not value and key.secret:
            value = stored.get(key.name, "")
        if value:
            found[key.name] = value
    return found


def errors_of(
    keys: Sequence[Key],
    values: Mapping[str, str],
    form: Mapping[str, str],
    stored: Mapping[str, str],
) -> dict[str, str]:
    """What is missing or is no choice, by the field to blame."""
    kept = {key.name for key in keys if key.secret and not form.get(key.name)}
    given = {name: strings.MASK if name in kept else value for name, value in values.items()}
    astray = strings.sent_elsewhere(given, stored, keys)
    errors = dict.fromkeys(astray, "Please give it again: what has changed may lead elsewhere.")
    for key in keys:
        value = values.get(key.name, "")
        if key.required and not value:
            errors[key.name] = "Please fill this in."
        elif value and key.choices and value not in key.choices:
            errors[key.name] = f"Choose one of {', '.join(key.choices)}."
    return errors


def blamed(error: InvalidRequest, keys: Sequence[Key]) -> dict[str, str]:
    """The field that an error names, with its message; none when it names no field."""
    text = error.details[0].message if error.details else error.message
    for key in keys:
        if text.startswith(key.name):
            return {key.name: text}
    return {}


def label_of(name: str) -> str:
    """A key's name in words: `OAuthAccessTokenURL` is `OAuth access token URL`."""
    if name in _LABELS:
        return _LABELS[name]
    words = _WORD.findall(name) or [name]
    words[0] = words[0][:1].upper() + words[0][1:]
    rest = [word if _keeps_its_case(word) else word.lower() for word in words[1:]]
    return " ".join([words[0], *("ID" if word == "id" else word for word in rest)])


def _keeps_its_case(word: str) -> bool:
    return word.isupper() or word in ("OAuth", "OData")


def _field(key: Key, values: Mapping[str, str], stored: Mapping[str, str], error: str) -> Field:
    kind = "text"
    if key.name in _LONG:
        kind = "textarea"
    elif key.secret:
        kind = "password"
    elif key.choices:
        kind = "select"
    choices = key.choices if key.required or key.default else ("", *key.choices)
    return Field(
        name=key.name,
        label=label_of(key.name),
        help=key.help,
        value="" if key.secret else values.get(key.name, key.default),
        kind=kind,
        required=key.required,
        kept=key.secret and bool(stored.get(key.name)),
        choices=tuple(
            Choice(one, _CHOICES.get((key.name, one), one or "Not chosen")) for one in choices
        ),
        error=error,
        width=_WIDTHS.get(key.name, "full"),
        rare=key.name in _RARE and not key.required,
        only_with=key.only_with,
    )
