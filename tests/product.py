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
import jwt
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


@dataclass(frozen=True)
class Vendor:
    """A parent account and its key pair."""

    id: str
    kid: str
    private: bytes
    public: bytes


@dataclass(frozen=True)
class Customer:
    """A customer's program: it knows the base URL and has its vendor's key."""

    base_url: str
    vendor: Vendor
    account_id: str

    def token(self, headers: dict[str, Any] | None = None, **changes: Any) -> str:
        """A token signed by the vendor; `changes` replaces claims, None leaves one out."""
        now = int(time.time())
        claims = {
            "tokenType": "powered-by",
            "iat": now,
            "exp": now + 3600,
            "iss": self.vendor.id,
            "sub": self.account_id,
        } | changes
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, self.vendor.private, algorithm="RS256", headers=headers)

    def client(self) -> httpx.Client:
        """An HTTP client with a token."""
        return self.client_of()

    def client_of(self, **changes: Any) -> httpx.Client:
        """The same, with other claims."""
        return httpx.Client(
            base_url=self.base_url,
            headers={"Authorization": f"Bearer {self.token(**changes)}"},
            timeout=30,
        )


def key_pair() -> tuple[bytes, bytes]:
    """A private and a public RSA key in PEM form."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return (
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    )


def make_vendor(folder: Path, settings: Mapping[str, str]) -> Vendor:
    """A vendor with a key pair, made by the command line."""
    private, public = key_pair()
    (folder / "vendor.pub").write_bytes(public)
    arguments = ("--name", "Vendor", "--public-key", str(folder / "vendor.pub"))
    made = json.loads(command("account", "create", *arguments, settings=settings))
    return Vendor(made["id"], made["kid"], private, public)


def make_customer(base_url: str, vendor: Vendor) -> Customer:
    """A customer of a vendor, made over HTTP."""
    with Customer(base_url, vendor, "").client_of(sub=None) as client:
        body = {"accountName": "Customer"}
        made = ok(client.post("/api/poweredby/account/create", json=body))
    return Customer(base_url, vendor, made["accountId"])


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
