"""What a key of the configuration should hold where it holds another type: with an example, never with the value."""

import json
from datetime import date, datetime, time
from pathlib import Path

from pydantic import BaseModel

TEXT, WHOLE, NUMBER, SWITCH, LIST, TABLE = (
    "a text in quotes",
    "a whole number",
    "a number",
    "true or false",
    "a list",
    "a table",
)
WANTED = {  # by the type of pydantic's error
    "string_type": TEXT,
    "path_type": TEXT,
    "int_type": WHOLE,
    "int_parsing": WHOLE,
    "int_from_float": WHOLE,
    "float_type": NUMBER,
    "float_parsing": NUMBER,
    "decimal_type": NUMBER,
    "decimal_parsing": NUMBER,
    "bool_type": SWITCH,
    "bool_parsing": SWITCH,
    "list_type": LIST,
    "tuple_type": LIST,
    "dict_type": TABLE,
    "model_type": TABLE,
}
EXAMPLES = {
    TEXT: '"acme"',
    WHOLE: "5",
    NUMBER: "2.5",
    SWITCH: "true",
    LIST: '["one", "another"]',
    TABLE: '{ x = "acme" }',
}
LONGEST = 60  # of a default that serves as the example


def wanted(kind: str, found: object, key: str | None, model: type[BaseModel]) -> str | None:
    """Say what stands where another type should; None for errors that are not of a type.

    `kind` is the type of pydantic's error, `found` what the file holds (only its type is told: it may be a secret),
    `key` the key of the model, whose default is the example where it has one; None inside a list or table.
    """
    should = WANTED.get(kind)
    if should is None:
        return None
    example = _default(model, key) if key else None
    return f"should be {should}, such as {example or EXAMPLES[should]}, not {_named(found)}"


def _named(found: object) -> str:
    if isinstance(found, bool):
        return SWITCH
    if isinstance(found, int | float):
        return NUMBER
    if isinstance(found, date | datetime | time):
        return "a date or time"
    if isinstance(found, list | tuple):
        return LIST
    return TABLE if isinstance(found, dict) else "a text"


def _default(model: type[BaseModel], key: str) -> str | None:
    """Write a key's default as the file would, where it says something."""
    for name, info in model.model_fields.items():
        if key in (name, info.alias) and isinstance(info.default, str | int | float | list | Path) and info.default:
            shown = json.dumps(str(info.default) if isinstance(info.default, Path) else info.default)
            return shown if len(shown) <= LONGEST else None
    return None
