"""From the text of a statement to one SELECT whose every part is allowed."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sqlglot import exp
from sqlglot.errors import ErrorLevel, ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from tidewell.errors import QueryFailed
from tidewell.query.allowed import check_allowed
from tidewell.query.dialect import Tidewell
from tidewell.query.places import failure, refused

LONGEST = 200_000
"""Characters of a statement; a longer one is refused before it is read."""
_EXPLAIN = "EXPLAIN"

# The parser would write clients' statements into the server's log.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Statement:
    """One statement that has been read. `explain` asks for its plan instead of its rows."""

    text: str
    query: exp.Query
    explain: bool = False


def read(text: str) -> Statement:
    """Read one SELECT, perhaps with EXPLAIN before it. Raises QueryFailed with the place."""
    explain = text.lstrip()[: len(_EXPLAIN) + 1].upper().split() == [_EXPLAIN]
    rest = text.lstrip()[len(_EXPLAIN) :] if explain else text
    padding = len(text) - len(rest)
    parsed = parsed_statement(" " * padding + rest if padding else rest)
    if not isinstance(parsed, exp.Query):
        raise refused(parsed, "only SELECT is possible here; this call is read-only")
    check_allowed(parsed)
    return Statement(text, parsed, explain)


def parsed_statement(text: str) -> exp.Expr:
    """The one statement of a text, of whatever kind. Raises QueryFailed."""
    if len(text) > LONGEST:
        raise failure(f"it has more than {LONGEST} characters")
    dialect = Tidewell()
    try:
        tokens = dialect.tokenize(text)
        found = dialect.parser(error_level=ErrorLevel.IMMEDIATE).parse(tokens, text)
    except TokenError as error:
        raise failure(f"it cannot be read: {_plain(str(error))}") from error
    except ParseError as error:
        raise _unreadable(error) from error
    except RecursionError:
        raise failure("it is nested too deeply") from None
    except (IndexError, KeyError, AttributeError, TypeError, ValueError) as error:
        # The parser meets some nonsense with errors of its own.
        raise failure("it is no SQL that can be read here") from error
    statements = [one for one in found if one is not None]
    if not statements:
        raise failure("it is empty")
    if len(statements) > 1 or len(found) > len(statements) + 1:
        raise refused(statements[1] if len(statements) > 1 else None, "send one statement a call")
    _place_parameters(statements[0], tokens)
    return statements[0]


def _place_parameters(statement: exp.Expr, tokens: Sequence[Token]) -> None:
    """Note where each parameter stands first: the parser keeps the places of names only."""
    places: dict[str, Token] = {}
    for sign, name in pairwise(tokens):
        if sign.token_type is TokenType.PARAMETER:
            places.setdefault(name.text.lower(), name)
    for node in statement.find_all(exp.Parameter):
        token = places.get(node.name.lower())
        if token is not None:
            node.update_positions(token)


def _unreadable(error: ParseError) -> QueryFailed:
    known = error.errors[0] if error.errors else {}
    place = (known["line"], known["col"]) if known.get("line") and known.get("col") else None
    near = str(known.get("highlight") or "").strip()
    why = _plain(str(known.get("description") or error)).removesuffix(".")
    return failure(f"{why}{f' near {near[:40]!r}' if near else ''}", place)


def _plain(text: str) -> str:
    return " ".join(text.replace("\x1b[4m", "").replace("\x1b[0m", "").split())[:200]
