"""`tidewell demo`: a vendor, a customer, a real data set and a job, all over the public API.

Everything it makes is kept in TIDEWELL_HOME/demo, so that a second start finds it again.
"""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tidewell.accounts import repository as accounts
from tidewell.accounts import tokens
from tidewell.accounts.keys import check_public_key, new_key_pair
from tidewell.cli.curl_lines import curl_lines
from tidewell.cli.demo_data import unpack_flights
from tidewell.cli.node import Node
from tidewell.cli.serve import run, set_up_logs
from tidewell.clock import now
from tidewell.errors import TidewellError
from tidewell.settings import Settings
from tidewell.state.embedded import EmbeddedServer, start
from tidewell.state.statements import statements

CONNECTION = "Flights"
TABLE = "flights"
_TOKEN_SECONDS = 24 * 3600
_PATIENCE_SECONDS = 600
_SQL = statements("tidewell.cli", "demo.sql")


@dataclass(frozen=True)
class Identity:
    """The demo's vendor and customer, and the vendor's private key."""

    parent_id: UUID
    account_id: UUID
    private_key: Path

    def token(self) -> str:
        """A token of the customer, as the vendor's program would make it."""
        return tokens.sign(
            self.private_key.read_bytes(),
            parent_id=self.parent_id,
            account_id=self.account_id,
            seconds=_TOKEN_SECONDS,
            now=now(),
        )


class Demo:
    """The demo's walk through the API, with what a person sees of it."""

    def __init__(self, settings: Settings, server: EmbeddedServer, console: Console) -> None:
        self._folder = settings.home / "demo"
        self._files = self._folder / "files"
        self._server = server
        self._console = console

    async def walk(self, node: Node, address: str) -> None:
        """From nothing to a query on the cached table."""
        identity = await self._identity(node)
        token = identity.token()
        async with httpx.AsyncClient(
            base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=30
        ) as client:
            await self._cache(client)
            connection_id = await self._connection(client)
            job, made = await self._job(client, connection_id)
            self._console.print(
                f"[bold]Tidewell[/] serves [link={address}/docs]{address}/docs[/]; its PostgreSQL "
                f"is at {self._server.host}:{self._server.port}."
            )
            if not made:
                self._console.print(f"The job of the last time is still here: {job['id']}")
            await self._watch(client, job["id"])
            await asyncio.to_thread(self._query, job)
            lines = curl_lines(address, token, job, connection_id)
            self._console.print("\n[bold]The Job API, ready to paste[/] (the token holds a day):\n")
            self._console.print(lines, soft_wrap=True, markup=False, highlight=False)
            self._console.print("\nServing until Ctrl-C.")

    async def _identity(self, node: Node) -> Identity:
        """The vendor and the customer of the last time, or new ones."""
        notes = self._folder / "identity.json"
        key = self._folder / "private.pem"
        if notes.exists():
            kept = json.loads(notes.read_text())
            return Identity(UUID(kept["parentId"]), UUID(kept["accountId"]), key)
        self._folder.mkdir(parents=True, exist_ok=True)
        private, public = new_key_pair()
        key.touch(mode=0o600)
        key.write_bytes(private)
        (self._folder / "public.pem").write_text(public)
        pem, kid = check_public_key(public)
        async with node.database.transaction() as connection:
            parent_id = await accounts.create_parent(
                connection, uuid4(), "Demo vendor", pem, now(), kid
            )
            account_id = uuid4()
            await accounts.create_account(
                connection, account_id, parent_id, "Demo customer", "demo", now()
            )
        identity = Identity(parent_id, account_id, key)
        notes.write_text(json.dumps({"parentId": str(parent_id), "accountId": str(account_id)}))
        return identity

    async def _cache(self, client: httpx.AsyncClient) -> None:
        """The cache is the second database of the embedded server; its port may be a new one."""
        await _call(
            client,
            "POST",
            "/api/job/cacheConnection",
            {"connectionString": self._server.cache_connection_string},
        )

    async def _connection(self, client: httpx.AsyncClient) -> str:
        unpack_flights(self._files)
        found = await client.get("/api/poweredby/connection/list")
        if found.is_success:
            for connection in found.json()["connections"]:
                if connection["name"] == CONNECTION:
                    return str(connection["id"])
        answer = await _call(
            client,
            "POST",
            "/api/connections",
            {
                "name": CONNECTION,
                "driver": "Files",
                "connectionString": f"URI={self._files.resolve()};NullValues=NA",
            },
        )
        return str(answer["connection"]["id"])

    async def _job(self, client: httpx.AsyncClient, connection_id: str) -> tuple[Any, bool]:
        for job in (await _call(client, "GET", "/api/job/list"))["jobs"]:
            if job["name"] == TABLE:
                return job, False
        answer = await _call(
            client,
            "POST",
            "/api/job/create",
            {
                "jobType": "Caching",
                "intervalUnit": "Hour",
                "intervalValue": "1",
                "logVerbosity": "1",
                "enabled": "true",
                "params": {
                    "timeCheckColumn": "",
                    "autoTruncateStrings": "false",
                    "sourceConnection": connection_id,
                    "sourceName": CONNECTION,
                    "sourceSchema": "Files",
                    "sourceTable": TABLE,
                },
            },
        )
        return answer["jobs"][0], True

    async def _watch(self, client: httpx.AsyncClient, job_id: str) -> None:
        """Show the newest run until it has ended, and then its receipt."""
        total = await asyncio.to_thread(_lines, self._files / f"{TABLE}.csv")
        progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} rows"),
            TimeElapsedColumn(),
            console=self._console,
        )
        with progress:
            bar = progress.add_task(f"{CONNECTION}.{TABLE} → PostgreSQL", total=total)
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while True:
                    runs = await _call(client, "GET", f"/api/job/{job_id}/runs?limit=1")
                    if runs["runs"]:
                        latest = runs["runs"][0]
                        progress.update(bar, completed=latest["rowsRead"])
                        if latest["status"] not in {"JOB_QUEUED", "JOB_RUNNING"}:
                            break
                    await asyncio.sleep(0.1)
        if latest["status"] != "JOB_SUCCESS":
            raise TidewellError(f"The demo's run ended {latest['status']}: {latest['error']}")
        self._console.print(_receipt(latest))

    def _query(self, job: Any) -> None:
        """A query on the cached table, as any program of the customer would make it."""
        table = Table(title=f'Busiest carriers, from "{CONNECTION}"."{TABLE}" in PostgreSQL')
        with psycopg.connect(self._server.cache_url) as connection:
            cursor = connection.execute(_SQL["busiest_carriers"])
            for column in cursor.description or ():
                table.add_column(column.name, justify="right")
            for row in cursor:
                table.add_row(*[f"{value}" for value in row])
        self._console.print(table)


def _receipt(latest: Any) -> Panel:
    seconds = max(latest["seconds"], 0.001)
    return Panel(
        f"{latest['rowsRead']:,} rows read, {latest['rowsAffected']:,} written, "
        f"{latest['bytesCopied'] / 1e6:,.1f} MB in {seconds:.1f} s: "
        f"{latest['rowsRead'] / seconds:,.0f} rows/s\n"
        f"counted before the commit: {latest['receipt']['rowsRead']:,} read from the source, "
        f"{latest['receipt']['rowsStaged']:,} confirmed by PostgreSQL",
        title=f"Receipt of run {latest['id']}",
        expand=False,
    )


def _lines(path: Path) -> int:
    """The rows of a CSV file without line breaks in its values, for the length of the bar."""
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1


async def _call(client: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
    answer = await client.request(method, path, json=body)
    if not answer.is_success:
        raise TidewellError(f"{method} {path}: {answer.json()['error']['message']}")
    return answer.json()


def demo(settings: Settings, host: str, port: int) -> None:
    """Serve with everything that the demo needs; it brings its own embedded PostgreSQL."""
    if settings.database_url.get_secret_value():
        raise TidewellError("The demo uses the embedded PostgreSQL: unset TIDEWELL_DATABASE_URL.")
    roots = ":".join(filter(None, [settings.files_root, str(settings.home / "demo" / "files")]))
    settings = settings.model_copy(update={"files_root": roots, "log": "warning"})
    set_up_logs(settings)
    with start(settings.home) as server:
        walk = Demo(settings, server, Console()).walk
        run(settings, host=host, port=port, beside=walk)
