"""The SQL that clients write: PostgreSQL's, with the quotes, TOP and functions of other dialects.

Functions that the engines spell differently are rewritten while they are read, into forms that
PostgreSQL and DuckDB both have and answer alike. `FUNCTIONS` is the list that docs/query.md shows.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.dialect import NormalizationStrategy
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import ParseError
from sqlglot.parsers.postgres import PostgresParser
from sqlglot.tokenizer_core import TokenType

Arguments = Sequence[exp.Expr]
Builder = Callable[[Arguments], exp.Expr]

_UNITS = {
    **dict.fromkeys(("year", "yyyy", "yy", "years"), "year"),
    **dict.fromkeys(("quarter", "qq", "q", "quarters"), "quarter"),
    **dict.fromkeys(("month", "mm", "m", "months"), "month"),
    **dict.fromkeys(("week", "wk", "ww", "weeks", "isowk", "isoww", "iso_week"), "week"),
    **dict.fromkeys(("day", "dd", "d", "days"), "day"),
    **dict.fromkeys(("hour", "hh", "hours"), "hour"),
    **dict.fromkeys(("minute", "mi", "n", "minutes"), "minute"),
    **dict.fromkeys(("second", "ss", "s", "seconds"), "second"),
    **dict.fromkeys(("dayofyear", "dy", "y", "doy"), "doy"),
    **dict.fromkeys(("weekday", "dw", "dayofweek", "dow"), "dow"),
}
_STEPS = {"week": 604_800, "day": 86_400, "hour": 3600, "minute": 60, "second": 1}
_MONTHS = "January,February,March,April,May,June,July,August,September,October,November,December"
_DAYS = "Sunday,Monday,Tuesday,Wednesday,Thursday,Friday,Saturday"


def _template(text: str) -> Callable[..., exp.Expr]:
    """A form with `:name` parts, parsed once and filled with expressions."""
    parsed: list[exp.Expr] = []

    def fill(**parts: exp.Expr) -> exp.Expr:
        if not parsed:
            parsed.append(exp.maybe_parse(text, dialect=Postgres))

        def put(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.Placeholder) and node.this in parts:
                return exp.paren(parts[node.this].copy())
            return node

        return exp.paren(parsed[0].copy().transform(put))

    return fill


def _plain(text: str, *names: str, optional: int = 0) -> Builder:
    """A function of fixed arguments that a template stands for."""
    fill = _template(text)

    def build(arguments: Arguments) -> exp.Expr:
        if not len(names) - optional <= len(arguments) <= len(names):
            raise ParseError(f"takes {len(names)} arguments, not {len(arguments)}")
        return fill(**dict(zip(names, arguments, strict=False)))

    return build


def unit_of(argument: exp.Expr) -> str:
    """The date part that an argument names, with or without quotes: `month`, `'mm'`."""
    name = argument.name.lower()
    if name not in _UNITS:
        raise ParseError(f"there is no date part {name[:30]!r}")
    return _UNITS[name]


_PART = _template("CAST(EXTRACT(x FROM :value) AS INT)")
_SECOND = _template("CAST(FLOOR(EXTRACT(second FROM :value)) AS INT)")
_DOW = _template("CAST(EXTRACT(dow FROM :value) AS INT) + 1")


def _part(unit: str) -> Builder:
    def build(arguments: Arguments) -> exp.Expr:
        (value,) = _exactly(arguments, 1)
        if unit == "dow":
            return _DOW(value=value)
        if unit == "second":
            return _SECOND(value=value)
        built = _PART(value=value)
        # The first is the template's own; the value may have others.
        extract = built.find(exp.Extract)
        if extract:
            extract.set("this", exp.var(unit.upper()))
        return built

    return build


def _exactly(arguments: Arguments, count: int) -> Arguments:
    if len(arguments) != count:
        raise ParseError(f"takes {count} arguments, not {len(arguments)}")
    return arguments


def _date_part(arguments: Arguments) -> exp.Expr:
    unit, value = _exactly(arguments, 2)
    return _part(unit_of(unit))([value])


_MONTH_NAME = _template("SPLIT_PART(:names, ',', CAST(EXTRACT(month FROM :value) AS INT))")
_DAY_NAME = _template("SPLIT_PART(:names, ',', CAST(EXTRACT(dow FROM :value) AS INT) + 1)")


def _month_name(arguments: Arguments) -> exp.Expr:
    return _MONTH_NAME(value=_exactly(arguments, 1)[0], names=exp.Literal.string(_MONTHS))


def _day_name(arguments: Arguments) -> exp.Expr:
    return _DAY_NAME(value=_exactly(arguments, 1)[0], names=exp.Literal.string(_DAYS))


def _date_name(arguments: Arguments) -> exp.Expr:
    unit, value = _exactly(arguments, 2)
    match unit_of(unit):
        case "month":
            return _month_name([value])
        case "dow":
            return _day_name([value])
        case other:
            return exp.cast(_part(other)([value]), "text")


_ADD = _template("CAST(:value AS TIMESTAMP) + :count * INTERVAL '1' DAY")


def _date_add(arguments: Arguments) -> exp.Expr:
    """DATEADD(unit, count, value)."""
    unit, count, value = _exactly(arguments, 3)
    name = unit_of(unit)
    if name == "quarter":
        name, count = "month", exp.Mul(this=exp.paren(count), expression=exp.Literal.number(3))
    built = _ADD(value=value, count=exp.cast(count, "int"))
    # The first is the template's own; the value and the count may have others, further down.
    interval = built.find(exp.Interval)
    if interval:
        interval.set("unit", exp.var({"dow": "day", "doy": "day"}.get(name, name).upper()))
    return built


_MONTHS_BETWEEN = _template(
    "(EXTRACT(year FROM :b) - EXTRACT(year FROM :a)) * 12"
    " + EXTRACT(month FROM :b) - EXTRACT(month FROM :a)"
)
_YEARS_BETWEEN = _template("EXTRACT(year FROM :b) - EXTRACT(year FROM :a)")
_QUARTERS_BETWEEN = _template(
    "(EXTRACT(year FROM :b) - EXTRACT(year FROM :a)) * 4"
    " + EXTRACT(quarter FROM :b) - EXTRACT(quarter FROM :a)"
)
_STEPS_BETWEEN = _template(
    "(EXTRACT(epoch FROM DATE_TRUNC(:unit, CAST(:b AS TIMESTAMP)))"
    " - EXTRACT(epoch FROM DATE_TRUNC(:unit, CAST(:a AS TIMESTAMP)))) / :step"
)


def _date_diff(arguments: Arguments) -> exp.Expr:
    """DATEDIFF(unit, from, to): how many borders of the unit lie between."""
    unit, a, b = _exactly(arguments, 3)
    name = unit_of(unit)
    a, b = exp.cast(a.copy(), "timestamp"), exp.cast(b.copy(), "timestamp")
    if name in ("year", "month", "quarter"):
        fill = {"year": _YEARS_BETWEEN, "month": _MONTHS_BETWEEN, "quarter": _QUARTERS_BETWEEN}
        return exp.cast(fill[name](a=a, b=b), "bigint")
    step = {"dow": "day", "doy": "day"}.get(name, name)
    return exp.cast(
        _STEPS_BETWEEN(
            a=a,
            b=b,
            unit=exp.Literal.string(step),
            step=exp.Literal.number(_STEPS[step]),
        ),
        "bigint",
    )


_TRUNC_DATE = _template("CAST(DATE_TRUNC(:unit, CAST(:value AS TIMESTAMP)) AS TIMESTAMP)")


def _date_trunc(arguments: Arguments) -> exp.Expr:
    unit, value = _exactly(arguments, 2)
    return _TRUNC_DATE(unit=exp.Literal.string(unit_of(unit)), value=value)


_FIND = _template("STRPOS(:text, :part)")
_FIND_FROM = _template(
    "CASE WHEN STRPOS(SUBSTRING(:text, :start), :part) = 0 THEN 0"
    " ELSE STRPOS(SUBSTRING(:text, :start), :part) + :start - 1 END"
)


def _find(*, part_first: bool) -> Builder:
    def build(arguments: Arguments) -> exp.Expr:
        if len(arguments) not in (2, 3):
            raise ParseError(f"takes 2 or 3 arguments, not {len(arguments)}")
        first, second = arguments[:2]
        part, text = (first, second) if part_first else (second, first)
        if len(arguments) == 2:
            return _FIND(text=text, part=part)
        return _FIND_FROM(text=text, part=part, start=arguments[2])

    return build


def _is_null(arguments: Arguments) -> exp.Expr:
    if len(arguments) == 1:
        return exp.paren(exp.Is(this=arguments[0], expression=exp.Null()))
    return exp.Coalesce(this=arguments[0], expressions=list(arguments[1:]))


_LOG = _template("LN(:value) / LN(:base)")


def _log(arguments: Arguments) -> exp.Expr:
    if len(arguments) == 2:
        return _LOG(value=arguments[0], base=arguments[1])
    return exp.Ln(this=_exactly(arguments, 1)[0])


def _now(arguments: Arguments) -> exp.Expr:
    _exactly(arguments, 0)
    return exp.CurrentTimestamp()


def _time_now(arguments: Arguments) -> exp.Expr:
    """A TIME, as CURRENT_TIMESTAMP has it: PostgreSQL's own has a zone."""
    return exp.cast(exp.cast(_now(arguments), "timestamp"), "time")


def _list_of(arguments: Arguments) -> exp.Expr:
    values = arguments[0] if arguments else None
    if isinstance(values, exp.Distinct) and len(values.expressions) == 2:
        # All that follows DISTINCT is read as what has to differ.
        arguments = [exp.Distinct(expressions=values.expressions[:1]), values.expressions[1]]
    if not 1 <= len(arguments) <= 2:
        raise ParseError(f"takes 1 or 2 arguments, not {len(arguments)}")
    separator = arguments[1] if len(arguments) == 2 else exp.Literal.string(",")
    return exp.GroupConcat(this=arguments[0], separator=separator)


def _coalesce(arguments: Arguments) -> exp.Expr:
    return exp.Coalesce(this=arguments[0], expressions=list(arguments[1:]))


FUNCTIONS: dict[str, Builder] = {
    # Text
    "CHAR_LENGTH": _plain("LENGTH(:text)", "text"),
    "CHARACTER_LENGTH": _plain("LENGTH(:text)", "text"),
    "LEN": _plain("LENGTH(:text)", "text"),
    "CHARINDEX": _find(part_first=True),
    "LOCATE": _find(part_first=True),
    "INSTR": _find(part_first=False),
    "INDEXOF": _find(part_first=False),
    "CONTAINS": _plain("STRPOS(:text, :part) > 0", "text", "part"),
    "STARTSWITH": _plain("LEFT(:text, LENGTH(:part)) = :part", "text", "part"),
    "ENDSWITH": _plain("RIGHT(:text, LENGTH(:part)) = :part", "text", "part"),
    "REPLICATE": _plain("REPEAT(:text, :count)", "text", "count"),
    "SPACE": _plain("REPEAT(' ', :count)", "count"),
    "STUFF": _plain(
        "SUBSTRING(:text, 1, :start - 1) || :new || SUBSTRING(:text, :start + :length)",
        *("text", "start", "length", "new"),
    ),
    "STR": _plain("CAST(:value AS TEXT)", "value"),
    "TOSTRING": _plain("CAST(:value AS TEXT)", "value"),
    "TO_STRING": _plain("CAST(:value AS TEXT)", "value"),
    "LISTAGG": _list_of,
    # Times
    "NOW": _now,
    "GETDATE": _now,
    "GETUTCDATE": _now,
    "SYSDATETIME": _now,
    "CURRENT_TIME": _time_now,
    "SYSUTCDATETIME": _now,
    "YEAR": _part("year"),
    "QUARTER": _part("quarter"),
    "MONTH": _part("month"),
    "WEEK": _part("week"),
    "DAY": _part("day"),
    "DAYOFMONTH": _part("day"),
    "DAYOFYEAR": _part("doy"),
    "DAYOFWEEK": _part("dow"),
    "WEEKDAY": _part("dow"),
    "HOUR": _part("hour"),
    "MINUTE": _part("minute"),
    "SECOND": _part("second"),
    "DATEPART": _date_part,
    "DATE_PART": _date_part,
    "DATENAME": _date_name,
    "MONTHNAME": _month_name,
    "DAYNAME": _day_name,
    "DATEADD": _date_add,
    "TIMESTAMPADD": _date_add,
    "DATEDIFF": _date_diff,
    "TIMESTAMPDIFF": _date_diff,
    "DATETRUNC": _date_trunc,
    "DATE_TRUNC": _date_trunc,
    "EOMONTH": _plain(
        "CAST(DATE_TRUNC('month', CAST(:value AS TIMESTAMP)) + INTERVAL '1' MONTH"
        " - INTERVAL '1' DAY AS DATE)",
        "value",
    ),
    "LAST_DAY": _plain(
        "CAST(DATE_TRUNC('month', CAST(:value AS TIMESTAMP)) + INTERVAL '1' MONTH"
        " - INTERVAL '1' DAY AS DATE)",
        "value",
    ),
    "DATEFROMPARTS": _plain(
        "CAST(CAST(:year AS TEXT) || '-' || CAST(:month AS TEXT) || '-' || CAST(:day AS TEXT)"
        " AS DATE)",
        *("year", "month", "day"),
    ),
    "DATE": _plain("CAST(:value AS DATE)", "value"),
    # Numbers
    "LOG": _log,
    "SQUARE": _plain("POWER(:value, 2)", "value"),
    "TRUNCATE": lambda arguments: exp.Trunc(
        this=arguments[0], decimals=arguments[1] if len(arguments) > 1 else None
    ),
    "RAND": lambda _: exp.Rand(),
    "ATN2": lambda arguments: exp.Atan2(this=_exactly(arguments, 2)[0], expression=arguments[1]),
    # Choices
    "ISNULL": _is_null,
    "IFNULL": _coalesce,
    "NVL": _coalesce,
    "IIF": lambda arguments: exp.If(
        this=_exactly(arguments, 3)[0], true=arguments[1], false=arguments[2]
    ),
    "NVL2": lambda arguments: exp.If(
        this=exp.Not(this=exp.Is(this=_exactly(arguments, 3)[0], expression=exp.Null())),
        true=arguments[1],
        false=arguments[2],
    ),
}
"""Functions that are rewritten as they are read; the rest are PostgreSQL's own (`allowed.py`)."""


class Tidewell(Postgres):
    """Names have no case (`naming` finds the exact one first); brackets and backticks quote."""

    NORMALIZATION_STRATEGY = NormalizationStrategy.CASE_INSENSITIVE

    class Tokenizer(Postgres.Tokenizer):
        """PostgreSQL's tokens, more quotes, and TOP."""

        IDENTIFIERS: ClassVar[list[str | tuple[str, str]]] = [("[", "]"), '"', "`"]
        KEYWORDS: ClassVar[dict[str, TokenType]] = {
            **Postgres.Tokenizer.KEYWORDS,
            "TOP": TokenType.TOP,
        }

    class Parser(PostgresParser):
        """PostgreSQL's grammar with the functions above, and T-SQL's CONVERT."""

        FUNCTIONS: ClassVar[dict[str, Any]] = {
            **PostgresParser.FUNCTIONS,
            **FUNCTIONS,
        }
        NO_PAREN_FUNCTIONS: ClassVar[dict[Any, Any]] = {
            **PostgresParser.NO_PAREN_FUNCTIONS,
            TokenType.CURRENT_TIME: lambda: _time_now([]),
        }
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            **{
                name: parse
                for name, parse in PostgresParser.FUNCTION_PARSERS.items()
                if name not in FUNCTIONS
            },
            "CONVERT": lambda self: self._parse_conversion(),
            "GROUP_CONCAT": lambda self: self._parse_list(),
            "OVERLAY": lambda self: self._parse_overlaid(),
        }

        def _parse_csv(self, parse_method: Any, sep: TokenType = TokenType.COMMA) -> list[Any]:
            """A list. What is missing at a comma would be passed over (`SELECT a, FROM t`)."""

            def part() -> Any:
                before = self._prev
                found = parse_method()
                if found is None and before is self._prev:
                    self._check_not_bare(before, sep, "nothing follows the comma")
                    self._check_not_bare(self._curr, sep, "nothing precedes the comma")
                return found

            return super()._parse_csv(part, sep)

        def _parse_join(self, *arguments: Any, **options: Any) -> exp.Join | None:
            """A join, or a comma and a table."""
            before = self._curr
            found = super()._parse_join(*arguments, **options)
            if found is None and before is self._prev:
                self._check_not_bare(before, TokenType.COMMA, "nothing follows the comma")
            return found

        def _check_not_bare(self, token: Any, sep: TokenType, why: str) -> None:
            if token is not None and token.token_type is sep:
                self.raise_error(why, token)

        def _parse_list(self) -> exp.Expr:
            """GROUP_CONCAT(value ORDER BY … SEPARATOR ',')."""
            arguments = self._parse_csv(self._parse_lambda)
            if self._match_text_seq("SEPARATOR"):
                arguments.append(self._parse_string())
            return _list_of(arguments)

        def _parse_overlaid(self) -> exp.Expr:
            """OVERLAY(text PLACING new FROM start FOR length), as STUFF."""
            found = self._parse_overlay()
            text, new, start = found.this, found.expression, found.args["from_"]
            if text is None or new is None or start is None:
                self.raise_error("OVERLAY takes a text, PLACING another, and FROM a position")
            length = found.args["for_"] or exp.Length(this=new.copy())
            return FUNCTIONS["STUFF"]([text, start, length, new])

        def _parse_conversion(self) -> exp.Expr:
            """CONVERT(type, value): a cast."""
            to = self._parse_types()
            self._match(TokenType.COMMA)
            value = self._parse_disjunction()
            if to is None or value is None:
                self.raise_error("CONVERT takes a type and a value")
            return self.expression(exp.Cast(this=value, to=to))
