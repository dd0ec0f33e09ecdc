"""The product as its users have it: the `tidewell` command and HTTP, and nothing else."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

TIDEWELL = [str(Path(sys.executable).with_name("tidewell"))]
ENDED = {"JOB_SUCCESS", "JOB_FAILED", "JOB_STOPPED"}


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without its own settings, with the given ones."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDEWELL_")}
    return kept | dict(settings)


def command(*arguments: str, settings: Mapping[str, str]) -> str:
    """What a command prints; it has to succeed."""
    done = subprocess.run(
        [*TIDEWELL, *arguments],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def process(
    *arguments: str, settings: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A long-running `tidewell` command; it is ended for certain, and its log kept."""
    with log.open("ab") as output:
        running = subprocess.Popen(
            [*TIDEWELL, *arguments],
            env=environment(settings),
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield running
        finally:
            if running.poll() is None:
                running.terminate()
                try:
                    running.wait(30)
                except subprocess.TimeoutExpired:
                    running.kill()
                    running.wait()


@dataclass
class Customer:
    """A customer's program: it knows the base URL and has its vendor's key."""

    base_url: str
    key: Path
    parent_id: str
    account_id: str
    settings: Mapping[str, str]

    def token(self) -> str:
        """A token that the command line makes."""
        return command(
            "token",
            "--key",
            str(self.key),
            "--iss",
            self.parent_id,
            "--sub",
            self.account_id,
            settings=self.settings,
        ).strip()

    def client(self, token: str | None = None) -> httpx.Client:
        """An HTTP client with a token."""
        return httpx.Client(
            base_url=self.base_url,
            headers={"Authorization": f"Bearer {token or self.token()}"},
            timeout=30,
        )


def make_customer(base_url: str, folder: Path, settings: Mapping[str, str]) -> Customer:
    """A vendor with a key pair and one customer, made by the command line."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key, public = folder / "vendor.pem", folder / "vendor.pub"
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    public.write_bytes(
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    parent = json.loads(
        command(
            "account", "create", "--name", "Vendor", "--public-key", str(public), settings=settings
        )
    )
    account = json.loads(
        command(
            "subaccount",
            "create",
            "--account",
            parent["id"],
            "--name",
            "Customer",
            settings=settings,
        )
    )
    return Customer(base_url, key, parent["id"], account["id"], settings)


def ok(answer: httpx.Response) -> Any:
    """The body of an answer that has to be a success."""
    assert answer.is_success, answer.text
    return answer.json()


def wait_for_end(client: httpx.Client, job_id: str, *, after: str = "", seconds: float = 60) -> Any:
    """The job when its newest run (started after a time, where given) has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        job = ok(client.get(f"/api/job/{job_id}"))["jobs"][0]
        last = job["lastRun"]
        if last["status"] in ENDED and last["dateTime"] > after:
            return job
        time.sleep(0.1)
    raise AssertionError(f"the run has not ended after {seconds} s: {job}")


def run_now(client: httpx.Client, job_id: str) -> Any:
    """Run a job and give it back when that run has ended."""
    run_id = ok(client.post(f"/api/job/{job_id}/run"))["runId"]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        run = ok(client.get(f"/api/run/{run_id}"))["run"]
        if run["status"] in ENDED:
            return run
        time.sleep(0.05)
    raise AssertionError(f"run {run_id} has not ended: {run}")
