"""Whatever a customer's programs call side by side: no call gets in another's way so that it fails,
and what is deleted in between is gone."""

import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tests.acceptance.conftest import Body
from tests.conftest import CacheDatabase, new_cache_database
from tests.product import Customer, ok
from tidewell.state.embedded import EmbeddedServer

JobBody = Callable[..., Body]
SEED = int(os.environ.get("CALLS_SEED", "7"))
PROGRAMS, CALLS, TABLES = 6, 60, 3


class Program:
    """Calls one thing after the other, by chance, about jobs that others call about, too."""

    def __init__(
        self, client: httpx.Client, bodies: list[Body], caches: list[CacheDatabase], seed: int
    ) -> None:
        self.client = client
        self.bodies = bodies
        self.caches = caches
        self.chance = random.Random(seed)  # noqa: S311 - no secret
        self.calls = [
            *[self.create] * 4,
            *[self.run] * 6,
            *[self.stop] * 3,
            *[self.update] * 2,
            self.delete,
            self.save_cache,
        ]

    def call(self) -> tuple[str, httpx.Response]:
        """What was called, and the answer."""
        calling = self.chance.choice(self.calls)
        return calling.__name__, calling()

    def create(self) -> httpx.Response:
        return self.client.post("/api/job/create", json=self.chance.choice(self.bodies))

    def run(self) -> httpx.Response:
        return self.client.post(f"/api/job/{self.some_job()['id']}/run")

    def stop(self) -> httpx.Response:
        return self.client.post(f"/api/job/{self.some_job()['id']}/stop")

    def update(self) -> httpx.Response:
        job = self.some_job()
        body = next((one for one in self.bodies if one["params"]["sourceTable"] == job["name"]), {})
        return self.client.put(f"/api/job/{job['id']}/update", json=body | {"intervalValue": "2"})

    def delete(self) -> httpx.Response:
        return self.client.delete(f"/api/job/{self.some_job()['id']}/delete")

    def save_cache(self) -> httpx.Response:
        text = self.chance.choice(self.caches).connection_string
        return self.client.post("/api/job/cacheConnection", json={"connectionString": text})

    def some_job(self) -> Any:
        jobs = ok(self.client.get("/api/job/list"))["jobs"]
        return self.chance.choice(
            jobs or [{"id": "3f0d4d8e-0000-4000-8000-000000000000", "name": ""}]
        )


def test_no_call_fails_because_of_another(
    customer: Customer,
    server: EmbeddedServer,
    cache: CacheDatabase,
    folder: Path,
    job_body: JobBody,
) -> None:
    print(f"CALLS_SEED={SEED}")
    for number in range(TABLES):
        (folder / f"table{number}.csv").write_text("id,name\n1,Ada\n2,Grace\n")
    bodies = [job_body(sourceTable=f"table{number}") for number in range(TABLES)]

    with new_cache_database(server) as other, ThreadPoolExecutor(PROGRAMS) as pool:

        def use(number: int) -> list[tuple[str, httpx.Response]]:
            with customer.client() as own:
                program = Program(own, bodies, [cache, other], SEED + number)
                return [program.call() for _ in range(CALLS)]

        answers = [one for told in pool.map(use, range(PROGRAMS)) for one in told]
    wrong = [(name, one.text) for name, one in answers if one.status_code >= 500]
    assert not wrong
    worked = {name for name, one in answers if one.is_success}
    assert worked == {"create", "run", "stop", "update", "delete", "save_cache"}
