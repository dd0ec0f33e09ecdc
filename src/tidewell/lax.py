"""What a client may write in several ways: numbers and booleans as strings, words in any case.

The Job API's own examples send `"intervalValue": "1"` and `"enabled": "true"`. Each type brings the
JSON Schema of what it takes, so that the OpenAPI document says the same.
"""

import re
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

NO_NUL = r"^[^\x00]*$"
"""PostgreSQL holds no NUL in a text: what has one is refused, not sent there."""

_DIGITS = re.compile(r" *[+-]?[0-9]{1,18} *")
_INTEGER = PydanticCustomError("whole_number", "must be a whole number")
_BOOLEAN = PydanticCustomError("boolean", "must be true or false")


def _integer(value: Any) -> int:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _INTEGER


def _boolean(value: Any) -> bool:
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    if isinstance(value, bool):
        return value
    raise _BOOLEAN


def between(least: int, most: int) -> Any:
    """The bounds of a LaxInt, for its check and for its JSON Schema."""
    return Field(ge=least, le=most, json_schema_extra={"minimum": least, "maximum": most})


def any_case(*words: str) -> dict[str, Any]:
    """The JSON Schema of words that are matched without case; the given spelling is answered."""
    patterns = ["".join(f"[{a.upper()}{a.lower()}]" for a in word) for word in words]
    return {
        "anyOf": [
            {"type": "string", "enum": list(words)},
            {"type": "string", "pattern": f"^({'|'.join(patterns)})$"},
        ]
    }


LaxInt = Annotated[
    int,
    BeforeValidator(_integer),
    WithJsonSchema(
        {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": f"^{_DIGITS.pattern}$"}]}
    ),
]
"""A whole number, also as a string: `1` or `"1"`."""

LaxBool = Annotated[
    bool,
    BeforeValidator(_boolean),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, any_case("true", "false")["anyOf"][1]]}),
]
"""A boolean, also as a string: `true` or `"true"` in any case."""

_AROUND = ("title", "description", "default")


class NullIsAbsent(BaseModel):
    """A body in which `null` for an optional field means what leaving it out means.

    Programs in many languages write a field that they do not set as null.
    """

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        optional = {
            one.alias or name for name, one in cls.model_fields.items() if not one.is_required()
        }
        return {
            name: value
            for name, value in given.items()
            if value is not None or name not in optional
        }

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The same for the OpenAPI document: each optional field may be null."""
        schema = handler(core_schema)
        model = handler.resolve_ref_schema(schema)
        for name, field in model["properties"].items():
            if name not in model.get("required", ()):
                model["properties"][name] = _or_null(field)
        return schema


def _or_null(field: JsonSchemaValue) -> JsonSchemaValue:
    null = {"type": "null"}
    if "anyOf" in field:
        choices = [one for one in field["anyOf"] if one != null]
        return field | {"anyOf": [*choices, null]}
    around = {k: v for k, v in field.items() if k in _AROUND}
    inner = {k: v for k, v in field.items() if k not in _AROUND}
    return around | {"anyOf": [inner, null]}
