"""Whatever our OpenAPI document allows or forbids goes in; no 5xx and nothing undocumented comes
out. Schemathesis makes the calls, with all its checks and along the document's links.

`make fuzz` makes 20,000 calls (FUZZ_CASES); `make test` makes 500, from a fixed seed.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
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
SEED = os.environ.get("FUZZ_SEED", "1")
NOW = int(time.time())
# The coverage phase alone makes over a thousand calls.
PHASES = "examples,coverage,fuzzing,stateful" if CASES >= 5_000 else "examples,fuzzing,stateful"
SETTINGS = Path(__file__).with_name("schemathesis.toml")
TABLES = [f"table{number}" for number in range(40)]


@dataclass(frozen=True)
class Target:
    """A customer of a node of its own, and a document that names what the customer has."""

    customer: Customer
    document: Path
    kept: tuple[str, ...]
    log: Path


@pytest.fixture(scope="module")
def cache_of_target(server: EmbeddedServer) -> Iterator[CacheDatabase]:
    with new_cache_database(server) as database:
        yield database


@pytest.fixture(scope="module")
def target(
    server: EmbeddedServer,
    product: Product,
    cache_of_target: CacheDatabase,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Target]:
    """A node that queues runs and never begins one, over a state database of its own."""
    folder = tmp_path_factory.mktemp("fuzz")
    name = f"state_{uuid4().hex}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    files = product.files / uuid4().hex
    files.mkdir()
    for table in TABLES:
        (files / f"{table}.csv").write_text("id,name\n1,Ada\n")
    settings = product.settings | {"TIDEWELL_DATABASE_URL": server.url(name)}
    port, log = free_port(), folder / "serve.log"
    arguments = ("serve", "--port", str(port), "--no-worker", "--no-ticker")
    with process(*arguments, settings=settings, log=log):
        base_url = f"http://127.0.0.1:{port}"
        wait_until_ready(base_url, log)
        customer = make_customer(base_url, make_vendor(folder, settings))
        with customer.client() as client:
            text = cache_of_target.connection_string
            ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))
            source = connect(client, "Office", "Files", f"URI={files}")
        document = folder / "openapi.json"
        document.write_text(json.dumps(described(source)))
        yield Target(customer, document, (customer.account_id, source), log)


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


@pytest.mark.timeout(7200)
def test_nothing_breaks_and_nothing_is_undocumented(target: Target) -> None:
    # Each example of an operation is tried both as it may be and as it may not.
    each = max(CASES * 2 // (3 * len(list(operations(DOCUMENT)))), 1)
    said = schemathesis(target, "--max-examples", str(each))
    print(said[-3000:])
    generated = [int(number) for number in re.findall(r"(\d+) generated", said)]
    assert generated, said
    assert sum(generated) >= CASES, f"only {generated} cases"
    assert "request_broke" not in target.log.read_text()


def schemathesis(target: Target, *arguments: str) -> str:
    """What it says; it has to have found nothing."""
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            *("--config-file", str(SETTINGS), "run", str(target.document)),
            *("--url", target.customer.base_url, "--checks", "all", "--seed", SEED),
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
        | {"FUZZ_KEPT": ",".join(target.kept)},
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    return done.stdout
