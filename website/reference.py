"""The reference pages of the documents, written from the code: `make docs-reference`.

    settings.md   every setting of the environment
    errors.md     every code that an answer or a run may have
    drivers.md    every key of every connection string
    metrics.md    every figure of /metrics
    commands.md   every command and option
    calls.md      every call of the HTTP API, and every event of a webhook

tests/unit/test_reference.py fails when a page is not what this writes.
"""

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
import typer.main
from prometheus_client import CollectorRegistry, Metric

from tidewell.api import errors as answers
from tidewell.api import openapi
from tidewell.api.app import create_app
from tidewell.api.metrics import StateGauges
from tidewell.cli.calling import RUN_FAILED
from tidewell.cli.commands import app
from tidewell.connections import cache
from tidewell.errors import Disposition, RequestError, TidewellError, Unavailable
from tidewell.metrics import REGISTRY
from tidewell.pages.jobs.advice import CODES as RUN_CODES
from tidewell.pages.jobs.advice import advice
from tidewell.query.processes import Broken
from tidewell.settings import Settings
from tidewell.sources import registry
from tidewell.sources.protocol import Key
from tidewell.webhooks.events import ABOUT

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
_NOTE = "<!-- Written by `make docs-reference` from the code: edit the code, not this page. -->\n"
_OF_ANSWERS = (RequestError, Unavailable, Broken)
_DISPOSITIONS = {
    Disposition.FAIL: "fails at once",
    Disposition.RETRY: "is tried again",
    Disposition.STOP: "is stopped",
}


def pages() -> dict[str, str]:
    """Every page of the reference, by its file's name."""
    made = {
        "settings.md": _settings(),
        "errors.md": _errors(),
        "drivers.md": _drivers(),
        "metrics.md": _metrics(),
        "commands.md": _commands(),
        "calls.md": _calls(),
    }
    return {name: f"{_NOTE}\n{text.strip()}\n" for name, text in made.items()}


def _settings() -> str:
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.get_default()
        shown = getattr(default, "get_secret_value", lambda default=default: default)()
        told = f"`{shown}`" if shown not in ("", None) else "empty"
        rows.append((f"`TIDEWELL_{name.upper()}`", field.description or "", told))
    return (
        "# Settings\n\nAll from the environment of the process; `tidewell serve --help` shows "
        "them, and `tidewell doctor` says what is wrong with them.\n\n"
        f"{_table(('variable', 'meaning', 'default'), rows)}\n\n"
        "Of others, these are read too: `OTEL_EXPORTER_OTLP_ENDPOINT` and the rest of "
        "OpenTelemetry's own ([traces](../watching.md#traces)), and on the command line "
        "`TIDEWELL_URL`, `TIDEWELL_TOKEN`, `TIDEWELL_SUB` and `TIDEWELL_CONNECTION_STRING` "
        "([commands](commands.md))."
    )


def _errors() -> str:
    found = {kind.code: kind for kind in reversed(list(_kinds(TidewellError)))}
    requests, runs = [], []
    for code, kind in sorted(found.items()):
        meaning = " ".join((kind.__doc__ or "").split())
        if issubclass(kind, _OF_ANSWERS) or kind is TidewellError:
            requests.append((kind.status, f"`{code}`", meaning))
        if code in RUN_CODES:
            told = advice(code)
            runs.append((f"`{code}`", f"{meaning}", _DISPOSITIONS[kind.disposition], told.steps))
    for code in RUN_CODES - set(found):
        told = advice(code)
        runs.append((f"`{code}`", f"{told.title}.", "fails at once", told.steps))
    runs.sort()
    described = {status: text for status, (_, text, _) in openapi._ERRORS.items()}
    requests += [
        (status, f"`{code}`", described.get(status) or answers._MESSAGES[status])
        for status, code in answers._CODES.items()
        if code not in found
    ]
    requests.sort()
    return (
        "# Error codes\n\n## Of an answer\n\n"
        'Every answer over 399 is `{"error": {"code", "message", "details", '
        '"requestId"}}`; `details` names the fields that are to blame, where some are. The same '
        "id is in the header `X-Request-Id` and in the server's log.\n\n"
        f"{_table(('status', 'code', 'meaning'), requests)}\n\n"
        "A call that reaches out to a source or a cache (the test of a connection, a live query, "
        "the tables of a source) answers 400 "
        "with a code of the next table.\n\n"
        "## Of a run\n\n"
        "`GET /api/run/{id}` tells it in `error.code`, and the Jobs pages say what to do.\n\n"
        f"{_table(('code', 'meaning', 'the run', 'what to do'), runs)}"
    )


def _kinds(kind: type[TidewellError]) -> Iterator[type[TidewellError]]:
    yield kind
    for one in kind.__subclasses__():
        if one.__module__.startswith("tidewell."):
            yield from _kinds(one)


def _drivers() -> str:
    parts = [
        "# Drivers and their keys",
        "A connection string is `key=value` pairs separated by `;`. Keys are the same in any case; "
        "a value with `;` or `=` in it stands in quotes, a quote in it is doubled. A secret is "
        "stored encrypted and answered as `********`.",
        "`tidewell connection drivers` lists what is installed. "
        "[Airbyte connectors](../sources-saas.md#any-airbyte-connector) and "
        "[drivers of your own](../write-a-driver.md) are drivers too; their forms show their keys.",
        "## The cache",
        "The PostgreSQL that copies are kept in: `POST /api/job/cacheConnection`, "
        "`tidewell connection cache`. A string may begin with `jdbc:cdata:postgresql:`.",
        _keys(cache.KEYS),
        "Accepted and without effect here, so that a string of the reference's driver works as it "
        f"is: {', '.join(f'`{one}`' for one in sorted(cache.IGNORED))}.",
    ]
    for name in own_drivers():
        driver = registry.driver(name)
        parts += [f"## {driver.name}", _keys(driver.keys)]
    return "\n\n".join(parts)


def own_drivers() -> list[str]:
    """The drivers that Tidewell itself brings, whatever else is installed."""
    points = entry_points(group=registry.GROUP)
    found = [point.name for point in points if point.dist and point.dist.name == "tidewell"]
    return sorted(found, key=str.lower)


def _keys(keys: Sequence[Key]) -> str:
    rows = []
    for key in keys:
        marks = ["required"] * key.required + ["secret"] * key.secret
        choices = f" One of {', '.join(f'`{one}`' for one in key.choices)}." if key.choices else ""
        default = f"`{key.default}`" if key.default else ""
        belongs = " or ".join(f"`{one}`" for one in key.only_with)
        marks += [f"with {belongs}"] * bool(belongs)
        rows.append((f"`{key.name}`", ", ".join(marks), f"{key.help}{choices}", default))
    return _table(("key", "", "meaning", "default"), rows)


def _metrics() -> str:
    of_process, of_service = list(_families(REGISTRY)), list(_families(StateGauges().registry))
    return (
        "# Metrics\n\n`GET /metrics`, in Prometheus' text format. What they are good for stands in "
        "[Watching it](../watching.md).\n\n## Of the process that answers\n\n"
        f"{_figures(of_process)}\n\n## Of the whole service, and of its state database\n\n"
        f"{_figures(of_service)}"
    )


def _families(found: CollectorRegistry) -> Iterator[Metric]:
    yield from found.collect()


def _figures(families: Iterable[Metric]) -> str:
    rows = []
    for family in sorted(families, key=lambda one: one.name):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        name = f"{family.name}_info" if family.type == "info" else name
        rows.append((f"`{name}`", family.type, family.documentation))
    return _table(("metric", "type", "what it tells"), rows)


def _commands() -> str:
    root = typer.main.get_command(app)
    parts = [
        "# Commands",
        "`tidewell COMMAND --help` says the same in a terminal.",
        "Commands with `--url` call a server, with a token; without it they work on this "
        "machine's own settings and state database, for the only sub-account or that of `--sub`. "
        "`--json` prints JSON: one value, and one a line where a command goes on (`job logs`, "
        '`job watch`). A command that says "prints JSON" does so in any case.',
        _table(
            ("exit code", "meaning"),
            [
                ("0", "done"),
                ("1", "it could not be done; one line on standard error says why"),
                ("2", "the command line is wrong"),
                (str(RUN_FAILED), "a run that was waited for (`--wait`) did not succeed"),
                ("130", "Ctrl-C"),
            ],
        ),
        "`tidewell --install-completion` installs completion for your shell (bash, zsh, fish, "
        "PowerShell); `--show-completion` prints it.",
    ]
    for path, command in _leaves(root, ("tidewell",)):
        parts += _command(path, command)
    return "\n\n".join(parts)


def _leaves(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, click.Command]]:
    inner = getattr(command, "commands", None)
    if not inner:
        yield " ".join(path), command
        return
    for name, one in inner.items():
        if not one.hidden:
            yield from _leaves(one, (*path, name))


def _command(path: str, command: click.Command) -> list[str]:
    arguments, options = [], []
    for parameter in command.params:
        if parameter.name == "help" or getattr(parameter, "hidden", False):
            continue
        if parameter.param_type_name == "argument":
            arguments.append(parameter)
        else:
            options.append(parameter)
    words = " ".join((one.metavar or one.name or "").upper() for one in arguments)
    rows = [(f"`{(one.name or '').upper()}`", _plain(one.help), "") for one in arguments]
    rows += [_option(one) for one in options]
    text = inspect.cleandoc((command.help or "").split("\f")[0])
    parts = [f"## {path}", f"```text\n{path} {words}".rstrip() + "\n```", _plain(text)]
    return [*parts, _table(("option", "meaning", "default"), rows)] if rows else parts


def _option(one: Any) -> tuple[str, str, str]:
    names = ", ".join(f"`{name}`" for name in (*one.opts, *one.secondary_opts))
    default = one.default() if callable(one.default) else one.default
    shown = "" if one.required or default in (None, "", False, True, ()) else f"`{default}`"
    needed = "required" if one.required else shown
    environment = f" Or `{one.envvar}`." if one.envvar else ""
    return names, f"{_plain(one.help)}{environment}", needed


def _plain(text: str | None) -> str:
    return " ".join((text or "").split())


def _calls() -> str:
    described = create_app(_Nobody()).openapi()  # type: ignore[arg-type]  # its routes are not called
    by_tag: dict[str, list[tuple[str, str, str]]] = {}
    for path, methods in described["paths"].items():
        for method, call in methods.items():
            line = _plain(call.get("description") or call.get("summary"))
            first = re.split(r"(?<=[.:;]) ", line, maxsplit=1)[0].rstrip(":;")
            for tag in call.get("tags", ["operation"]):
                by_tag.setdefault(tag, []).append((method.upper(), f"`{path}`", first))
    parts = [
        "# Calls",
        "A server describes itself: `/docs` shows each call with its fields, answers and examples, "
        "`/openapi.json` is the OpenAPI document. This is the list.",
    ]
    for tag in described["tags"]:
        rows = by_tag.get(tag["name"], [])
        parts += [f"## {tag['name'].capitalize()}", tag["description"]]
        parts.append(_table(("", "path", ""), rows))
    events = [(f"`{event}`", text) for event, text in ABOUT.items()]
    parts += [
        "## Events of webhooks",
        "[Being told](../watching.md#being-told-webhooks) says how they are sent.",
        _table(("event", "when"), events),
    ]
    return "\n\n".join(parts)


class _Nobody:
    """Services for an application that only describes itself."""

    settings = Settings(_env_file=None)  # type: ignore[call-arg]  # pydantic-settings' own


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    def line(cells: Sequence[Any]) -> str:
        return f"| {' | '.join(_escaped(str(cell)) for cell in cells)} |"

    return "\n".join([line(heads), line(["---"] * len(heads)), *map(line, rows)])


def _escaped(text: str) -> str:
    """A cell's text; what stands in backticks stays as it is, save for the table's own bars."""
    parts = text.replace("|", "\\|").split("`")
    parts[::2] = [part.replace("<", "&lt;") for part in parts[::2]]
    return "`".join(parts)


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
