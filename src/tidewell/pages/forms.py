"""What the forms do: show what is stored, and Save & Test what a person fills in.

A test that fails saves nothing: what worked before goes on working.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import UUID, uuid5

from tidewell import clock
from tidewell.accounts import audit
from tidewell.accounts.audit import Action, Author
from tidewell.api.services import Services, removal
from tidewell.connections import cache, opening, repository, strings
from tidewell.connections.links import Link
from tidewell.connections.opening import OpenedConnection
from tidewell.connections.repository import ConnectionSettings
from tidewell.discovery.asking import NotAsked
from tidewell.errors import Conflict, InvalidRequest, NotFound
from tidewell.jobs import repository as jobs
from tidewell.pages.fields import NAME, Field, blamed, errors_of, fields_of, values_of
from tidewell.pages.sessions import Session
from tidewell.sources import registry
from tidewell.sources.protocol import Key

_CACHE_FIELDS = ("Server", "Port", "User", "Password", "Database", "SSLMode", "SSLServerCert")
CACHE_KEYS = tuple(
    # The form shows what an empty SSLMode means, and saves what it shows.
    replace(key, default="prefer") if key.name == "SSLMode" else key
    for key in cache.KEYS
    if key.name in _CACHE_FIELDS
)
_CACHE_TITLE = "Connect your PostgreSQL database"
_CACHE_ABOUT = "Copies of your tables are kept in this database, and stay yours."
_LONGEST_NAME = 64


@dataclass(frozen=True)
class Shown:
    """A form as it is to be shown. `state`: "new", "saved", or "failed" with the `message`.

    `about` says what the form is for.
    """

    title: str
    about: str
    fields: list[Field]
    state: str = "new"
    message: str = ""
    return_url: str = ""
    saved_id: UUID | None = None


@dataclass
class _Filled:
    """What is known of a form while it is worked on."""

    values: dict[str, str]
    stored: Mapping[str, str]
    errors: dict[str, str] = field(default_factory=dict)


class CacheForm:
    """The form of the cache connection."""

    def __init__(self, node: Services, session: Session, author: Author) -> None:
        self._node = node
        self._link = session.link
        self._author = author

    async def show(self) -> Shown:
        """With the values that are stored, never the password."""
        stored = await self._stored()
        return self._shown(_Filled(dict(stored), stored), "new")

    async def save(self, form: Mapping[str, str]) -> Shown:
        """Save & Test."""
        stored = await self._stored()
        filled = _Filled(values_of(CACHE_KEYS, form, stored), stored)
        filled.errors = errors_of(CACHE_KEYS, filled.values, form, stored)
        if filled.errors:
            return self._shown(filled, "failed", "Some fields need your attention.")
        hidden = {name: value for name, value in stored.items() if name not in _CACHE_FIELDS}
        text = strings.write(hidden | filled.values)
        try:
            tested = await cache.test(text, self._node.settings.egress_allow)
        except InvalidRequest as error:
            filled.errors = blamed(error, CACHE_KEYS)
            return self._shown(filled, "failed", error.message)
        if not tested.worked:
            if tested.key:
                filled.errors[tested.key] = tested.error or ""
            return self._shown(filled, "failed", tested.error or "")
        row = await removal(self._node, self._author).replace_cache(
            self._link.account_id, text, tested
        )
        return self._shown(filled, "saved", saved=(row["id"], cache.NAME))

    async def _stored(self) -> Mapping[str, str]:
        async with self._node.database.transaction() as connection:
            row = await jobs.cache_of(connection, self._link.account_id)
        if row is None:
            return {}
        text = self._node.sealing.open(row["sealed"], row["id"])
        values = strings.parse(text, cache.KEYS, cache.IGNORED)
        if values.get("UseSSL") == "True":
            values.setdefault("SSLMode", "require")
        return values

    def _shown(
        self, filled: _Filled, state: str, message: str = "", saved: tuple[UUID, str] | None = None
    ) -> Shown:
        fields = fields_of(CACHE_KEYS, filled.values, filled.stored, filled.errors)
        address = return_address(self._link, state, saved)
        saved_id = saved[0] if saved else None
        return Shown(_CACHE_TITLE, _CACHE_ABOUT, fields, state, message, address, saved_id)


class ConnectionForm:
    """The form of a connection to a source, new or not; `driver` is what the person chose."""

    def __init__(self, node: Services, session: Session, author: Author, driver: str) -> None:
        self._node = node
        self._link = session.link
        self._author = author
        self._driver = registry.driver(session.link.driver or driver)
        # Of a new connection too: saving twice is saving once.
        self._id = session.link.connection_id or uuid5(session.id, "connection")

    async def show(self) -> Shown:
        """With the values that are stored, never a secret."""
        row, stored = await self._stored()
        name = row["name"] if row else self._link.name
        return self._shown(_Filled(dict(stored), stored), name, "new")

    async def save(self, form: Mapping[str, str]) -> Shown:
        """Save & Test."""
        row, stored = await self._stored()
        keys = self._driver.keys
        filled = _Filled(values_of(keys, form, stored), stored)
        filled.errors = errors_of(keys, filled.values, form, stored)
        name = self._name(form)
        if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
            filled.errors[NAME] = f"Give a name of 1 to {_LONGEST_NAME} characters."
        if filled.errors:
            return self._shown(filled, name, "failed", "Some fields need your attention.")
        try:
            values = strings.parse(strings.write(filled.values), keys)
            opened = OpenedConnection(self._id, self._link.account_id, name, self._driver, values)
            if problem := await self._node.discovery.test(opened):
                return self._shown(filled, name, "failed", problem)
            await self._write(row, name, values)
        except Conflict as error:
            filled.errors[NAME] = error.message
            return self._shown(filled, name, "failed", error.message)
        except NotAsked as error:
            return self._shown(filled, name, "failed", error.message)
        except InvalidRequest as error:
            filled.errors = blamed(error, keys)
            return self._shown(filled, name, "failed", error.message)
        return self._shown(filled, name, "saved", saved=(self._id, name))

    def _name(self, form: Mapping[str, str]) -> str:
        if not self._link.editable_name:
            return self._link.name
        return form.get(NAME, "").strip()

    async def _write(
        self, row: dict[str, Any] | None, name: str, values: Mapping[str, str]
    ) -> None:
        sealed = self._node.sealing.seal(strings.write(values), self._id)
        external_id = row["external_id"] if row else self._link.external_id
        settings = ConnectionSettings(name, self._driver.name, sealed, external_id)
        account_id, now = self._link.account_id, clock.now()
        async with self._node.database.transaction() as connection:
            if row is None:
                await repository.insert(connection, account_id, self._id, settings, now)
            else:
                await repository.lock(connection, account_id, self._id)
                old = await opening.find(connection, self._node.sealing, account_id, self._id, None)
                another = old is None or old.leads_elsewhere(self._driver, values)
                await repository.update(
                    connection, account_id, self._id, settings, now, another_source=another
                )
            await repository.note_test(connection, account_id, self._id, None, now)
            action = Action.CONNECTION_UPDATED if row else Action.CONNECTION_CREATED
            await audit.record(connection, self._author, action, self._id, name, now)

    async def _stored(self) -> tuple[dict[str, Any] | None, Mapping[str, str]]:
        try:
            async with self._node.database.transaction() as connection:
                row = await repository.one(connection, self._link.account_id, self._id)
        except NotFound:
            if self._link.connection_id is not None:
                raise
            return None, {}
        text = self._node.sealing.open(row["sealed"], self._id)
        if row["driver"] != self._driver.name:
            return row, {}
        return row, strings.parse(text, self._driver.keys)

    def _shown(
        self,
        filled: _Filled,
        name: str,
        state: str,
        message: str = "",
        saved: tuple[UUID, str] | None = None,
    ) -> Shown:
        about_name = Field(
            name=NAME,
            label="Name",
            help="What this connection is called from now on.",
            value=name,
            required=True,
            readonly=not self._link.editable_name,
            error=filled.errors.get(NAME, ""),
        )
        keys: tuple[Key, ...] = tuple(self._driver.keys)
        fields = fields_of(keys, filled.values, filled.stored, filled.errors)
        address = return_address(self._link, state, saved)
        title, about = f"Connect {self._driver.name}", "Your tables are read from here."
        if self._link.connection_id is not None:
            title, about = "Change a connection", f"How {self._driver.name} is reached."
        saved_id = saved[0] if saved else None
        return Shown(title, about, [about_name, *fields], state, message, address, saved_id)


def return_address(link: Link, state: str, saved: tuple[UUID, str] | None) -> str:
    """Where the person goes back to, with what became of it, as the reference tells it."""
    status = {"new": "none", "failed": "error", "saved": "success"}[state]
    told = {"cdata_connection_status": status}
    if saved is not None:
        told = {
            "cdata_connection_id": str(saved[0]),
            "cdata_connection_name": saved[1],
        } | told
    parts = urlsplit(link.return_url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), *told.items()]
    return urlunsplit(parts._replace(query=urlencode(query)))
