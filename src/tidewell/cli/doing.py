"""What the small commands share: the settings, one transaction, and JSON as their answer."""

import asyncio
import functools
import inspect
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer
from pydantic import ValidationError
from rich.console import Console

from tidewell.accounts import repository as accounts
from tidewell.cli import tables
from tidewell.errors import TidewellError
from tidewell.settings import Settings
from tidewell.state.database import Connection, Database
from tidewell.state.opened import state_url
from tidewell.state.schema import upgrade

T = TypeVar("T")
Answer = dict[str, Any]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON, as it does into a pipe.")]


def answers(do: Callable[..., Answer]) -> Callable[..., None]:
    """A command that prints what it returns: for a person at a terminal, else as JSON.

    Scripts read it with or without `--json`.
    """

    @functools.wraps(do)
    def command(*, as_json: bool, **options: Any) -> None:
        answer = do(**options)
        if as_json or not sys.stdout.isatty():
            sys.stdout.write(json.dumps(answer) + "\n")
        else:
            tables.answer(Console(highlight=False), answer)

    own = list(inspect.signature(do).parameters.values())
    told = inspect.Parameter(
        "as_json", inspect.Parameter.KEYWORD_ONLY, annotation=_Json, default=False
    )
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # typer reads it
        [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own] + [told]
    )
    return command


def load_settings() -> Settings:
    """The settings of the environment. Raises TidewellError that names the wrong one."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"TIDEWELL_{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors()
        )
        raise TidewellError(f"The settings are not valid: {wrong}") from None


def in_database(do: Callable[[Connection], Awaitable[T]]) -> T:
    """Do something in one transaction on the state database; returns its answer."""

    async def done(url: str) -> T:
        async with Database(url) as database, database.transaction() as connection:
            return await do(connection)

    with state_url(load_settings()) as url:
        upgrade(url)
        return asyncio.run(done(url))


async def chosen_account(connection: Connection, account_id: UUID | None) -> tuple[UUID, UUID]:
    """The sub-account of an id, or the only one, after its parent. Raises TidewellError."""
    found = await accounts.some_accounts(connection, account_id, 2)
    if not found:
        missing = f"no sub-account {account_id}" if account_id else "no sub-account yet"
        raise TidewellError(
            f"There is {missing}: `tidewell subaccount create` makes one; for another server give "
            "--url and --token."
        )
    if len(found) > 1:
        raise TidewellError(
            "There are several sub-accounts here: say which with --sub, or set TIDEWELL_SUB; "
            "`tidewell subaccount list` shows them."
        )
    return found[0]["parent_id"], found[0]["id"]
