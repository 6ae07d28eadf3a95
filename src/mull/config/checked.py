"""Checks a TOML text against a schema of pydantic; errors name the line, and of an unknown setting the nearest one."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mull.errors import FileFormatError

if TYPE_CHECKING:
    from pydantic import BaseModel

M = TypeVar("M", bound="BaseModel")
EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "string_type": "a text in quotes",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
}
"""In words, what pydantic's types of errors expect."""


def checked(schema: type[M], text: str, path: Path, unknown: Callable[[Sequence[str]], str]) -> M:
    """What a text has, as the schema takes it. `unknown` tells what to write instead of an unknown setting (`instead`).

    Raises `FileFormatError` with the line.
    """
    from pydantic import ValidationError

    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        quotes = '; texts stand in quotes, as in model = "gpt"' if str(error).startswith("Invalid value") else ""
        raise FileFormatError(path, _line_of(error), f"not TOML: {error}{quotes}") from error
    except (ValueError, RecursionError) as error:  # a number or nesting that Python does not take
        raise FileFormatError(path, None, f"not TOML that can be read: {error}") from error
    try:
        return schema.model_validate(told)
    except ValidationError as error:
        # A misspelt setting is also reported as missing: report the misspelling. Deeper errors are more specific.
        mistakes = error.errors(include_url=False, include_input=False)
        first = max(mistakes, key=lambda e: (e["type"] != "missing", len(e["loc"])))
        keys = [str(part) for part in first["loc"]]
        raise FileFormatError(path, find_line(text, keys), _words(first, keys, unknown)) from None


def instead(name: str, known: Sequence[str], takes: str, others: Mapping[str, str] | None = None) -> str:
    """What to write instead of an unknown name: the nearest known one, or what `others` says of one of other tools."""
    near = difflib.get_close_matches(name, [*known, *(others or ())], n=1, cutoff=0.75)
    if near and others and near[0] in others:
        return others[near[0]]
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}{takes} {', '.join(sorted(known))}"


def _line_of(error: tomllib.TOMLDecodeError) -> int | None:
    """The line of a TOML error: an attribute of the exception since Python 3.14, before that part of its message."""
    told = getattr(error, "lineno", None) or str(error).partition("at line ")[2].partition(",")[0]
    return int(told) if str(told).isdigit() else None


def _words(error: Any, keys: Sequence[str], unknown: Callable[[Sequence[str]], str]) -> str:
    where = ".".join(keys)
    if error["type"] == "extra_forbidden":
        return f"unknown setting {where!r}: {unknown(keys)}"
    if error["type"] == "missing":
        whose = f"[{'.'.join(keys[:-1])}]" if keys[:-1] else "the file"
        return f"{whose} has no {keys[-1]}, which it needs"
    if error["type"] in EXPECTED:
        return f"{where} must be {EXPECTED[error['type']]}"
    return (
        f"{where}: {error['msg'].removeprefix('Value error, ')}"
        if where
        else error["msg"].removeprefix("Value error, ")
    )


def find_line(text: str, keys: Sequence[str]) -> int | None:
    """The line of a key in a TOML text: the last line of the shortest valid prefix that contains the key.

    If the text does not contain all of `keys`, the line of the leading ones that it contains.
    """
    lines = text.splitlines(keepends=True)
    for n_keys in range(len(keys), 0, -1):
        if not _has(text, keys[:n_keys]):
            continue
        for n in range(1, len(lines) + 1):
            if _has("".join(lines[:n]), keys[:n_keys]):
                return n
    return None


def _has(text: str, keys: Sequence[str]) -> bool:
    try:
        told: Any = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    for key in keys:
        if isinstance(told, list) and key.isdigit() and int(key) < len(told):
            told = told[int(key)]
        elif isinstance(told, dict) and key in told:
            told = told[key]
        else:
            return False
    return True
