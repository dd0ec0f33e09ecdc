"""Webhooks: a vendor's program is told what happened to its customer's jobs."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import standardwebhooks

from tests.acceptance.conftest import Body
from tests.conftest import CacheDatabase
from tests.product import Customer, Vendor, make_customer, ok, run_now, wait_for_end
from tests.receiver import Receiver, receiver
from tests.running_product import Product

JobBody = Callable[..., Body]


@pytest.fixture
def listening() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def make(client: httpx.Client, listening: Receiver, **body: Any) -> Any:
    answer = client.post("/api/webhooks", json={"url": f"{listening.url}/hook"} | body)
    assert answer.status_code == 201, answer.text
    return answer.json()["webhook"]


def deliveries(client: httpx.Client, webhook: Any) -> Any:
    return ok(client.get(f"/api/webhooks/{webhook['id']}/deliveries"))["deliveries"]


def test_a_failure_and_the_recovery_from_it_are_told(
    client: httpx.Client,
    cache: CacheDatabase,
    job_body: JobBody,
    folder: Path,
    listening: Receiver,
) -> None:
    webhook = make(client, listening)
    job_id = ok(client.post("/api/job/create", json=job_body()))["jobs"][0]["id"]
    wait_for_end(client, job_id)
    people = (folder / "people.csv").read_text()
    (folder / "people.csv").unlink()
    failed = run_now(client, job_id)
    (folder / "people.csv").write_text(people)
    run_now(client, job_id)

    came = listening.wait_for("run.succeeded", "run.failed", "run.recovered")

    of_failure = next(one for one in came if one.event["type"] == "run.failed")
    data = of_failure.event["data"]
    assert (data["jobId"], data["runId"], data["jobName"]) == (job_id, failed["id"], "people")
    assert data["error"] == failed["error"]
    signed = standardwebhooks.Webhook(webhook["secret"])
    for one in came:
        assert one.path == "/hook"
        assert signed.verify(one.body, one.headers)["type"] == one.event["type"]
    assert len({one.headers["webhook-id"] for one in came}) == len(came)
    # Who receives knows of a delivery before it is noted.
    wait_until(lambda: all(one["status"] for one in deliveries(client, webhook)))
    kept = deliveries(client, webhook)
    assert {one["event"] for one in kept} == {"run.succeeded", "run.failed", "run.recovered"}
    assert {(one["status"], one["error"]) for one in kept} == {(204, None)}


def test_a_change_of_the_sources_columns_is_told(
    client: httpx.Client,
    cache: CacheDatabase,
    job_body: JobBody,
    folder: Path,
    listening: Receiver,
) -> None:
    make(client, listening, events=["schema.changed"])
    job_id = ok(client.post("/api/job/create", json=job_body()))["jobs"][0]["id"]
    wait_for_end(client, job_id)
    (folder / "people.csv").write_text("id,name,born\n1,Ada,1815\n")
    run_now(client, job_id)

    [came] = listening.wait_for("schema.changed")

    assert "born" in came.event["data"]["changes"][0]


def test_a_delivery_is_tried_again_until_it_is_taken(
    product: Product, client: httpx.Client, listening: Receiver
) -> None:
    listening.statuses = [503, 307, 200]
    webhook = make(client, listening)
    delivery = ok(client.post(f"/api/webhooks/{webhook['id']}/test"))["deliveryId"]
    for tries in (1, 2, 3):
        wait_until(lambda tries=tries: deliveries(client, webhook)[0]["attempts"] == tries)
        wait_until(lambda tries=tries: deliveries(client, webhook)[0]["status"] is not None)
        hasten(product, delivery)
    wait_until(lambda: deliveries(client, webhook)[0]["status"] == 200)
    [one] = deliveries(client, webhook)
    assert (one["id"], one["error"], one["attempts"]) == (delivery, None, 3)
    assert one["nextAttempt"].startswith("0001")
    assert [came.path for came in listening.received] == ["/hook"] * 3
    assert {came.headers["webhook-id"] for came in listening.received} == {delivery}


def hasten(product: Product, delivery: str) -> None:
    """The next try waits for minutes: let it be now."""
    with psycopg.connect(product.settings["TIDEWELL_DATABASE_URL"]) as connection:
        connection.execute(
            "UPDATE webhook_delivery SET next_attempt_at = now(), status = NULL "
            "WHERE id = %s AND next_attempt_at IS NOT NULL AND status IS NOT NULL",
            [delivery],
        )


def wait_until(true: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_receiver_that_is_away_is_told_in_the_deliveries(client: httpx.Client) -> None:
    webhook = make(client, Receiver(url="http://127.0.0.1:1"))
    ok(client.post(f"/api/webhooks/{webhook['id']}/test"))
    wait_until(lambda: deliveries(client, webhook)[0]["error"] is not None)
    [one] = deliveries(client, webhook)
    assert one["status"] is None
    assert "refused" in one["error"]
    assert not one["nextAttempt"].startswith("0001")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "999.999.999.999", "10.255.255.1"])
def test_a_receiver_that_cannot_be_reached_ends_nothing_else(
    product: Product, client: httpx.Client, listening: Receiver, host: str
) -> None:
    webhook = make(client, listening)
    with psycopg.connect(product.settings["TIDEWELL_DATABASE_URL"]) as connection:
        # When it was given the name stood for something, or the rules allowed it.
        connection.execute(
            "UPDATE webhook SET url = %s WHERE id = %s", [f"http://{host}/", webhook["id"]]
        )
    ok(client.post(f"/api/webhooks/{webhook['id']}/test"))
    wait_until(lambda: deliveries(client, webhook)[0]["error"] is not None)
    [one] = deliveries(client, webhook)
    assert (one["status"], one["attempts"]) == (None, 1)
    assert "inside Tidewell" not in one["error"]
    assert not one["nextAttempt"].startswith("0001")
    ok(client.post(f"/api/webhooks/{make(client, listening)['id']}/test"))
    listening.wait_for("webhook.test")


def test_a_receiver_that_answers_byte_by_byte_holds_up_no_other(
    product: Product, vendor: Vendor, client: httpx.Client, listening: Receiver
) -> None:
    with receiver(drips=True) as slow:
        webhooks = [make(client, slow) for _ in range(8)]
        for one in webhooks:
            ok(client.post(f"/api/webhooks/{one['id']}/test"))
        slow.wait_for("webhook.test")
        with make_customer(product.base_url, vendor).client() as another:
            ok(another.post(f"/api/webhooks/{make(another, listening)['id']}/test"))
            listening.wait_for("webhook.test", seconds=8)
        assert len(slow.received) < len(webhooks)
        wait_until(lambda: all(deliveries(client, one)[0]["error"] for one in webhooks), 90)


def test_a_late_job_is_told_once(
    product: Product,
    client: httpx.Client,
    cache: CacheDatabase,
    job_body: JobBody,
    folder: Path,
    listening: Receiver,
) -> None:
    make(client, listening, events=["job.late"])
    job_id = ok(client.post("/api/job/create", json=job_body()))["jobs"][0]["id"]
    run = wait_for_end(client, job_id)
    make_late(product, job_id)
    came = listening.wait_for("job.late")
    assert came[0].event["data"]["jobId"] == job_id
    assert run["name"] == came[0].event["data"]["jobName"]
    # Others become late after it, one by one: their events have come, and none of this job again.
    for table in ("orders", "items"):
        (folder / f"{table}.csv").write_text("id\n1\n")
        other = ok(client.post("/api/job/create", json=job_body(sourceTable=table)))["jobs"][0]
        wait_for_end(client, other["id"])
        make_late(product, other["id"])
        wait_until(lambda job=other: job["id"] in jobs_told(listening))
    assert jobs_told(listening).count(job_id) == 1


def make_late(product: Product, job_id: str) -> None:
    """What takes days to come about by itself."""
    with psycopg.connect(product.settings["TIDEWELL_DATABASE_URL"]) as connection:
        connection.execute(
            "UPDATE run SET finished_at = finished_at - interval '1 day' WHERE job_id = %s",
            [job_id],
        )
        connection.execute(
            "UPDATE job SET created_at = created_at - interval '1 day' WHERE id = %s", [job_id]
        )


def jobs_told(listening: Receiver) -> list[str]:
    return [one.event["data"]["jobId"] for one in listening.received]


def test_a_webhook_is_changed_and_its_secret_shown_once(
    client: httpx.Client, listening: Receiver
) -> None:
    made = make(client, listening, events=["run.failed"])
    path = f"/api/webhooks/{made['id']}"
    assert made["secret"].startswith("whsec_")
    assert ok(client.get(path))["webhook"]["secret"] == "********"
    assert ok(client.get("/api/webhooks"))["webhooks"] == [ok(client.get(path))["webhook"]]

    body = {"url": listening.url, "enabled": "false", "newSecret": "true"}
    changed = ok(client.put(path, json=body))["webhook"]

    assert (changed["enabled"], changed["events"]) == (False, [])
    assert changed["secret"] not in ("********", made["secret"])
    assert ok(client.delete(path)) == {}
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": "ftp://x.example/"}, "url"),
        ({"url": "https://me:hush@x.example/"}, "url"),
        ({"url": "http://169.254.169.254/latest/"}, "url"),
        ({"url": "http://10.0.0.1/"}, "url"),
        ({"url": "https://[::1"}, "url"),
        ({"url": "https://x.example/", "events": ["run.exploded"]}, "events.0"),
        ({"url": "https://x.example/", "colour": "red"}, "colour"),
    ],
)
def test_bad_input(client: httpx.Client, body: Body, field: str) -> None:
    answer = client.post("/api/webhooks", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["field"] == field


def test_another_customers_webhooks_do_not_exist(
    client: httpx.Client, customer: Customer, listening: Receiver
) -> None:
    webhook = make(client, listening)
    with make_customer(customer.base_url, customer.vendor).client() as other:
        assert ok(other.get("/api/webhooks"))["webhooks"] == []
        for method, end in (("GET", ""), ("DELETE", ""), ("POST", "/test"), ("GET", "/deliveries")):
            assert other.request(method, f"/api/webhooks/{webhook['id']}{end}").status_code == 404
    with customer.client_of(connection_ids=["36b2c04f-70f4-44a1-876a-29e42237ee63"]) as narrow:
        assert narrow.get("/api/webhooks").status_code == 403
