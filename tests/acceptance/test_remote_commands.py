"""`tidewell job`, `connection` and `doctor`, against a server and on the machine itself."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.conftest import CacheDatabase
from tests.product import TIDEWELL, Customer, environment
from tests.running_product import Product

Tidewell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def remote(customer: Customer, cache: CacheDatabase) -> Tidewell:
    """The command line of somebody who has a token for a server."""
    return _tidewell({"TIDEWELL_URL": customer.base_url, "TIDEWELL_TOKEN": customer.token()})


@pytest.fixture
def local(product: Product, customer: Customer, cache: CacheDatabase) -> Tidewell:
    """The command line on the server's own machine."""
    return _tidewell(product.settings | {"TIDEWELL_SUB": customer.account_id})


def _tidewell(settings: dict[str, str]) -> Tidewell:
    def run(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*TIDEWELL, *arguments],
            env=environment(settings | {"COLUMNS": "160", "NO_COLOR": "1"}),
            input=typed,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_on_the_machine_itself_no_token_is_needed(local: Tidewell, folder: Path) -> None:
    answer(local("connection", "create", "Office", "Files", "--string", f"URI={folder}", "--json"))
    arguments = ("--connection", "office", "--table", "people", "--wait", "--json")
    assert answer(local("job", "create", *arguments))["rowsRead"] == 3
    assert "people" in local("job", "list").stdout


def test_from_a_connection_to_a_run(remote: Tidewell, folder: Path) -> None:
    tidewell = remote
    made = answer(
        tidewell("connection", "create", "Office", "files", "--string", f"URI={folder}", "--json")
    )
    assert (made["driver"], made["isTested"]) == ("Files", True)

    run = answer(
        tidewell(
            *("job", "create", "--connection", "office", "--table", "people"),
            *("--every", "15 minutes", "--param", "cacheTable=crew", "--wait", "--json"),
        )
    )
    assert (run["status"], run["rowsRead"]) == ("JOB_SUCCESS", 3)

    [job] = answer(tidewell("job", "list", "--json"))
    assert (job["intervalUnit"], job["intervalValue"]) == ("Minute", 15)
    assert job["params"]["cacheTable"] == "crew"
    shown = tidewell("job", "show", job["id"][:8]).stdout
    assert "every 15 minutes" in shown
    assert "create" in shown
    assert "rows read" in tidewell("job", "logs", "people", "-f").stdout

    assert answer(tidewell("job", "run", "PEOPLE", "--json"))["runId"]
    answer(tidewell("job", "stop", "people", "--json"))
    changed = answer(tidewell("job", "update", "people", "--disable", "--every", "hour", "--json"))
    assert (changed["enabled"], changed["intervalUnit"]) == (False, "Hour")
    refused = tidewell("job", "run", "people")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "disabled" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "disabled" in tidewell("job", "list").stdout

    refused = tidewell("connection", "delete", "office")
    assert refused.returncode == 1
    assert "give --force to delete" in refused.stderr
    nothing = tidewell("job", "update", "people")
    assert (nothing.returncode, "Say what to change" in nothing.stderr) == (1, True)
    assert "had no run to stop" in tidewell("job", "stop", "people").stdout

    assert tidewell("job", "delete", "people", typed="n\n").returncode == 1
    assert "is deleted" in tidewell("job", "delete", "people", "--yes").stdout
    assert "is deleted" in tidewell("connection", "delete", "office").stdout
    assert answer(tidewell("job", "list", "--json")) == []
    assert "tidewell job create" in tidewell("job", "list").stdout
    assert "tidewell connection create" in tidewell("connection", "list").stdout


def test_a_table_is_found_in_its_schema(remote: Tidewell, another_cache: CacheDatabase) -> None:
    with psycopg.connect(another_cache.url) as connection:
        for statement in (
            "CREATE SCHEMA sales",
            "CREATE TABLE sales.orders AS SELECT 1 AS id",
            "CREATE TABLE sales.people AS SELECT 1 AS id",
            "CREATE TABLE public.people AS SELECT 1 AS id",
        ):
            connection.execute(statement)
    string = another_cache.connection_string
    answer(remote("connection", "create", "Shop", "PostgreSQL", "--string", string, "--json"))

    made = ("job", "create", "--connection", "shop", "--json", "--table")
    assert answer(remote(*made, "orders"))["params"]["sourceSchema"] == "sales"
    refused = remote(*made, "people")
    assert refused.returncode != 0
    assert "people: give --schema" in refused.stderr
    assert answer(remote(*made, "people", "--schema", "public"))["params"]["cacheTable"] == "people"
    nowhere = remote(*made, "nowhere")
    assert nowhere.returncode != 0
    assert "sales" in nowhere.stderr


def test_a_run_that_fails_has_an_exit_code_of_its_own(remote: Tidewell, folder: Path) -> None:
    tidewell = remote
    answer(
        tidewell("connection", "create", "Office", "Files", "--string", f"URI={folder}", "--json")
    )
    answer(
        tidewell("job", "create", "--connection", "Office", "--table", "people", "--wait", "--json")
    )
    (folder / "people.csv").unlink()
    failed = tidewell("job", "run", "people", "--wait")
    assert failed.returncode == 3
    assert "people" in failed.stderr


def test_watching_goes_on_until_ctrl_c(remote: Tidewell, customer: Customer, folder: Path) -> None:
    answer(remote("connection", "create", "Office", "Files", "--string", f"URI={folder}", "--json"))
    settings = {"TIDEWELL_URL": customer.base_url, "TIDEWELL_TOKEN": customer.token()}
    # Where these tests run in the background, they may ignore Ctrl-C, and what they start too.
    heeding = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    heeding += "os.execv(sys.argv[1], sys.argv[1:])"
    watching = subprocess.Popen(
        [sys.executable, "-c", heeding, *TIDEWELL, "job", "watch", "--json"],
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout
    assert json.loads(watching.stdout.readline()) == []
    answer(remote("job", "create", "--connection", "Office", "--table", "people", "--json"))
    [job] = json.loads(watching.stdout.readline())
    assert job["name"] == "people"
    watching.send_signal(signal.SIGINT)
    _, errors = watching.communicate(timeout=30)
    assert watching.returncode == 130
    assert "Traceback" not in errors


def test_a_wrong_command_line_has_an_exit_code_of_its_own(remote: Tidewell) -> None:
    assert remote("job", "shw").returncode == 2
    assert remote("job", "list", "--jsn").returncode == 2
    assert remote("query").returncode == 2


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("tidewell jo", "job"),
        ("tidewell job wa", "watch"),
        ("tidewell job create --verb", "--verbosity"),
    ],
)
def test_a_shell_completes_commands_and_options(words: str, completed: str) -> None:
    assert completions(words, {}) == [completed]


def completions(words: str, settings: dict[str, str]) -> list[str]:
    """What bash would offer at the end of a line."""
    asked = {
        "_TIDEWELL_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    done = subprocess.run(
        ["tidewell"],
        executable=Path(sys.executable).parent / "tidewell",
        env=environment(settings | asked),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_a_shell_completes_names_from_the_server(
    remote: Tidewell, customer: Customer, folder: Path
) -> None:
    string = ("--string", f"URI={folder}", "--json")
    answer(remote("connection", "create", "Office", "Files", *string))
    spaced = answer(remote("connection", "create", "Old office", "Files", *string))["id"]
    answer(remote("job", "create", "--connection", "Office", "--table", "people", "--json"))
    server = {"TIDEWELL_URL": customer.base_url, "TIDEWELL_TOKEN": customer.token()}
    assert completions("tidewell job show peo", server) == ["people"]
    assert completions("tidewell job create --connection Of", server) == ["Office"]
    assert sorted(completions("tidewell connection test ", server)) == sorted(["Office", spaced])
    assert completions("tidewell connection create New MailC", server) == ["MailChimp"]
    assert completions("tidewell job show ", server | {"TIDEWELL_TOKEN": "old"}) == []
    assert completions("tidewell job show ", server | {"TIDEWELL_URL": "http://127.0.0.1:1"}) == []
    assert completions("tidewell job show ", {}) == []


def test_a_secret_is_asked_for_and_never_shown(remote: Tidewell) -> None:
    text = "URL=http://127.0.0.1:1/x;AuthScheme=Basic;User=me;Password=hush-hush"
    made = remote("connection", "create", "Shop", "OData", typed=f"{text}\n")
    assert made.returncode == 0, made.stderr
    assert "does not work yet" in made.stdout
    assert "refused" in made.stdout
    assert "hush-hush" not in made.stdout + made.stderr
    assert remote("connection", "test", "shop").returncode == 1
    assert "shop" in remote("connection", "list").stdout.lower()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("job", "show", "nothing"), "There is no job 'nothing'"),
        (("job", "create", "--table", "people"), "Give --connection"),
        (("job", "create", "--connection", "x", "--table", "y"), "There is no connection 'x'"),
        (("job", "create", "--query", "SELECT 1", "--every", "2 moons"), "is no interval"),
        (("job", "create", "--query", "SELECT 1", "--at", "soon"), "is no ISO 8601 time"),
        (("job", "create", "--query", "SELECT 1", "--param", "x"), "is no NAME=VALUE"),
        (("connection", "create", "A", "Fils", "--string", "x=y"), "did you mean Files"),
    ],
)
def test_bad_input_is_one_clear_line(
    remote: Tidewell, arguments: tuple[str, ...], part: str
) -> None:
    done = remote(*arguments)
    assert done.returncode == 1
    assert part in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_embedded_cache_is_this_machines(local: Tidewell, remote: Tidewell) -> None:
    for tidewell in (local, remote):
        done = tidewell("connection", "cache", "--embedded")
        assert done.returncode == 1
        assert "give --string" in done.stderr


def test_a_server_that_is_away_or_refuses_is_told(customer: Customer) -> None:
    away = _tidewell({"TIDEWELL_URL": "http://127.0.0.1:1", "TIDEWELL_TOKEN": "x"})("job", "list")
    assert (away.returncode, "cannot be reached" in away.stderr) == (1, True)
    without = _tidewell({"TIDEWELL_URL": customer.base_url})("job", "list")
    assert (without.returncode, "--token" in without.stderr) == (1, True)
    wrong = _tidewell({"TIDEWELL_URL": customer.base_url, "TIDEWELL_TOKEN": "x"})("job", "list")
    assert (wrong.returncode, "UNAUTHENTICATED" in wrong.stderr) == (1, True)


def test_the_doctor_says_what_is_well_and_what_to_do(
    local: Tidewell, remote: Tidewell, tmp_path: Path
) -> None:
    found = {one["about"]: one for one in json.loads(local("doctor", "--json").stdout)}
    for about in ("settings", "schema", "clock", "vendors", "credentials", "workers", "ticker"):
        assert found[about]["state"] == "ok", found[about]
    assert any(about.startswith("cache of ") for about in found)
    assert "✓ schema" in local("doctor").stdout

    outside = {one["about"]: one for one in answer(remote("doctor", "--json"))}
    assert {outside[about]["state"] for about in ("server", "database", "token")} == {"ok"}

    closed = "postgresql://nobody:hush-hush@127.0.0.1:1/x"
    ill = _tidewell({"TIDEWELL_HOME": str(tmp_path), "TIDEWELL_DATABASE_URL": closed})("doctor")
    assert ill.returncode == 1
    assert "✗ database" in ill.stdout
    assert "TIDEWELL_DATABASE_URL" in ill.stdout
    assert "hush-hush" not in ill.stdout + ill.stderr
    assert _tidewell({"TIDEWELL_RUN_CONCURRENCY": "many"})("doctor").returncode == 1
