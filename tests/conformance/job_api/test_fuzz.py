"""Whatever our OpenAPI document allows or forbids goes in; no 5xx and nothing undocumented comes
out. Schemathesis makes the calls, with all its checks and along the document's links.

`make fuzz` makes 20,000 calls (FUZZ_CASES), as two customers side by side; `make test` makes 500,
from a fixed seed.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from tests.acceptance.conftest import connect
from tests.conftest import CacheDatabase, new_cache_database
from tests.openapi_document import DOCUMENT, operations
from tests.product import Customer, make_customer, make_vendor, ok, process
from tests.running_product import Product, free_port, wait_until_ready
from tidewell.state.embedded import EmbeddedServer

CASES = int(os.environ.get("FUZZ_CASES", "500"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
# To make up a case takes several times as long as to answer it.
CUSTOMERS = 2 if CASES >= 5_000 else 1
NOW = int(time.time())
# The coverage phase alone makes over a thousand calls.
PHASES = "examples,coverage,fuzzing,stateful" if CASES >= 5_000 else "examples,fuzzing,stateful"
SETTINGS = Path(__file__).with_name("schemathesis.toml")
_LONGEST_IN_A_PATTERN = 2_048
TABLES = [f"table{number}" for number in range(40)]


@dataclass(frozen=True)
class Target:
    """A customer, and a document that names what the customer has."""

    customer: Customer
    document: Path
    source: str
    log: Path


@pytest.fixture(scope="module")
def targets(
    server: EmbeddedServer, product: Product, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Target]]:
    """Customers of a node that queues runs and never begins one, over a state database of its own.

    Each has its own cache and its own folder of tables.
    """
    folder = tmp_path_factory.mktemp("fuzz")
    name = f"state_{uuid4().hex}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    settings = product.settings | {"TIDEWELL_DATABASE_URL": server.url(name)}
    port, log = free_port(), folder / "serve.log"
    arguments = ("serve", "--port", str(port), "--no-worker", "--no-ticker")
    with process(*arguments, settings=settings, log=log), ExitStack() as stack:
        base_url = f"http://127.0.0.1:{port}"
        wait_until_ready(base_url, log)
        vendor = make_vendor(folder, settings)
        yield [
            target(
                make_customer(base_url, vendor),
                stack.enter_context(new_cache_database(server)),
                product.files / uuid4().hex,
                folder / f"openapi{number}.json",
                log,
            )
            for number in range(CUSTOMERS)
        ]


def target(
    customer: Customer, cache: CacheDatabase, files: Path, document: Path, log: Path
) -> Target:
    files.mkdir()
    for table in TABLES:
        (files / f"{table}.csv").write_text("id,name\n1,Ada\n")
    with customer.client() as client:
        text = cache.connection_string
        ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))
        source = connect(client, "Office", "Files", f"URI={files}")
    document.write_text(json.dumps(described(source)))
    return Target(customer, document, source, log)


def described(source: str) -> dict[str, Any]:
    """The document, with what this customer has in the place of any id and any name.

    No schema can say which connections exist; said so, most bodies that it allows make a job.
    """
    document: dict[str, Any] = json.loads(json.dumps(DOCUMENT))
    params = document["components"]["schemas"]["CachingParams"]["properties"]
    params["sourceConnection"] = {"enum": [source]}
    params["sourceName"] = {"enum": ["Office", "Files", "FILES"]}
    params["sourceSchema"] = {"enum": ["Files"]}
    params["sourceTable"] = {"enum": TABLES}
    drop_long_bounds(document)
    for operation in operations(document):
        example = operation.body_example
        if isinstance(example, dict) and "params" in example:
            example["params"] |= {
                "sourceConnection": source,
                "sourceName": "Office",
                "sourceSchema": "Files",
                "sourceTable": TABLES[0],
            }
    return document


def drop_long_bounds(part: Any) -> None:
    """Leave out what no regular expression can say: the generator makes one of pattern and length,
    and gives up every step along a link that comes to such a call."""
    if isinstance(part, dict):
        if "pattern" in part and part.get("maxLength", 0) > _LONGEST_IN_A_PATTERN:
            del part["maxLength"]
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            drop_long_bounds(inner)


@pytest.mark.timeout(7200)
def test_nothing_breaks_and_nothing_is_undocumented(targets: list[Target]) -> None:
    # Each example of an operation is tried both as it may be and as it may not.
    each = max(CASES * 2 // (3 * len(list(operations(DOCUMENT))) * len(targets)), 1)
    # An account belongs to its vendor: one customer could delete the other.
    kept = ",".join(
        one for target in targets for one in (target.customer.account_id, target.source)
    )
    with ThreadPoolExecutor(len(targets)) as pool:
        calls = [
            pool.submit(schemathesis, target, SEED + number, kept, "--max-examples", str(each))
            for number, target in enumerate(targets)
        ]
        told = [call.result() for call in calls]
    generated = 0
    for said in told:
        print(said[-3000:])
        for phase in PHASES.split(","):
            assert f"✅ {phase.capitalize()}" in said, f"{phase} was not made to its end"
        assert not re.search(r"🚫 +\d+ errors?", said), "steps were given up"
        counts = [int(number) for number in re.findall(r"(\d+) generated", said)]
        assert counts, said
        generated += sum(counts)
    assert generated >= CASES, f"only {generated} cases"
    assert "request_broke" not in targets[0].log.read_text()


def schemathesis(target: Target, seed: int, kept: str, *arguments: str) -> str:
    """What it says; it has to have found nothing."""
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            *("--config-file", str(SETTINGS), "run", str(target.document)),
            *("--url", target.customer.base_url, "--checks", "all", "--seed", str(seed)),
            *(
                "--header",
                f"Authorization: Bearer {target.customer.token(iat=NOW, exp=NOW + 23 * 3600)}",
            ),
            # A catalogue call asks a source that does not answer for as long as it may.
            *("--request-timeout", "60", "--phases", PHASES, "--no-color"),
            *("--generation-database", "none", "--suppress-health-check", "all"),
            *arguments,
        ],
        capture_output=True,
        text=True,
        cwd=target.document.parent,
        env=os.environ
        | {"SCHEMATHESIS_HOOKS": "kept", "PYTHONPATH": str(SETTINGS.parent)}
        | {"FUZZ_KEPT": kept},
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    return done.stdout
