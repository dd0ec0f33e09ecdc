"""An S3 of the tests: moto's server, which checks who calls and every signature."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx

_START_SECONDS = 60
_LISTENS = re.compile(r"Running on http://127\.0\.0\.1:(\d+)")
_EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


@dataclass(frozen=True)
class S3Server:
    """A running server and the access key of its only user."""

    url: str
    key_id: str
    secret: str

    @property
    def values(self) -> dict[str, str]:
        """What a connection of the Files driver needs."""
        return {
            "Endpoint": self.url,
            "AWSAccessKey": self.key_id,
            "AWSSecretKey": self.secret,
            "AWSRegion": "eu-central-1",
        }

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Make an object, and its bucket where there is none."""
        client = self._client("s3")
        if bucket not in [one["Name"] for one in client.list_buckets()["Buckets"]]:
            place = {"LocationConstraint": "eu-central-1"}
            client.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
        client.put_object(Bucket=bucket, Key=key, Body=content)

    def _client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="eu-central-1",
            aws_access_key_id=self.key_id,
            aws_secret_access_key=self.secret,
        )


@contextmanager
def s3_server(log: Path) -> Iterator[S3Server]:
    """Run the server with one user who may do everything; anybody else is refused."""
    with log.open("wb") as output:
        running = subprocess.Popen(
            [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", "0"],
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            url = f"http://127.0.0.1:{_port(running, log)}"
            open_to_all = S3Server(url, "anybody", "anything")
            users = open_to_all._client("iam")
            users.create_user(UserName="reader")
            users.put_user_policy(
                UserName="reader", PolicyName="all", PolicyDocument=json.dumps(_EVERYTHING)
            )
            key = users.create_access_key(UserName="reader")["AccessKey"]
            httpx.post(f"{url}/moto-api/reset-auth", content=b"0").raise_for_status()
            yield S3Server(url, key["AccessKeyId"], key["SecretAccessKey"])
        finally:
            running.kill()
            running.wait()


def _port(running: "subprocess.Popen[bytes]", log: Path) -> int:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and running.poll() is None:
        found = _LISTENS.search(log.read_text())
        if found:
            return int(found[1])
        time.sleep(0.1)
    raise AssertionError(f"the S3 server does not start:\n{log.read_text()}")
