"""Statements beside what they mean, from files in which a line `=>` stands between the two."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """A client's statement and what it means."""

    name: str
    statement: str
    meaning: str


def cases(file: str) -> list[Case]:
    """All cases of a file of this folder."""
    found = []
    text = (Path(__file__).parent / file).read_text()
    for part in re.split(r"^-- name: ", text, flags=re.MULTILINE)[1:]:
        name, _, rest = part.partition("\n")
        statement, _, meaning = rest.partition("\n=>\n")
        found.append(Case(name.strip(), statement.strip(), meaning.strip()))
    return found
