"""`tidewell doctor`: is everything as it has to be, and if not, what is to be done?

It looks at this machine's settings and at the state database; with `--url` at a server from
outside, as a client meets it.
"""

import asyncio
import json
import stat
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Literal

import httpx
import typer
from psycopg import Error as DatabaseError
from rich.console import Console
from rich.text import Text

from tidewell import __version__, clock, logs
from tidewell.cli.doing import load_settings
from tidewell.cli.tables import ago
from tidewell.client import AsyncClient, ClientError
from tidewell.connections import cache
from tidewell.connections.sealing import SealingBox
from tidewell.egress import EgressRules
from tidewell.errors import TidewellError, Unavailable
from tidewell.settings import Settings
from tidewell.sources import registry
from tidewell.state.database import Connection, Database
from tidewell.state.opened import allow_own_server, state_url
from tidewell.state.schema import HEAD, version
from tidewell.state.statements import statements

_SQL = statements("tidewell.cli", "doctor.sql")
_SKEW = timedelta(seconds=5)
_BEAT_SECONDS = 30
_LATE_SECONDS = 60
_CACHES = 10
_STYLES = {"ok": ("green", "✓"), "note": ("yellow", "!"), "bad": ("bold red", "✗")}


State = Literal["ok", "note", "bad"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: `bad` has to be mended, `note` is worth knowing."""

    about: str
    state: State
    message: str


def doctor(url: str, token: str, *, as_json: bool) -> None:
    """Check settings, database, keys, caches, clock and egress; exit code 1 if anything is bad."""
    findings = asyncio.run(_listed(_of_server(url, token) if url else _of_machine()))
    if as_json:
        sys.stdout.write(json.dumps([asdict(one) for one in findings]) + "\n")
    else:
        console = Console(highlight=False)
        for one in findings:
            style, sign = _STYLES[one.state]
            line = Text.assemble((f"{sign} ", style), (f"{one.about}: ", "bold"), one.message)
            console.print(line, soft_wrap=True)
    if any(one.state == "bad" for one in findings):
        raise typer.Exit(1)


async def _listed(findings: AsyncIterator[Finding]) -> list[Finding]:
    return [one async for one in findings]


async def _of_server(url: str, token: str) -> AsyncIterator[Finding]:
    async with httpx.AsyncClient(base_url=url, timeout=10) as http:
        try:
            health = (await http.get("/healthz")).json()
            ready = await http.get("/readyz")
        except (httpx.HTTPError, ValueError) as error:
            reason = str(error) or type(error).__name__
            yield Finding("server", "bad", f"{url} does not answer as Tidewell does: {reason}")
            return
    known = health.get("version", "")
    same: State = "ok" if known == __version__ else "note"
    yield Finding("server", same, f"answers, version {known} (this command: {__version__})")
    if ready.is_success:
        yield Finding("database", "ok", "the server reaches its state database")
    else:
        yield Finding("database", "bad", f"the server is not ready: {ready.text[:200]}")
    if not token:
        yield Finding("token", "note", "none given: set TIDEWELL_TOKEN to have it tried")
        return
    try:
        async with AsyncClient(url, token) as client:
            found = await client.jobs.list()
    except ClientError as error:
        yield Finding("token", "bad", str(error))
    else:
        jobs = "1 job" if len(found) == 1 else f"{len(found)} jobs"
        yield Finding("token", "ok", f"is accepted; its sub-account has {jobs}")


async def _of_machine() -> AsyncIterator[Finding]:
    logs.set_up("error", pretty=True)
    try:
        settings = load_settings()
    except TidewellError as error:
        yield Finding("settings", "bad", error.message)
        return
    for one in _about_settings(settings):
        yield one
    try:
        with state_url(settings) as url:
            settings = allow_own_server(settings, url)
            found = await asyncio.to_thread(version, url)
            if found is None or found < HEAD:
                yield Finding(
                    "schema",
                    "bad",
                    f"the state database has {found or 'no schema'}, this version needs {HEAD}: "
                    "`tidewell db upgrade` brings it up to date",
                )
                return
            yield Finding("schema", "ok", f"is {found}; this version needs {HEAD}")
            async with Database(url) as database, database.transaction() as connection:
                async for one in _about_state(connection, settings):
                    yield one
    except (TidewellError, DatabaseError) as error:
        yield Finding("database", "bad", str(error))


def _about_settings(settings: Settings) -> list[Finding]:
    found = [Finding("settings", "ok", f"read; drivers: {', '.join(registry.names())}")]
    given = settings.database_url.get_secret_value()
    kind = "a PostgreSQL of yours" if given else f"embedded, in {settings.home.resolve()}"
    found.append(Finding("database", "ok", kind))
    if settings.base_url.startswith("http://"):
        found.append(
            Finding("base url", "note", f"{settings.base_url} is not https: links go in the clear")
        )
    key = settings.home / "secret.key"
    if settings.secret_key.get_secret_value():
        found.append(Finding("secret key", "ok", "is given in TIDEWELL_SECRET_KEY"))
    elif not key.exists():
        found.append(Finding("secret key", "note", f"is made at the first start, in {key}"))
    elif stat.S_IMODE(key.stat().st_mode) & 0o077:
        found.append(Finding("secret key", "bad", f"others can read {key}: chmod 600 {key}"))
    else:
        found.append(Finding("secret key", "ok", f"is kept in {key}; back it up"))
    rules = EgressRules.parse(settings.egress_allow)
    private = [str(one) for one in rules.networks] + sorted(rules.hosts)
    what = f"public addresses, and {', '.join(private)}" if private else "public addresses only"
    found.append(Finding("egress", "ok", f"customers may name {what}"))
    return found


async def _about_state(connection: Connection, settings: Settings) -> AsyncIterator[Finding]:
    row = await _row(connection, "now")
    skew = abs(row["now"] - clock.now())
    state: State = "ok" if skew < _SKEW else "bad"
    advice = "" if state == "ok" else ": set both machines' clocks by NTP"
    yield Finding("clock", state, f"{skew.total_seconds():.1f} s from the database's{advice}")
    yield Finding("postgresql", "ok", f"version {row['version']}")

    row = await _row(connection, "vendors_without_key")
    if not row["parents"]:
        yield Finding("vendors", "note", "none yet: `tidewell account create` makes one")
    elif row["without_key"]:
        yield Finding(
            "vendors",
            "bad",
            f"{row['without_key']} of {row['parents']} have no public key in use, so no token of "
            "theirs is accepted: `tidewell account key add`",
        )
    else:
        yield Finding("vendors", "ok", f"{row['parents']}, each with a public key")

    sealing = SealingBox.from_settings(settings)
    async for one in _about_secrets(connection, sealing):
        yield one
    async for one in _about_work(connection):
        yield one
    async for one in _about_caches(connection, sealing, settings):
        yield one


async def _about_secrets(connection: Connection, sealing: SealingBox) -> AsyncIterator[Finding]:
    cursor = await connection.execute(_SQL["sealed_samples"])
    rows = await cursor.fetchall()
    shut = 0
    for row in rows:
        try:
            sealing.open(row["sealed"], row["id"])
        except TidewellError:
            shut += 1
    if shut:
        yield Finding(
            "credentials",
            "bad",
            f"{shut} of {len(rows)} cannot be decrypted: give the key that they were stored with "
            "(TIDEWELL_SECRET_KEY, or secret.key in TIDEWELL_HOME)",
        )
    else:
        yield Finding("credentials", "ok", f"{len(rows)} stored, all open with our key")


async def _about_work(connection: Connection) -> AsyncIterator[Finding]:
    now = clock.now()
    alive = (await _row(connection, "workers", seconds=_BEAT_SECONDS))["alive"]
    waiting = await _row(connection, "waiting")
    since = ago(waiting["since"], now) if waiting["since"] else ""
    if waiting["waiting"] and not alive:
        text = f"none is alive; runs that wait: {waiting['waiting']}, the oldest since {since}"
        yield Finding("workers", "bad", f"{text}: start `tidewell worker`")
    else:
        queue = f"; runs that wait: {waiting['waiting']}" if waiting["waiting"] else ""
        yield Finding("workers", "ok" if alive else "note", f"{alive} alive{queue}")
    late = await _row(connection, "overdue", seconds=_LATE_SECONDS)
    if late["overdue"]:
        jobs = "1 job is" if late["overdue"] == 1 else f"{late['overdue']} jobs are"
        text = f"{jobs} late, the first since {ago(late['since'], now)}"
        yield Finding("ticker", "bad", f"{text}: start `tidewell serve` (without --no-ticker)")
    else:
        yield Finding("ticker", "ok", "no job is late")


async def _about_caches(
    connection: Connection, sealing: SealingBox, settings: Settings
) -> AsyncIterator[Finding]:
    cursor = await connection.execute(_SQL["caches"], {"limit": _CACHES})
    for row in await cursor.fetchall():
        about = f"cache of {row['account_id']}"
        try:
            tested = await cache.test(sealing.open(row["sealed"], row["id"]), settings.egress_allow)
        except TidewellError as error:
            yield Finding(about, "bad", error.message)
            continue
        if tested.worked:
            yield Finding(about, "ok", "answers")
        else:
            yield Finding(about, "bad", tested.error or "does not answer")


async def _row(connection: Connection, name: str, **values: object) -> dict[str, Any]:
    cursor = await connection.execute(_SQL[name], values)
    row = await cursor.fetchone()
    if row is None:
        raise Unavailable
    return row
