"""What holds for every command."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from tidewell.cli.commands import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
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


NOT_FOR = {
    "--version": ("pydantic", "httpx", "psycopg"),
    "job list --help": ("psycopg", "fastapi", "duckdb", "numpy"),
    "account list --help": ("httpx", "fastapi", "duckdb", "numpy"),
    "serve --help": ("httpx", "fastapi", "duckdb", "numpy"),
}
_IMPORTED = """
import sys
from tidewell.cli import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize("words", NOT_FOR)
def test_a_command_waits_for_nothing_that_only_others_need(words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED, *words.split()],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(done.stderr.split())
    assert "typer" in imported
    assert imported.isdisjoint(NOT_FOR[words])


def named_in(text: str) -> Iterator[list[str]]:
    """The words of each `tidewell …` of a page, in its blocks and in its sentences."""
    for found in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        block = re.sub(r" #.*$", "", found, flags=re.MULTILINE).replace("\\\n", " ")
        block = re.sub(r'"[^"]*"', '"…"', block)  # a text may hold lines and words of its own
        for line in re.findall(r"(?<![\w/.:-])tidewell .*", block):
            yield shlex.split(re.split(r"[|;&>)]| 2>", line)[0])[1:]
    for line in re.findall(r"`tidewell ([^`]+)`", text):
        yield shlex.split(line.replace("…", ""))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_commands_and_options_that_there_are(page: Path) -> None:
    for words in named_in(page.read_text()):
        left: list[str] = list(words)
        one: Any = typer.main.get_command(app)
        while left and left[0] in getattr(one, "commands", {}):
            one = one.commands[left.pop(0)]
        is_group = hasattr(one, "commands")
        assert not (is_group and left and left[0].isalpha()), f"{page.name}: {words}"
        known = {name for option in one.params for name in (*option.opts, *option.secondary_opts)}
        given = {word.partition("=")[0] for word in left if word.startswith("-")}
        assert given <= known | {"--help"}, f"{page.name}: {words}"


def test_pages_name_commands_at_all() -> None:
    assert sum(len(list(named_in(page.read_text()))) for page in PAGES) > 40
