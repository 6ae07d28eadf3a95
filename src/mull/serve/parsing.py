"""The body of a request: JSON, checked by a model of its fields; an error has the path of what is wrong."""

from __future__ import annotations

import json
import math
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from mull.serve.faults import ApiError, bad

T = TypeVar("T", bound=BaseModel)
EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a text",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "typed_dict_type": "an object",
    "finite_number": "a finite number",
}
"""In words, what was expected where pydantic finds something else."""
EITHER = {
    "stop": "a text or a list of texts",
    "prompt": "a text, token ids, or a list of either",
    "input": "a text or a list of items",
    "system": "a text or a list of parts",
}
"""The same for fields that have several forms."""
LENGTHS = ("too_short", "too_long")
"""Errors of a list with too few or too many entries."""


MOST_PARTS, MOST_COMMAS = 100_000, 500_000
"""Lists and objects of a body, and commas between values: an image is one value, a prompt of token ids has many."""
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z)', re.DOTALL)


class _Odd(ValueError):
    """JSON that Python reads and no other program would read alike: a name given twice, or a number out of range."""


class _Mark:
    """Stands in a body for what is odd there."""

    def __init__(self, what: str) -> None:
        self.what = what


def _check_parts(raw: bytes) -> None:
    """Raises `ApiError` (413) for a body that would take seconds to read, which nobody else could be answered in."""
    if raw.count(b"[") + raw.count(b"{") <= MOST_PARTS and raw.count(b",") <= MOST_COMMAS:
        return
    shape = _TEXT.sub(b"", raw)
    if shape.count(b"[") + shape.count(b"{") > MOST_PARTS or shape.count(b",") > MOST_COMMAS:
        what = f"the body has more than {MOST_PARTS:,} lists and objects, or {MOST_COMMAS:,} values"
        raise ApiError(413, what, code="body_too_large")


def parsed(raw: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises `ApiError`."""
    _check_parts(raw)
    try:
        text = raw.decode()
        body = _strict.decode(text)
    except UnicodeDecodeError:
        raise bad(None, "the body is not UTF-8 text") from None
    except RecursionError:
        raise bad(None, "the body is nested too deep") from None
    except json.JSONDecodeError as error:
        raise bad(None, f"the body is not JSON: {error}") from None
    except ValueError:
        path, what = _found(_marking.decode(text))
        raise bad(path, what) from None
    if not isinstance(body, dict):
        raise bad(None, "the body must be a JSON object")
    return body


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told = dict(pairs)
    if len(told) != len(pairs):
        raise _Odd
    return told


def _finite(digits: str) -> float:
    if not math.isfinite(value := float(digits)):
        raise _Odd
    return value


def _refuse(name: str) -> Any:
    raise _Odd


def _marked_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, value in pairs:
        told[name] = _Mark("is given twice") if name in told else value
    return told


def _marked_number(digits: str) -> Any:
    try:
        return _finite(digits) if set(digits) & set(".eE") else int(digits)
    except ValueError:
        return _Mark(f"must be a smaller number than {digits[:20]}{'…' * (len(digits) > 20)}")


_strict = json.JSONDecoder(object_pairs_hook=_once, parse_float=_finite, parse_constant=_refuse)
_marking = json.JSONDecoder(
    object_pairs_hook=_marked_pairs,
    parse_float=_marked_number,
    parse_int=_marked_number,
    parse_constant=lambda name: _Mark(f"must be a number of JSON, and {name} is none"),
)


def _found(body: Any, path: str = "") -> tuple[str | None, str]:
    """The path of the first mark in a body, and what it says."""
    if isinstance(body, _Mark):
        return path or None, body.what
    inner = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in inner:
        at, what = _found(value, f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}" if path else str(key))
        if what:
            return at, what
    return None, ""


def checked(cls: type[T], body: dict[str, Any]) -> T:
    """The fields of a body. Raises `ApiError` with the path of the first that is wrong, and what was expected."""
    try:
        return cls.model_validate(body)
    except ValidationError as error:
        raise _told(cls, body, error) from None


def _told(cls: type[BaseModel], body: dict[str, Any], error: ValidationError) -> ApiError:
    # Of the alternatives of a field, the error that is deepest in it says most; that a list is too short or too long
    # says that it was to be a list.
    found = [(_path(body, one["loc"], one["type"]), one) for one in error.errors(include_url=False)]
    path, first = max(found, key=lambda one: (one[0].count(".") + one[0].count("["), one[1]["type"] in LENGTHS))
    if first["type"] == "extra_forbidden":
        known = ", ".join(_names(cls, first["loc"][:-1]))
        return bad(path, f"unknown field; {path.rpartition('.')[0]} takes {known}", "unknown_parameter")
    if first["type"] == "missing":
        return bad(path, "is missing", "missing_required_parameter")
    if path in EITHER:
        return bad(path, f"must be {EITHER[path]}")
    if first["type"] in LENGTHS:
        few, many, n = (first["ctx"].get(name) for name in ("min_length", "max_length", "actual_length"))
        if few == 1:
            return bad(path, "must not be empty")
        return bad(path, f"must have at {f'least {few}' if many is None else f'most {many}'} entries, not {n}")
    words = [EXPECTED[one["type"]] for at, one in found if at == path and one["type"] in EXPECTED]
    if words:
        return bad(path, f"must be {' or '.join(dict.fromkeys(words))}")
    return bad(path, first["msg"].replace("Input should be", "must be"))


def _path(body: Any, loc: tuple[int | str, ...], kind: str) -> str:
    """The path of an error in a body; parts of its place that name an alternative of a field are left out."""
    path = ""
    for i, part in enumerate(loc):
        is_new = kind == "missing" and i == len(loc) - 1
        if isinstance(part, int) and isinstance(body, list):
            path, body = f"{path}[{part}]", body[part]
        elif isinstance(body, dict) and (is_new or part in body):
            path, body = f"{path}.{part}" if path else str(part), body.get(part)
    return path


def _names(cls: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The names of the fields that an object at a place of a body may have."""
    for part in loc:
        inner = cls.model_fields[str(part)].annotation if str(part) in cls.model_fields else None
        parts = (inner, *getattr(inner, "__args__", ()))
        cls = next(one for one in parts if isinstance(one, type) and issubclass(one, BaseModel))
    return [field.alias or name for name, field in cls.model_fields.items()]
