"""What makes a cache another one: its server, database or user (contract §3)."""

import pytest

from tidewell.connections.cache import is_another, is_same_database

TEXT = "Server=db.example;Port=5432;User=u;Password=p;Database=d"


@pytest.mark.parametrize(
    "change",
    [
        ("Password=p", "Password=q"),
        ("Server=db.example", "Server=DB.example"),
        ("Server=", "jdbc:cdata:postgresql:server="),
        (";Port=5432", ""),
        ("Database=d", "Database=d;Timeout=3;SSLMode=require;PageSize=9"),
    ],
    ids=lambda change: change[1],
)
def test_the_same_cache(change: tuple[str, str]) -> None:
    assert not is_another(TEXT, TEXT.replace(*change))


@pytest.mark.parametrize(
    ("change", "same_tables"),
    [
        (("db.example", "db2.example"), False),
        (("5432", "5433"), False),
        (("Database=d", "Database=D"), False),
        (("User=u", "User=v"), True),
    ],
    ids=["server", "port", "database", "user"],
)
def test_another_cache(change: tuple[str, str], same_tables: bool) -> None:
    assert is_another(TEXT, TEXT.replace(*change))
    assert is_same_database(TEXT, TEXT.replace(*change)) is same_tables
