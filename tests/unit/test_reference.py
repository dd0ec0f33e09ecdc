"""The reference pages name everything that the code has, and are those that it writes."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest
import typer.main
from prometheus_client import generate_latest

from tidewell.api.metrics import StateGauges
from tidewell.cli.commands import app
from tidewell.errors import TidewellError
from tidewell.metrics import REGISTRY
from tidewell.pages.jobs.advice import CODES
from tidewell.settings import Settings
from tidewell.sources import registry
from tidewell.webhooks.events import Event

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "reference"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "website" / "reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = generator()


def text(name: str) -> str:
    return (FOLDER / name).read_text()


@pytest.mark.parametrize("name", sorted(GENERATOR.pages()))
def test_a_page_is_what_the_code_writes(name: str) -> None:
    assert text(name) == GENERATOR.pages()[name], "run `make docs-reference`"


def test_every_setting_is_there() -> None:
    missing = [
        name
        for name in Settings.model_fields
        if f"`TIDEWELL_{name.upper()}`" not in text("settings.md")
    ]
    assert missing == []


def kinds(kind: type[TidewellError]) -> Iterator[type[TidewellError]]:
    yield kind
    for one in kind.__subclasses__():
        yield from kinds(one)


def test_every_error_code_is_there() -> None:
    codes = {one.code for one in kinds(TidewellError)} | CODES
    for path in (ROOT / "src").rglob("*.py"):
        codes |= set(
            re.findall(r'(?:code=|code = |Failed\(\s*)"([A-Z]+_[A-Z_]+)"', path.read_text())
        )
    assert {"NOT_FOUND", "RUN_LOST", "RUN_PROCESS_DIED", "EGRESS_REFUSED"} <= codes
    assert {code for code in codes if f"`{code}`" not in text("errors.md")} == set()


def test_every_code_of_a_run_has_its_own_advice() -> None:
    of_runs = {
        one.code
        for one in kinds(TidewellError)
        if re.match("SOURCE|CACHE|RUN|VALUE|HOST|EGRESS|FENCED|STOPPED|INTERNAL", one.code)
    }
    assert of_runs - CODES == set()


@pytest.mark.parametrize("name", GENERATOR.own_drivers())
def test_every_key_of_a_driver_is_there(name: str) -> None:
    part = text("drivers.md").partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    keys = registry.driver(name).keys
    assert keys
    assert [key.name for key in keys if f"`{key.name}`" not in part or key.help not in part] == []


def test_every_metric_is_there() -> None:
    written = (generate_latest(StateGauges().registry) + generate_latest(REGISTRY)).decode()
    names = set(re.findall(r"^# TYPE (\w+) ", written, re.MULTILINE))
    named = {name for name in names if not name.endswith("_created")}
    assert {name for name in named if f"`{name}`" not in text("metrics.md")} == set()


def commands(command: click.Command, path: str = "tidewell") -> Iterator[tuple[str, click.Command]]:
    inner = getattr(command, "commands", None)
    if not inner:
        yield path, command
    for name, one in (inner or {}).items():
        yield from commands(one, f"{path} {name}")


def test_every_command_and_option_is_there() -> None:
    page = text("commands.md")
    found = list(commands(typer.main.get_command(app)))
    assert len(found) > 30
    for path, command in found:
        part = page.partition(f"\n## {path}\n")[2].partition("\n## ")[0]
        assert part, path
        for parameter in command.params:
            for name in parameter.opts if parameter.param_type_name == "option" else []:
                assert f"`{name}`" in part, f"{path} {name}"


def test_every_event_of_a_webhook_is_there() -> None:
    assert [event for event in Event if f"`{event}`" not in text("calls.md")] == []


def test_every_page_is_in_the_sites_navigation() -> None:
    listed = (ROOT / "mkdocs.yml").read_text()
    pages = [str(path.relative_to(FOLDER.parent)) for path in FOLDER.parent.rglob("*.md")]
    assert len(pages) > 30
    missing = [page for page in pages if not re.search(rf"[-:] {re.escape(page)}$", listed, re.M)]
    assert missing == [], "name it under `nav` in mkdocs.yml"
