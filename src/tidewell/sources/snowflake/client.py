"""The SQL API of Snowflake: statements, the partitions of their rows, errors in plain words."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

import httpx
import orjson

from tidewell.errors import (
    SourceBroken,
    SourceError,
    SourceNotFound,
    SourceRefused,
    SourceUnavailable,
    Stopped,
)
from tidewell.sources.calls import BUSY, Calls, busy, checked_root, seconds
from tidewell.sources.protocol import Environment
from tidewell.sources.snowflake.login import login

Row = list[str | None]

_HOSTS = (".snowflakecomputing.com", ".snowflakecomputing.cn")
_FIRST_LOOK_SECONDS = 0.05
_LONGEST_LOOK_SECONDS = 2.0
_CANCEL_SECONDS = 2
_MISSING = ("002003", "002043")
"""Object does not exist or not authorized; of SHOW and DESCRIBE."""
_NO_DATABASE = "390201"
_NO_WAREHOUSE = "000606"
_ENDED = ("000604", "000630", "000625")
"""Cancelled, or its time was over."""


class Client:
    """The API as one user sees it. `cancel` may be called from another thread.

    Each statement is sent to be executed asynchronously: so its handle is known while it runs, and
    whatever ends the reading of its rows ends it on the warehouse too.
    """

    def __init__(
        self, values: Mapping[str, str], environment: Environment, context: Mapping[str, str]
    ) -> None:
        root = checked_root(
            values["URL"], environment, "Snowflake", lambda host: host.endswith(_HOSTS)
        )
        self._statements = f"{root}/api/v2/statements"
        self._signed_in = login(values, root)
        self._timeout = seconds(values)
        self._environment = environment
        self._context = dict(context)
        self._root = root
        self._calls = Calls(root, self._timeout, environment)

    def rows(self, statement: str, *texts: str) -> Iterator[list[Row]]:
        """The rows of a statement, partition by partition. Each `?` stands for a text."""
        handle, ended = self._submitted(statement, texts), False
        try:
            page = self._first(handle)
            count = len(page["resultSetMetaData"].get("partitionInfo") or [None])
            for number in range(1, count + 1):
                rows = page.pop("data", [])
                yield rows
                # One partition goes before the next one comes.
                del rows
                if number < count:
                    page = self._content("GET", f"{self._statements}/{handle}", partition=number)
            ended = True
        except (SourceBroken, SourceNotFound, SourceRefused):
            ended = True  # by itself
            raise
        finally:
            if not ended:
                self._end(handle)

    def check(self) -> None:
        """Raises Stopped where it has been cancelled."""
        self._calls.check()

    def cancel(self) -> None:
        """End what is going on; it raises Stopped."""
        self._calls.cancel()

    def close(self) -> None:
        """Close the connections."""
        self._calls.close()

    def _submitted(self, statement: str, texts: Sequence[str]) -> str:
        """Send a statement once, however often the request is; returns its handle."""
        request, again = str(uuid4()), False
        body: dict[str, Any] = {
            "statement": statement,
            "timeout": self._timeout,
            **self._context,
            "bindings": {
                str(number): {"type": "TEXT", "value": text} for number, text in enumerate(texts, 1)
            },
            "parameters": {
                "timezone": "UTC",
                "query_tag": "Tidewell",
                # Bytes of a partition are bounded, and so is our memory (48 is the least).
                "client_result_chunk_size": 48,
            },
        }

        def once() -> str:
            nonlocal again
            options = {"requestId": request, "async": "true", "nullable": "true"}
            if again:
                options["retry"] = "true"
            again = True
            answer = self._sent("POST", self._statements, options, body)
            return str(_content(answer)["statementHandle"])

        return self._calls.tried(once)

    def _first(self, handle: str) -> dict[str, Any]:
        """Wait for a statement's end; returns its description and its first rows."""
        pause, until = _FIRST_LOOK_SECONDS, time.monotonic() + self._timeout
        while True:
            found = self._content("GET", f"{self._statements}/{handle}")
            if "resultSetMetaData" in found:
                return found
            if time.monotonic() > until:
                raise SourceUnavailable(
                    f"Snowflake has not ended the statement within {self._timeout} s: "
                    "raise Timeout."
                )
            self._calls.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_LOOK_SECONDS)

    def _content(self, method: str, url: str, **options: object) -> dict[str, Any]:
        given = {name: str(value) for name, value in options.items()}
        return self._calls.tried(lambda: _content(self._sent(method, url, given)))

    def _sent(
        self, method: str, url: str, options: Mapping[str, str], body: Any = None
    ) -> httpx.Response:
        return self._calls.send(
            method, url, params=options or None, json=body, headers=self._signed_in()
        )

    def _end(self, handle: str) -> None:
        """End a statement that nobody reads any more: it costs its owner money."""
        calls = Calls(self._root, _CANCEL_SECONDS, self._environment)
        with suppress(SourceError, Stopped):
            calls.send("POST", f"{self._statements}/{handle}/cancel", headers=self._signed_in())
        calls.close()


def _content(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = orjson.loads(answer.content)
    except ValueError:
        body = None
    if answer.is_success and isinstance(body, dict):
        return body
    status = answer.status_code
    code = str(body.get("code", "")) if isinstance(body, dict) else ""
    said = str(body.get("message") if isinstance(body, dict) else answer.reason_phrase)
    said = " ".join(said.split())[:300]
    if status == 401:
        raise SourceRefused(f"Snowflake does not accept the credentials (401): {said}")
    if status == 403:
        raise SourceRefused(f"Snowflake does not let this address or user in (403): {said}")
    if code in _MISSING:
        raise SourceNotFound(f"Snowflake reports: {said}")
    if code == _NO_DATABASE:
        raise SourceRefused(f"{said} Check Database and Role.")
    if code == _NO_WAREHOUSE:
        raise SourceRefused("The user has no warehouse of its own that runs: give Warehouse.")
    if status in (408, 422) and (status == 408 or code in _ENDED):
        raise SourceUnavailable(f"Snowflake ended the statement: {said}")
    if status in BUSY:
        raise busy("Snowflake", answer, said)
    if status == 404:
        raise SourceRefused("There is no such account: check URL (404).")
    raise SourceBroken(f"Snowflake refuses the statement ({code or status}): {said}")
