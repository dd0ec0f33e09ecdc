"""A token narrowed to some connections (`connection_ids`) reaches no other, whatever it sends."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import connect
from tests.product import Customer, ok, wait_for_end

AWAY = "Server=127.0.0.1;Port=9;User=a;Password=b;Database=c"


def body(query: str) -> dict[str, Any]:
    return {
        "jobType": "ScheduledQuery",
        "intervalUnit": "Hour",
        "intervalValue": 1,
        "params": {"query": query},
    }


@pytest.fixture
def mine(client: httpx.Client) -> str:
    """A connection whose source is away, as whoever may change it can arrange."""
    return connect(client, "Mine", "PostgreSQL", AWAY)


@pytest.fixture
def narrowed(customer: Customer, mine: str) -> Iterator[httpx.Client]:
    """A program that may use that connection only."""
    with customer.client_of(connection_ids=json.dumps([mine])) as client:
        yield client


@pytest.mark.usefixtures("cache", "connection_id")
@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM Office.Files.people",
        "INSERT INTO Mine.public.t SELECT * FROM Office.Files.people",
        "INSERT INTO Mine.public.t SELECT name FROM Mine.public.s WHERE id IN "
        "(SELECT id FROM Office.Files.people)",
        "UPDATE Mine.public.t SET name = (SELECT max(name) FROM Office.Files.people)",
        "WITH people AS (SELECT * FROM Office.Files.people) SELECT * FROM people",
        # Alone it is a schema of the only connection; among others it is the other's name.
        "INSERT INTO Mine.public.t SELECT * FROM Office.people",
        "SELECT * FROM people",
        # The name of another connection might differ by case alone.
        "SELECT * FROM MINE.public.t",
        "SELECT 1 AS a",
    ],
)
def test_no_query_names_another_connection_while_a_source_is_away(
    client: httpx.Client, narrowed: httpx.Client, mine: str, query: str
) -> None:
    made = narrowed.post("/api/job/create", json=body(query))
    assert made.status_code == 400, made.text
    assert made.json()["error"]["details"][0]["field"] == "params.query"
    assert ok(client.get("/api/job/list"))["jobs"] == []

    kept = body("SELECT * FROM Mine.public.t") | {"enabled": False}
    job = ok(narrowed.post("/api/job/create", json=kept))["jobs"][0]
    changed = narrowed.put(f"/api/job/{job['id']}/update", json=body(query))
    assert changed.status_code == 400, changed.text


@pytest.mark.usefixtures("cache")
def test_a_query_over_several_connections_is_seen_by_who_may_use_all_of_them(
    customer: Customer,
    client: httpx.Client,
    narrowed: httpx.Client,
    connection_id: str,
    folder: Path,
) -> None:
    (folder.parent / f"{folder.name}-more").mkdir()
    (folder.parent / f"{folder.name}-more" / "towns.csv").write_text("id,town\n1,Rome\n")
    more = connect(client, "More", "Files", f"URI={folder}-more")
    query = "SELECT p.id, t.town FROM Office.Files.people p JOIN More.Files.towns t ON t.id = p.id"
    both = json.dumps([connection_id, more])
    with customer.client_of(connection_ids=both) as wide:
        job = ok(wide.post("/api/job/create", json=body(query)))["jobs"][0]
        wait_for_end(wide, job["id"])
        assert [one["id"] for one in ok(wide.get("/api/job/list"))["jobs"]] == [job["id"]]
        [run] = ok(wide.get(f"/api/job/{job['id']}/runs"))["runs"]
        assert ok(wide.get(f"/api/run/{run['id']}"))["run"]["status"] == "JOB_SUCCESS"
    with customer.client_of(connection_ids=json.dumps([connection_id])) as one_of_them:
        assert ok(one_of_them.get("/api/job/list"))["jobs"] == []
        for path in (f"job/{job['id']}", f"run/{run['id']}", f"run/{run['id']}/log"):
            assert one_of_them.get(f"/api/{path}").status_code == 404


def test_other_accounts_are_not_listed(
    customer: Customer, client: httpx.Client, narrowed: httpx.Client
) -> None:
    for path in ("list", customer.account_id):
        ok(client.get(f"/api/poweredby/account/{path}"))
        assert narrowed.get(f"/api/poweredby/account/{path}").status_code == 403


def test_a_manifest_does_not_send_a_kept_secret_elsewhere(client: httpx.Client) -> None:
    text = 'URL=http://127.0.0.1:9;Paths=/a;AuthScheme=Bearer;Token=hush;Config="{""k"":""hush""}"'
    made = connect(client, "API", "REST", text)
    sent = {"name": "API", "driver": "REST"} | {
        "connectionString": text.replace("hush", "********").partition(";Config=")[0]
        + ";Config=********;Manifest=type: DeclarativeSource"
    }
    refused = client.put(f"/api/connections/{made}", json=sent)
    assert refused.status_code == 400
    assert "Token, Config must be given again" in refused.json()["error"]["message"]
