"""The state database's schema: made once, by whoever comes first."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

import tidewell.state.migrations.versions
from tidewell.errors import TidewellError
from tidewell.state.schema import HEAD, upgrade, version


def test_the_head_is_the_newest_migration() -> None:
    folder = Path(next(iter(tidewell.state.migrations.versions.__path__)))
    assert max(path.name for path in folder.glob("[0-9]*.py")).startswith(HEAD)


def test_nodes_that_start_together_make_it_once(database_url: str) -> None:
    assert version(database_url) is None
    with ThreadPoolExecutor(4) as nodes:
        list(nodes.map(upgrade, [database_url] * 4))
    assert version(database_url) == HEAD
    upgrade(database_url)


def test_a_newer_schema_is_left_alone(database_url: str) -> None:
    """While a new version rolls out, nodes of the old one still start."""
    upgrade(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE schema_version SET version_num = '9999'")
    upgrade(database_url)
    assert version(database_url) == "9999"


@pytest.mark.parametrize(
    "url", ["nonsense", "postgresql://me:hush@127.0.0.1:1/x", "postgresql://me:hush@[/x"]
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(url: str) -> None:
    with pytest.raises(TidewellError, match="TIDEWELL_DATABASE_URL") as caught:
        upgrade(url)
    assert "hush" not in caught.value.message
