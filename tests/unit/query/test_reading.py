"""What can be told of a statement from its text alone."""

import pytest

from tidewell.query.reading import names_tables


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("SELECT 1 AS one", False),
        ("SELECT * FROM (VALUES (1)) AS v (x)", False),
        ("WITH a AS (SELECT 1 AS x), b AS (SELECT x FROM a) SELECT x FROM b", False),
        ("WITH RECURSIVE a AS (SELECT 1 AS x UNION SELECT x FROM a) SELECT x FROM a", False),
        ("SELECT id FROM Office.Files.people", True),
        ("WITH a AS (SELECT id FROM a) SELECT id FROM a", True),
        ("WITH a AS (SELECT 1 AS x) SELECT x FROM Files.a", True),
        ("INSERT INTO Shop.public.stock SELECT 1 AS pieces", True),
        ("UPDATE Shop.public.stock SET pieces = 1", True),
    ],
)
def test_a_statement_names_tables_or_none(text: str, *, names: bool) -> None:
    assert names_tables(text) is names
