"""How the commands of a customer's objects reach the API: a server's, or this machine's own.

With `--url` and `--token` a command calls a server. Without, it opens the state database of this
machine's settings and calls the API inside its own process, for the sub-account of `--sub`: the
same code answers, and whoever may read the state database needs no token.
"""

import asyncio
import functools
import inspect
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec
from uuid import UUID

import httpx
import typer
from pydantic import BaseModel
from rich.console import Console

from tidewell.cli.options import Json, Sub, Token, Url
from tidewell.client import ApiError, AsyncClient, ClientError, RunFailed
from tidewell.errors import TidewellError

RUN_FAILED = 3
"""Exit code of a command that waited for a run which did not succeed; 1 is any other error."""

P = ParamSpec("P")


@dataclass(frozen=True)
class Calling:
    """What a command works with."""

    client: AsyncClient
    as_json: bool
    console: Console
    is_remote: bool = False

    def answer(self, value: Any, show: Callable[[], None]) -> None:
        """Print the result: JSON for programs, else as `show` does for people."""
        if self.as_json:
            sys.stdout.write(json.dumps(plain(value), default=str) + "\n")
        else:
            show()


def calls(
    do: Callable[Concatenate[Calling, P], Awaitable[None]],
) -> Callable[..., None]:
    """A command over the API: it gets the options that say which one; an error is one line."""

    @functools.wraps(do)
    def command(**options: Any) -> None:
        target = {name: options.pop(name) for name in ("url", "token", "sub", "as_json")}
        try:
            asyncio.run(_call(do, target, options))
        except RunFailed as error:
            typer.echo(f"tidewell: {error}", err=True)
            raise typer.Exit(RUN_FAILED) from None
        except ApiError as error:
            raise TidewellError(f"{error.message} ({error.code})") from None
        except ClientError as error:
            raise TidewellError(str(error)) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None

    own = [one for one in inspect.signature(do).parameters.values() if one.name != "calling"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
        for name, kind, default in (
            ("url", Url, ""),
            ("token", Token, ""),
            ("sub", Sub, None),
            ("as_json", Json, False),
        )
    ]
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # typer reads it
        [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own] + added
    )
    return command


async def _call(
    do: Callable[..., Awaitable[None]], target: dict[str, Any], options: dict[str, Any]
) -> None:
    as_json = target.pop("as_json")
    console = Console(stderr=False, highlight=False)
    async with reached(**target) as client:
        await do(Calling(client, as_json, console, bool(target["url"])), **options)


@asynccontextmanager
async def reached(url: str, token: str, sub: UUID | None) -> AsyncIterator[AsyncClient]:
    """A client of the server at `url`, or of this machine's own API. Raises TidewellError."""
    if url:
        if not token:
            raise TidewellError("A server needs a token: give --token, or set TIDEWELL_TOKEN.")
        async with AsyncClient(url, token) as client:
            yield client
        return
    from tidewell.cli.own_api import own_api  # noqa: PLC0415 - a remote call needs none of it

    async with own_api(sub) as app:
        transport = httpx.ASGITransport(app)
        async with AsyncClient("http://tidewell.invalid", "", transport=transport) as client:
            yield client


def plain(value: Any) -> Any:
    """A result as JSON has it, in the API's own spelling."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value
