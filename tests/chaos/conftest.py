"""One state database, one source and one cache for the faults of a file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from tests.chaos.campaign import Campaign
from tests.chaos.cluster import cluster
from tests.conftest import CacheDatabase, new_cache_database
from tidewell.state.embedded import EmbeddedServer


def new_state(server: EmbeddedServer) -> str:
    """The address of a fresh state database."""
    name = f"state_{uuid4().hex}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return server.url(name)


def settings_of(folder: Path, state_url: str, concurrency: int = 3) -> dict[str, str]:
    """Settings of nodes over a state database."""
    return {
        "TIDEWELL_HOME": str(folder / "home"),
        "TIDEWELL_DATABASE_URL": state_url,
        "TIDEWELL_RUN_CONCURRENCY": str(concurrency),
        "TIDEWELL_ACCOUNT_CONCURRENCY": "16",
        "TIDEWELL_RUN_PROCESSES": "3",
        "TIDEWELL_EGRESS_ALLOW": "127.0.0.0/8",
        "TIDEWELL_LOG": "warning",
    }


@dataclass(frozen=True)
class Stage:
    """What a campaign is played on."""

    state_url: str
    source: CacheDatabase
    cache: CacheDatabase
    campaign: Campaign


@pytest.fixture(scope="session")
def stage(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An API node, two workers, and a ticker that goes on when the API node dies."""
    folder = tmp_path_factory.mktemp("chaos")
    state_url = new_state(server)
    with (
        new_cache_database(server) as source,
        new_cache_database(server) as cache,
        cluster(folder, settings_of(folder, state_url), workers=2, tickers=1) as nodes,
    ):
        campaign = Campaign(nodes, source, cache, state_url)
        yield Stage(state_url, source, cache, campaign)
        campaign.close()


@pytest.fixture(autouse=True)
def _jobs_of_this_test_only(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test leaves behind is not reckoned up by the next one."""
    yield
    if "stage" in request.fixturenames:
        request.getfixturevalue("stage").campaign.jobs.clear()
