"""The demo shows every call of the Job API as a line that a shell takes as it stands."""

import json
import re
import shlex
from typing import Any

from tests.openapi_document import DOCUMENT
from tidewell.cli.curl_lines import curl_lines

NINE = {
    "listJobs",
    "getJob",
    "createJob",
    "updateJob",
    "deleteJob",
    "runJob",
    "stopJob",
    "updateCacheConnection",
    "generateCacheConnectionURL",
}
JOB = {
    "id": "c1a42647-7d3b-4b7a-aa1e-d6e41dced189",
    "params": {"sourceName": "Bob's", "sourceSchema": "Files", "sourceTable": "flights"},
}


def operation(method: str, path: str) -> Any:
    """The operation of the OpenAPI document that a call is."""
    for template, operations in DOCUMENT["paths"].items():
        same_path = re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
        if same_path and method.lower() in operations:
            return operations[method.lower()]
    raise AssertionError(f"{method} {path} is no call")


def test_every_call_of_the_job_api_has_a_line() -> None:
    lines = curl_lines("http://127.0.0.1:8080", "t", JOB, "acbb3492-e205-4bc4-a652-42ec6b6ed58e")
    found = set()
    for line in lines.splitlines():
        if not line.startswith("curl"):
            continue
        words = shlex.split(line)
        called = operation(
            words[words.index("-X") + 1], words[4].removeprefix("http://127.0.0.1:8080")
        )
        found.add(called["operationId"])
        if "-d" in words:
            assert json.loads(words[words.index("-d") + 1])
            assert "requestBody" in called
        else:
            assert not called.get("requestBody", {}).get("required")
    assert found >= NINE
