"""The command line: its forms, its settings, its errors, and a node on an embedded PostgreSQL."""

import json
import os
import pty
import re
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

import httpx
import psutil
import pytest

from tests.acceptance.conftest import caching, connect
from tests.product import (
    TIDEWELL,
    Customer,
    Vendor,
    command,
    environment,
    key_pair,
    make_customer,
    make_vendor,
    ok,
    process,
    wait_for_end,
)
from tests.running_product import Product, free_port, wait_until_ready
from tidewell import __version__
from tidewell.settings import Settings
from tidewell.state.embedded import start


def failing(*arguments: str, **settings: str) -> str:
    """What a command that fails says; it has to be short and without a traceback."""
    done = subprocess.run(
        [*TIDEWELL, *arguments],
        env=environment(settings) | {"COLUMNS": "400"},  # so that no path is broken
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode not in (0, None)
    assert "Traceback" not in done.stderr + done.stdout
    return done.stderr + done.stdout


def test_version() -> None:
    assert command("--version", settings={}) == f"tidewell {__version__}\n"


def test_help_shows_every_command_and_every_setting() -> None:
    text = command("--help", settings={"COLUMNS": "200"})
    for name in ("serve", "worker", "demo", "account", "subaccount", "token"):
        assert name in text
    text = command("serve", "--help", settings={"COLUMNS": "200", "TERM": "dumb"})
    for option in ("--host", "--port", "--no-worker", "--no-ticker", "127.0.0.1", "8080"):
        assert option in text
    for name in Settings.model_fields:
        assert f"TIDEWELL_{name.upper()}" in text


def test_accounts_and_tokens(product: Product, tmp_path: Path) -> None:
    private, public = key_pair()
    (tmp_path / "key.pem").write_bytes(private)
    (tmp_path / "key.pub").write_bytes(public)
    settings = product.settings
    key = ("--public-key", str(tmp_path / "key.pub"))
    vendor = json.loads(command("account", "create", "--name", "Vé", *key, settings=settings))
    assert (str(UUID(vendor["id"])), vendor["name"]) == (vendor["id"], "Vé")
    account = json.loads(
        command(
            *("subaccount", "create", "--account", vendor["id"]),
            *("--external-id", "c-17", "--name", "Customer"),
            settings=settings,
        )
    )
    assert (account["externalId"], account["name"]) == ("c-17", "Customer")
    again = json.loads(
        command("subaccount", "create", "--account", vendor["id"], settings=settings)
    )
    assert again["id"] != account["id"]

    vendors = json.loads(command("account", "list", settings=settings))["accounts"]
    [listed] = [one for one in vendors if one["id"] == vendor["id"]]
    assert (listed["name"], listed["subAccounts"]) == ("Vé", 2)
    listing = ("subaccount", "list", "--account", vendor["id"])
    customers = json.loads(command(*listing, settings=settings))["subAccounts"]
    assert [one["id"] for one in customers] == [account["id"], again["id"]]
    assert (customers[0]["externalId"], customers[0]["name"]) == ("c-17", "Customer")

    sign = ("token", "--key", str(tmp_path / "key.pem"), "--iss", vendor["id"])
    token = command(*sign, "--sub", account["id"], "--ttl", "60", settings={}).strip()
    with httpx.Client(base_url=product.base_url) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        assert ok(client.get("/api/job/list")) == {"jobs": []}
        client.headers["Authorization"] = f"Bearer {command(*sign, settings={}).strip()}"
        assert client.get("/api/job/list").status_code == 403
        assert client.get("/api/poweredby/sources/list").is_success


def test_at_a_terminal_an_answer_is_for_a_person_and_elsewhere_json(
    tmp_path: Path,
) -> None:
    """The same command in a terminal of its own, and with its output in a pipe."""
    home = {"TIDEWELL_HOME": str(tmp_path / "home"), "COLUMNS": "200", "TERM": "dumb"}
    key = ("--new-key", str(tmp_path / "key.pem"))
    made = json.loads(command("account", "create", "--name", "Vé", *key, settings=home))
    shown = at_a_terminal("account", "list", settings=home)
    assert shown.split()[:4] == ["id", "name", "created", "sub-accounts"]
    assert made["id"] in shown
    assert json.loads(at_a_terminal("account", "list", "--json", settings=home))["accounts"]
    assert "No sub-accounts." in at_a_terminal("subaccount", "list", settings=home)
    command("subaccount", "create", settings=home)

    # The only account and the only customer need not be named.
    token = at_a_terminal("pat", "create", "--name", "desk", settings=home)
    assert re.search(r"^token: twpat_\S+\r?$", token, re.MULTILINE)
    [kept] = json.loads(command("pat", "list", settings=home))["tokens"]
    revoked = at_a_terminal("pat", "revoke", "--id", kept["id"], settings=home)
    assert "revoked: yes" in revoked
    assert made["kid"] in at_a_terminal("account", "key", "list", settings=home)


def at_a_terminal(*arguments: str, settings: dict[str, str]) -> str:
    """What a command shows where its output is a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*TIDEWELL, *arguments], env=environment(settings), stdin=theirs, stdout=theirs
    ) as running:
        os.close(theirs)
        shown = b""
        # At the end of what the other side writes, reading a terminal is an error.
        with suppress(OSError):
            while part := os.read(ours, 65_536):
                shown += part
        os.close(ours)
    assert running.returncode == 0
    return shown.decode()


def test_a_home_that_cannot_be_written_is_one_clear_line(product: Product, tmp_path: Path) -> None:
    """No folder can be made inside a file, whoever asks."""
    (tmp_path / "file").write_text("")
    home = str(tmp_path / "file" / "home")
    for arguments in (("account", "list"), ("job", "list"), ("serve", "--port", "0")):
        said = failing(*arguments, TIDEWELL_HOME=home)
        assert "set TIDEWELL_HOME to a folder that this user may write to" in said, arguments
    given = {"TIDEWELL_DATABASE_URL": product.settings["TIDEWELL_DATABASE_URL"]}
    said = failing("signing-key", "rotate", TIDEWELL_HOME=home, **given)
    assert "or give TIDEWELL_SECRET_KEY" in said


def test_what_cannot_be_is_one_clear_line(product: Product, tmp_path: Path) -> None:
    private, public = key_pair()
    (tmp_path / "key.pem").write_bytes(private)
    (tmp_path / "key.pub").write_bytes(public)
    (tmp_path / "odd.pem").write_bytes(b"\xff\xfe")
    create = ("account", "create", "--name", "V", "--public-key")
    assert "private key" in failing(*create, str(tmp_path / "key.pem"), **product.settings)
    assert "odd.pem" in failing(*create, str(tmp_path / "odd.pem"), **product.settings)
    assert "gone.pem" in failing(*create, str(tmp_path / "gone.pem"), **product.settings)
    sub = ("subaccount", "create", "--account")
    nobody = "36b2c04f-70f4-44a1-876a-29e42237ee63"
    assert nobody in failing(*sub, nobody, **product.settings)
    assert "UUID" in failing(*sub, "nobody", **product.settings)
    assert nobody in failing("subaccount", "list", "--account", nobody, **product.settings)
    public_as_private = ("token", "--key", str(tmp_path / "key.pub"), "--iss", nobody)
    assert "private key" in failing(*public_as_private)


def test_a_vendor_without_a_key_gets_one(product: Product, tmp_path: Path) -> None:
    path = tmp_path / "vendor.pem"
    create = ("account", "create", "--name", "V", "--new-key", str(path))
    vendor = json.loads(command(*create, settings=product.settings))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    sub = ("subaccount", "create", "--account", vendor["id"])
    account = json.loads(command(*sub, settings=product.settings))
    sign = ("token", "--key", str(path), "--iss", vendor["id"], "--sub", account["id"])
    token = command(*sign, settings={}).strip()
    answer = httpx.get(
        f"{product.base_url}/api/job/list", headers={"Authorization": f"Bearer {token}"}
    )
    assert ok(answer) == {"jobs": []}
    # A key that is there is never written over, and one of the two has to be given.
    assert "vendor.pem" in failing(*create, **product.settings)
    assert "--new-key" in failing("account", "create", "--name", "V", **product.settings)


def test_whose_it_is_has_to_be_said_where_there_are_several(
    product: Product, tmp_path: Path
) -> None:
    for number in range(2):
        path = tmp_path / f"{number}.pem"
        create = ("account", "create", "--name", "V", "--new-key", str(path))
        vendor = json.loads(command(*create, settings=product.settings))
        command("subaccount", "create", "--account", vendor["id"], settings=product.settings)
    assert "--account" in failing("subaccount", "create", **product.settings)
    assert "--sub" in failing("token", "--key", str(path), **product.settings)
    cache = ("connection", "cache", "--embedded", "--sub", vendor["id"])
    assert "sub-account" in failing(*cache, **product.settings)


def test_settings_that_cannot_be_are_named(tmp_path: Path) -> None:
    home = {"TIDEWELL_HOME": str(tmp_path)}
    assert "TIDEWELL_RUN_CONCURRENCY" in failing("serve", **home, TIDEWELL_RUN_CONCURRENCY="0")
    assert "TIDEWELL_LOG" in failing("serve", **home, TIDEWELL_LOG="loud")
    away = f"postgresql://me:hush@127.0.0.1:{free_port()}/state"
    said = failing("worker", **home, TIDEWELL_DATABASE_URL=away)
    assert "TIDEWELL_DATABASE_URL" in said
    assert "hush" not in said
    assert "hush" not in failing("worker", **home, TIDEWELL_DATABASE_URL="postgres:/hush@x")


def test_a_port_that_is_taken_is_named(product: Product) -> None:
    port = product.base_url.rpartition(":")[2]
    assert f":{port}" in failing("serve", "--port", port, "--no-worker", **product.settings)


@contextmanager
def node(home: Path, files: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    settings = {"TIDEWELL_HOME": str(home), "TIDEWELL_FILES_ROOT": str(files)}
    port = free_port()
    log = home.parent / "serve.log"
    with process("serve", "--port", str(port), settings=settings, log=log) as running:
        wait_until_ready(f"http://127.0.0.1:{port}", log)
        yield f"http://127.0.0.1:{port}", running


def test_a_node_on_its_embedded_postgresql_finds_everything_again(tmp_path: Path) -> None:
    home, files = tmp_path / "home", tmp_path / "files"
    files.mkdir()
    (files / "people.csv").write_text("id\n1\n2\n")
    settings = {"TIDEWELL_HOME": str(home)}
    with node(home, files) as (base_url, running):
        vendor = make_vendor(tmp_path, settings)  # beside the node, on the same server
        customer = make_customer(base_url, vendor)
        with customer.client() as client:
            job = make_job(client, home, files)
            assert wait_for_end(client, job["id"])["lastRun"]["status"] == "JOB_SUCCESS"
            before = ok(client.get("/api/job/list"))
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 0
    assert servers_of(home) == []
    assert {path.name: stat.S_IMODE(os.stat(path).st_mode) for path in home.glob("*.key")} == {
        "secret.key": 0o600
    }

    with node(home, files) as (base_url, running):
        again = Customer(
            base_url, Vendor(vendor.id, vendor.kid, vendor.private, b""), customer.account_id
        )
        with again.client() as client:
            assert ok(client.get("/api/job/list")) == before
            ok(client.post(f"/api/job/{job['id']}/run"))
            assert wait_for_end(client, job["id"])["lastRun"]["status"] == "JOB_SUCCESS"
        running.terminate()
        assert running.wait(30) == 0
    assert servers_of(home) == []


def make_job(client: httpx.Client, home: Path, files: Path) -> dict[str, str]:
    """A job into the second database of the node's own server."""
    with start(home) as server:
        text = server.cache_connection_string
    ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))
    source = connect(client, "Office", "Files", f"URI={files}")
    made = ok(client.post("/api/job/create", json=caching(source, sourceTable="people")))
    job: dict[str, str] = made["jobs"][0]
    return job


def servers_of(home: Path) -> list[str]:
    """The PostgreSQL processes that still work in a home."""
    return [
        " ".join(one.info["cmdline"])
        for one in psutil.process_iter(["cmdline"])
        if str(home / "postgres") in " ".join(one.info["cmdline"] or [])
    ]


@pytest.fixture
def separate(product: Product, tmp_path: Path) -> Iterator[Path]:
    """A worker of its own beside the node; the log it writes."""
    log = tmp_path / "worker.log"
    with process("worker", settings=product.settings, log=log):
        yield log


@pytest.mark.usefixtures("separate", "cache")
def test_a_worker_and_a_node_share_the_work(
    client: httpx.Client, connection_id: str, folder: Path
) -> None:
    for number in range(12):
        (folder / f"t{number}.csv").write_text(f"id\n{number}\n")
    jobs = [
        ok(client.post("/api/job/create", json=caching(connection_id, sourceTable=f"t{number}")))
        for number in range(12)
    ]
    ended = [wait_for_end(client, job["jobs"][0]["id"]) for job in jobs]
    assert {job["lastRun"]["status"] for job in ended} == {"JOB_SUCCESS"}
    for job in ended:
        assert len(ok(client.get(f"/api/job/{job['id']}/runs"))["runs"]) == 1


def test_no_address_and_no_secret_stands_in_the_log_of_the_node(product: Product) -> None:
    text = product.log.read_text()
    password = re.search(r"//[^:]+:([^@]+)@", product.settings["TIDEWELL_DATABASE_URL"])
    assert password
    assert password[1] not in text
    assert "BEGIN" not in text
    assert "Bearer ey" not in text
