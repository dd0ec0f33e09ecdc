"""What every test may ask for: the embedded PostgreSQL, and databases of its own in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql

from tests.mariadb_server import MariaDBServer, mariadb_server
from tests.ports import free_port
from tidewell.state.embedded import EmbeddedServer, start

pytest_plugins = ["tests.running_product"]

# A failing example prints the blob that reproduces it; times are measured by `make bench` only.
settings.register_profile(
    "tidewell",
    print_blob=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("tidewell")


@dataclass(frozen=True)
class CacheDatabase:
    """A customer's database: the owner is a plain role without privileges elsewhere."""

    host: str
    port: int
    user: str
    password: str
    database: str

    @property
    def url(self) -> str:
        """Its address for psycopg."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{self.database}"

    @property
    def values(self) -> dict[str, str]:
        """Its address as the values of a connection string."""
        return {
            "Server": self.host,
            "Port": str(self.port),
            "User": self.user,
            "Password": self.password,
            "Database": self.database,
        }

    @property
    def connection_string(self) -> str:
        """Its address for the Job API."""
        return (
            f"Server={self.host};Port={self.port};User={self.user};Password={self.password};"
            f"Database={self.database};"
        )


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """An embedded PostgreSQL for the whole session, in which no two transactions deadlock."""
    home = tmp_path_factory.mktemp("home")
    with start(home) as running:
        yield running
    said = (home / "postgres" / "server.log").read_text(errors="replace")
    where = said.find("deadlock detected")
    assert where < 0, said[where : where + 6_000]


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDBServer]:
    """A real MariaDB for the whole session."""
    with mariadb_server(free_port()) as running:
        yield running


@pytest.fixture
def database_url(server: EmbeddedServer) -> Iterator[str]:
    """The address of a fresh, empty database, as its superuser."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield server.url(name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def cache_database(server: EmbeddedServer) -> Iterator[CacheDatabase]:
    """A fresh, empty database that belongs to a plain role of its own."""
    with new_cache_database(server) as database:
        yield database


@pytest.fixture
def another_cache(server: EmbeddedServer) -> Iterator[CacheDatabase]:
    """Another one, of another role."""
    with new_cache_database(server) as database:
        yield database


@contextmanager
def new_cache_database(server: EmbeddedServer) -> Iterator[CacheDatabase]:
    """A database and its role, for as long as the block."""
    name = f"cache_{uuid4().hex}"
    database = CacheDatabase(server.host, server.port, name, uuid4().hex, name)
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                sql.Identifier(name), sql.Literal(database.password)
            )
        )
        connection.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(sql.Identifier(name)))
        yield database
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
