"""The process's own log: JSON lines or a terminal's, and never a secret."""

import io
import logging
import sys
from collections.abc import Callable, Iterator
from contextvars import copy_context

import pytest
import structlog

from tidewell import logs
from tidewell.connections import strings
from tidewell.query.child import _masked
from tidewell.query.messages import QueryTask
from tidewell.sources import registry

SECRET = "c4n4ry;\"'\n\\é"
Lines = Callable[[], str]


@pytest.fixture(params=[False, True], ids=["json", "terminal"])
def lines(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """What has been logged."""
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    kept = logging.getLogger().handlers, logging.getLogger().level
    logs.set_up("debug", pretty=request.param)
    yield written.getvalue
    logging.getLogger().handlers, _ = kept
    logging.getLogger().setLevel(kept[1])
    structlog.reset_defaults()


def broken(said: str) -> None:
    """What a driver does that nobody has foreseen, with a secret in its words and variables."""
    password = said
    raise RuntimeError(f"cannot log in with {password}, {password!r}")


def use_the_secret() -> None:
    text = f"URL=http://h.test/;AuthScheme=Basic;User=me;Password={strings._quoted(SECRET)}"
    values = strings.parse(text, registry.driver("OData").keys)
    log = structlog.get_logger()
    try:
        broken(values["Password"])
    except RuntimeError:
        log.exception("broke", said=f"<{values['Password']}>", Password=values["Password"])
    logging.getLogger("a.library").warning("sent %s", values["Password"])
    log.info("before", password="x")


def test_no_line_shows_a_secret_that_was_read(lines: Lines) -> None:
    copy_context().run(use_the_secret)
    said = lines()
    assert "cannot log in with ********, '********'" in said
    assert "sent ********" in said
    assert "<********>" in said
    assert "Traceback" in said
    assert "c4n4ry" not in said


def test_what_one_task_hides_another_still_says(lines: Lines) -> None:
    copy_context().run(logs.hide, ["word"])
    structlog.get_logger().info("a word")
    assert "a word" in lines()


def test_a_traceback_of_a_query_shows_no_secret_of_its_connections() -> None:
    texts = [
        {"name": "A", "driver": "OData", "text": "URL=http://h/;Password=c4n4ry1"},
        {"name": "B", "driver": "gone", "text": "Password=whatever"},
    ]
    task = QueryTask("query", connections=tuple(texts), cache={"password": "c4n4ry2"})
    assert _masked("with c4n4ry1 and c4n4ry2", task) == "with ******** and ********"
