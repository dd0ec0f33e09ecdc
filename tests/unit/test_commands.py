"""What holds for every command."""

from collections.abc import Iterator
from typing import Any

import typer.main

from tidewell.cli.commands import app

LONG_RUNNING = {"serve", "worker", "ticker", "demo"}


def leaves(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The commands below one, by their words."""
    for name, one in getattr(command, "commands", {}).items():
        if hasattr(one, "commands"):
            yield from leaves(one, f"{path}{name} ")
        else:
            yield path + name, one


def test_every_command_that_answers_has_json() -> None:
    found = dict(leaves(typer.main.get_command(app)))
    assert len(found) > 30
    without = {
        words
        for words, command in found.items()
        if not any("--json" in option.opts for option in command.params)
    }
    assert without == LONG_RUNNING


def test_every_command_says_what_it_does() -> None:
    assert [words for words, one in leaves(typer.main.get_command(app)) if not one.help] == []
