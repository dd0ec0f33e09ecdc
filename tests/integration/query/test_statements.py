"""Statements as clients of the reference write them mean the same wherever their tables are.

`statements.sql` has each beside its meaning in plain PostgreSQL, which psycopg runs on the source.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlglot

from tests import tpch
from tests.conftest import new_cache_database
from tests.integration.query.cases import Case, cases
from tests.integration.query.test_tpch import address_of
from tests.tpch import Account, answer_of
from tidewell.errors import QueryFailed
from tidewell.query.result import as_rows
from tidewell.state.embedded import EmbeddedServer

CRM = "Crm"
TABLES = r'''
CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL, city text, age int, active bool,
                     note text, boss int);
INSERT INTO people VALUES
    (1, 'Ada', 'London', 36, true, 'it''s "quoted"', NULL),
    (2, 'Grace', 'New York', 85, true, '100% sure', 1),
    (3, 'Edsger', 'Austin', 72, false, '', 1),
    (4, 'Alan', 'London', 41, true, NULL, 2),
    (5, 'Barbara', NULL, 28, NULL, '1000', 2),
    (6, 'Donald', 'Paris', NULL, false, NULL, 3),
    (7, 'Hedy', NULL, 50, true, 'x', 6);
CREATE TABLE orders (id int PRIMARY KEY, person int, total numeric(10, 2), day date,
                     placed timestamp);
INSERT INTO orders VALUES
    (1, 1, 10.50, '2024-01-31', '2024-01-31 08:30:15'),
    (2, 1, 20.00, '2024-02-01', '2024-02-01 09:00:00'),
    (3, 2, 7.25, '2024-02-29', '2024-02-29 23:59:59.250'),
    (4, 4, 99.99, '2023-12-31', '2023-12-31 00:00:00'),
    (5, NULL, -3.45, '2024-06-02', '2024-06-02 12:00:00');
CREATE TABLE cities (name text PRIMARY KEY, country text);
INSERT INTO cities VALUES ('London', 'UK'), ('Paris', 'France'), ('Rome', 'Italy'),
                          ('New York', 'USA');
CREATE TABLE orders_of_people (id int PRIMARY KEY, age int, total numeric(12, 3),
                               big numeric(30, 0));
INSERT INTO orders_of_people VALUES (1, 36, 1.500, 123456789012345678901234567890),
                                    (2, NULL, NULL, -1), (9, 7, 0.125, 9007199254740993);
CREATE TABLE "odd table" (id int PRIMARY KEY, "Odd Name" text, "a]b" int, "say ""hi""" text,
                          "Code" text, "code" text);
CREATE TABLE visits (id int PRIMARY KEY, at timestamptz, code text, pattern text);
INSERT INTO visits VALUES (1, '2024-03-31 00:30:00+00', 'A_1', 'A\_%'),
                          (2, '2024-12-31 23:59:59.5+00', 'AB1', 'a%'),
                          (3, NULL, 'a\b', 'a\\b');
INSERT INTO "odd table" VALUES (1, 'one', 10, 'hi', 'A', 'b'), (2, 'two', 20, 'ho', 'C', 'd');
'''
NAMES = ("people", "orders", "cities", "orders_of_people", "odd table", "visits")
KEPT = {"cached": NAMES, "live": (), "mixed": ("people", "odd table", "orders_of_people")}


CASES = cases("statements.sql")


@dataclass(frozen=True)
class World:
    """The source, and an account that reaches it."""

    url: str
    account: Account
    spill: Path


@pytest.fixture(scope="module")
def world(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with new_cache_database(server) as source, new_cache_database(server) as cache:
        with psycopg.connect(source.url) as connection:
            connection.execute(TABLES)
        connected = tpch.postgresql_source(source.values, CRM)
        account = Account(address_of(cache), (connected,))
        for table in NAMES:
            account.keep(connected, table)
        yield World(source.url, account, tmp_path_factory.mktemp("statements"))


def test_there_are_two_hundred_different_ones() -> None:
    assert len({case.statement for case in CASES}) >= 200
    assert len({case.name for case in CASES}) == len(CASES)


def test_each_function_of_the_docs_is_in_one_of_them() -> None:
    docs = Path(__file__).parents[3] / "docs" / "query.md"
    tables = re.findall(
        r"^\| [a-z ]+ \| `([A-Z0-9_]+ [A-Z0-9_ ]+)` \|$", docs.read_text(), re.MULTILINE
    )
    names = {name for table in tables for name in table.split()}
    used = set(re.findall(r"\w+", " ".join(case.statement for case in CASES).upper()))
    assert len(names) > 140
    assert names <= used


@pytest.mark.parametrize("kind", KEPT)
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_it_means_what_it_means(world: World, case: Case, kind: str) -> None:
    with psycopg.connect(world.url) as connection:
        reference = connection.execute(case.meaning.encode()).fetchall()
    with world.account.engine(world.spill, [(CRM, table) for table in KEPT[kind]]) as engine:
        answer = answer_of(engine, case.statement)
    expected, found = rows(reference), rows(answer.rows)
    meaning = sqlglot.parse_one(case.meaning, dialect="postgres")
    if not meaning.args.get("order"):
        expected, found = sorted(expected), sorted(found)
    assert found == expected


def rows(found: list[tuple[Any, ...]]) -> list[list[str]]:
    """Rows with values that compare and sort, whatever type an engine gives a number."""
    return [[repr(tpch.comparable(value)) for value in row] for row in found]


@pytest.mark.parametrize("kind", KEPT)
def test_a_parameter_means_what_its_value_means(world: World, kind: str) -> None:
    statement = """SELECT id / @whole, (SELECT MAX(id) FROM Crm.public.people) / @whole, id * @rate,
        @large + 1 FROM Crm.public.orders WHERE id = 5 AND total <> @rate AND total * @rate < 0"""
    rate, large = Decimal("0.0725"), Decimal("1234567890123456.5")
    with world.account.engine(world.spill, [(CRM, table) for table in KEPT[kind]]) as engine:
        result = engine.run(statement, {"whole": 2, "rate": rate, "large": large}).result
        [row] = [tuple(row) for chunk in result.chunks for row in as_rows(chunk)]
    assert row == (2, 3, Decimal("0.3625"), Decimal("1234567890123457.5"))


@pytest.mark.parametrize("kind", KEPT)
def test_a_parameter_counts_digits_and_characters(world: World, kind: str) -> None:
    statement = """SELECT ROUND(total, @digits), ROUND(CAST(total AS DOUBLE), @digits),
        LEFT('abc', @few), LPAD('abc', @many, '.') FROM Crm.public.orders WHERE id = @few"""
    values = {"digits": 1, "few": 3, "many": 5}
    with world.account.engine(world.spill, [(CRM, table) for table in KEPT[kind]]) as engine:
        result = engine.run(statement, values).result
        [row] = [tuple(row) for chunk in result.chunks for row in as_rows(chunk)]
    assert row == (Decimal("7.3"), 7.3, "abc", "..abc")


@pytest.mark.parametrize("kind", KEPT)
def test_similar_to_is_for_cached_tables(world: World, kind: str) -> None:
    statement = "SELECT id FROM Crm.public.visits WHERE code SIMILAR TO 'A(_|B)%' ORDER BY id"
    with world.account.engine(world.spill, [(CRM, table) for table in KEPT[kind]]) as engine:
        if kind == "cached":
            assert answer_of(engine, statement).rows == [(1,), (2,)]
        else:
            with pytest.raises(QueryFailed, match="SIMILAR TO needs tables that are cached"):
                answer_of(engine, statement)


def test_the_cases_do_not_all_say_the_same(world: World) -> None:
    with psycopg.connect(world.url) as connection:
        answers = Counter(
            repr(connection.execute(case.meaning.encode()).fetchall()) for case in CASES
        )
    assert len(answers) > len(CASES) * 0.7
    assert answers["[]"] <= 6
