"""MailChimp's lists are kept in a customer's PostgreSQL, over HTTP only."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from tests.acceptance.conftest import caching, connect
from tests.conftest import CacheDatabase
from tests.mailchimp_server import FIRST, KEY, MailChimp, mailchimp
from tests.product import ok, run_now, wait_for_end

CONVERSATIONS, MEMBERS = 2345, 1500


@pytest.fixture
def account() -> Iterator[MailChimp]:
    """An account with three pages of conversations and two lists of members."""
    with mailchimp() as running:
        running.data["conversations"] = [conversation(n) for n in range(CONVERSATIONS)]
        running.data["lists"] = [{"id": "news"}, {"id": "offers"}]
        for name in ("news", "offers"):
            running.data[f"lists/{name}/members"] = [member(name, n) for n in range(MEMBERS)]
        yield running


@pytest.fixture
def connection(client: httpx.Client, cache: CacheDatabase, account: MailChimp) -> str:
    return connect(client, "MailChimp1", "mailchimp", f"APIKey={KEY};URL={account.url}")


def conversation(number: int) -> dict[str, Any]:
    said = {"message": f"Answer {number}, grüezi", "read": number % 2 == 0}
    return {
        "id": f"c{number}",
        "message_count": number % 7,
        "subject": None if number % 10 == 0 else f"Subject {number}",
        "last_message": said | {"timestamp": moment(number).isoformat()},
        "_links": [{"rel": "self"}],
    }


def member(list_id: str, number: int) -> dict[str, Any]:
    return {
        "id": f"{number:032x}",
        "list_id": list_id,
        "email_address": f"m{number}@example.org",
        "status": "subscribed",
        "last_changed": "" if number == 7 else moment(number).isoformat(),
    }


def moment(number: int) -> datetime:
    return FIRST + timedelta(seconds=number)


def job(connection_id: str, table: str, time_column: str = "") -> dict[str, Any]:
    return caching(
        connection_id,
        sourceName="MailChimp1",
        sourceSchema="MailChimp",
        sourceTable=table,
        timeCheckColumn=time_column,
    ) | {"logVerbosity": "3"}


def cached(database: CacheDatabase, table: str, *columns: str) -> list[tuple[Any, ...]]:
    statement = sql.SQL("SELECT {} FROM {}").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier("MailChimp1", table)
    )
    with psycopg.connect(database.url, options="-c timezone=UTC") as connection:
        return sorted(connection.execute(statement).fetchall(), key=repr)


def test_conversations_are_cached_whole_as_the_references_own_example_asks(
    client: httpx.Client, cache: CacheDatabase, account: MailChimp, connection: str
) -> None:
    made = ok(client.post("/api/job/create", json=job(connection, "Conversations")))["jobs"][0]
    ended = wait_for_end(client, made["id"])
    assert ended["lastRun"]["status"] == "JOB_SUCCESS"
    assert ended["lastRun"]["rowsAffected"] == CONVERSATIONS

    rows = cached(cache, "Conversations", "id", "message_count", "last_message_timestamp")
    assert {tuple(row) for row in rows} == {
        (f"c{n}", n % 7, moment(n)) for n in range(CONVERSATIONS)
    }
    assert len(rows) == CONVERSATIONS
    ((said,),) = [
        row for row in cached(cache, "Conversations", "last_message") if "Answer 5," in str(row)
    ]
    assert said["message"] == "Answer 5, grüezi"

    del account.data["conversations"][:100]
    account.data["conversations"][0]["message_count"] = 99
    again = run_now(client, made["id"])
    assert (again["rowsAffected"], again["receipt"]["deleted"]) == (101, 100)
    assert len(cached(cache, "Conversations", "id")) == CONVERSATIONS - 100


def test_an_increment_asks_mailchimp_for_what_changed_and_merges_it(
    client: httpx.Client, cache: CacheDatabase, account: MailChimp, connection: str
) -> None:
    body = job(connection, "ListMembers", "last_changed")
    made = ok(client.post("/api/job/create", json=body))["jobs"][0]
    assert wait_for_end(client, made["id"])["lastRun"]["rowsAffected"] == 2 * MEMBERS
    assert not any("since_last_changed" in one for one in account.requests)

    later = moment(MEMBERS + 3600)
    account.data["lists/news/members"][3] |= {
        "status": "unsubscribed",
        "last_changed": later.isoformat(),
    }
    account.data["lists/offers/members"].append(
        member("offers", MEMBERS) | {"last_changed": later.isoformat()}
    )
    account.requests.clear()
    ended = run_now(client, made["id"])
    assert (ended["status"], ended["receipt"]["mode"]) == ("JOB_SUCCESS", "incremental")
    assert ended["rowsAffected"] == 2, "the rows of the overlap are as they were"

    asked = [one for one in account.requests if "/members?" in one]
    assert asked
    assert all("since_last_changed=" in one for one in asked)
    rows = cached(cache, "ListMembers", "list_id", "id", "status", "last_changed")
    assert len(rows) == 2 * MEMBERS + 1
    assert ("news", f"{3:032x}", "unsubscribed", later) in rows
    assert ("offers", f"{MEMBERS:032x}", "subscribed", later) in rows


def test_the_key_stands_nowhere_in_answers_and_logs(
    client: httpx.Client, account: MailChimp, connection: str
) -> None:
    answer = client.get(f"/api/connections/{connection}")
    assert KEY not in answer.text
    body = job(connection, "CampaignFolders")
    made = ok(client.post("/api/job/create", json=body))["jobs"][0]
    wait_for_end(client, made["id"])
    runs = ok(client.get(f"/api/job/{made['id']}/runs"))["runs"]
    log = client.get(f"/api/run/{runs[0]['id']}/log").text
    assert "/campaign-folders" in log, "each request is told at this verbosity"
    assert KEY not in log
    assert "Basic " not in log


def test_a_wrong_key_and_a_host_that_is_not_mailchimps_are_told(
    client: httpx.Client, account: MailChimp
) -> None:
    wrong = connect(client, "Wrong", "MailChimp", f"APIKey=nobody-us1;URL={account.url}")
    tested = ok(client.post(f"/api/connections/{wrong}/test"))
    assert tested["isTested"] is False
    assert "does not accept the credentials (401)" in tested["testError"]
    assert "nobody" not in tested["testError"]

    elsewhere = connect(client, "Else", "MailChimp", "APIKey=a-us1;URL=https://example.com/3.0")
    tested = ok(client.post(f"/api/connections/{elsewhere}/test"))
    assert tested["isTested"] is False
    assert "TIDEWELL_EGRESS_ALLOW" in tested["testError"]
