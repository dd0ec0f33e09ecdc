"""From the text of a statement to one SELECT whose every part is allowed."""

import logging
import re
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
_MISSING = re.compile(r"Missing (?P<sign>\S+) from \d+:(?P<start>\d+)")
_LACKING = re.compile(r"Required keyword: '\w+' missing for <class '[\w.]*\.(?P<part>\w+)'>")
_UNGROUPED = re.compile(r'column "(?:[^"]*\.)?(?P<name>[^".]+)" must appear in the GROUP BY')

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
    parser = dialect.parser(error_level=ErrorLevel.IMMEDIATE)
    try:
        tokens = dialect.tokenize(text)
        found = parser.parse(tokens, text)
    except TokenError as error:
        raise _unclosed(error, text) from error
    except ParseError as error:
        if not error.errors:
            raise _wrong_call(error, tokens, getattr(parser, "_index", 0)) from error
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


def names_tables(text: str) -> bool:
    """Whether a statement names any table beside those of its own WITH. Raises QueryFailed."""
    statement = parsed_statement(text)
    return any(
        isinstance(table.this, exp.Identifier) and not _is_own(table)
        for table in statement.find_all(exp.Table)
    )


def _is_own(table: exp.Table) -> bool:
    """Whether a WITH defines a table's name; what it defines may name itself if it is recursive."""
    if table.args.get("db"):
        return False
    own = {one.alias.casefold() for one in table.root().find_all(exp.CTE)}
    name = table.name.casefold()
    inside = table.find_ancestor(exp.CTE)
    if inside is not None and inside.alias.casefold() == name:
        return bool(inside.parent and inside.parent.args.get("recursive"))
    return name in own


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


def with_place(error: QueryFailed, text: str) -> QueryFailed:
    """An engine's error in the words of ours, with its place in the client's text, where one can
    be told."""
    ungrouped = _UNGROUPED.search(error.message)
    if ungrouped is None:
        return error
    name = ungrouped["name"]
    for column in read(text).query.find_all(exp.Column):
        if column.name.casefold() == name.casefold() and not column.find_ancestor(
            exp.AggFunc, exp.Group, exp.Window
        ):
            return refused(column, f"the column {name!r} is neither in GROUP BY nor aggregated")
    return failure(f"the column {name!r} is neither in GROUP BY nor aggregated")


def _unclosed(error: TokenError, text: str) -> QueryFailed:
    """A text that cannot be cut into words: mostly a quote that nothing closes."""
    missing = _MISSING.search(str(error.__cause__))
    if missing is None:
        return failure(f"it cannot be read: {_plain(str(error))}")
    before = text[: int(missing["start"])]
    place = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    return failure(f"what begins here has no {missing['sign']} at its end", place)


def _wrong_call(error: ParseError, tokens: Sequence[Token], at: int) -> QueryFailed:
    """What a function of `dialect` says of its arguments, with the place of the call."""
    depth = 1
    for position in range(min(at, len(tokens)) - 1, 0, -1):
        kind = tokens[position].token_type
        depth += (kind is TokenType.R_PAREN) - (kind is TokenType.L_PAREN)
        if not depth:
            name = tokens[position - 1]
            begins = name.line, name.col - (name.end - name.start)
            return failure(f"{name.text.upper()[:60]}: {_plain(str(error))}", begins)
    return failure(_plain(str(error)))


def _unreadable(error: ParseError) -> QueryFailed:
    known = error.errors[0] if error.errors else {}
    place = (known["line"], known["col"]) if known.get("line") and known.get("col") else None
    near = str(known.get("highlight") or "").strip()
    why = _plain(str(known.get("description") or error)).removesuffix(".")
    lacking = _LACKING.fullmatch(why)
    if lacking:
        why = f"{lacking['part'].upper()} is not complete"
    near = "" if near == "," else near  # the message says so
    return failure(f"{why}{f' near {near[:40]!r}' if near else ''}", place)


def _plain(text: str) -> str:
    return " ".join(text.replace("\x1b[4m", "").replace("\x1b[0m", "").split())[:200]
