"""Reads JSON lines; errors name the line and the column."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from mull.errors import FileFormatError
from mull.files.opening import CUT_OFF, CutOffError, lines

ROW = '{"prompt": "What is 1+1?", "answer": "2"}'
LONG = 10_000
"""Characters of a line from which on a faster reader is worth its import."""
ONE_LIST = (
    "the file is one JSON list, as lm-evaluation-harness before 0.4.3 wrote its samples, instead of one row per line; "
    "convert it with `jq -c '.[]' FILE > NEW.jsonl`"
)


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file (also packed by gzip) with their line numbers; empty lines are skipped.

    Raises `FileFormatError`, which is a `CutOffError` at the end of a file that lacks the end of its last line.
    """
    for number, line in lines(path):
        text = line.strip()
        if not text:
            continue
        try:
            row = parsed(text)
        except (ValueError, RecursionError) as error:
            if number == 1 and text.startswith("[") and isinstance(error, json.JSONDecodeError):
                raise FileFormatError(path, None, ONE_LIST) from error
            if number > 1 and not line.endswith("\n") and isinstance(error, json.JSONDecodeError):
                raise CutOffError(path, number, CUT_OFF) from error
            raise json_error(path, error, number, len(line) - len(line.lstrip())) from error
        if number == 1 and isinstance(row, list) and all(isinstance(one, dict) for one in row):
            raise FileFormatError(path, None, ONE_LIST)
        if not isinstance(row, dict):
            what = f"a row must be a JSON object like {ROW}, not {_NAMES.get(type(row), 'a number')}"
            raise FileFormatError(path, number, what)
        yield number, row


def parsed(text: str) -> Any:
    """What `json.loads` makes of a text; it is the slower one, and the one that says where a text is not JSON."""
    if len(text) > LONG:
        from pydantic_core import from_json

        with suppress(ValueError, TypeError):  # TypeError: half a surrogate pair
            return from_json(text)
    return json.loads(text)


_NAMES = {str: "a text", list: "a list", bool: "true or false", type(None): "null"}


def json_error(path: Path, error: Exception, line: int | None, before: int = 0) -> FileFormatError:
    """The error for text that is not JSON, with the place; `before` characters of the line were not parsed."""
    if not isinstance(error, json.JSONDecodeError):
        return FileFormatError(path, line, json_fault(error))
    row = line if line is not None else error.lineno
    return FileFormatError(path, row, f"not JSON at {json_fault(error, before)}")


def json_fault(error: Exception, before: int = 0) -> str:
    """Why text is not JSON that can be read, and in which column."""
    if isinstance(error, RecursionError):
        return "nested too deep to be read"
    if not isinstance(error, json.JSONDecodeError):  # a number of thousands of digits
        return f"it cannot be read: {error}"
    if error.msg == "Extra data" and error.doc[error.pos] == ",":
        return f"column {before + error.colno}: a comma after the object; JSON lines have none between them"
    near = error.doc[max(0, error.pos - 20) : error.pos + 10].strip()
    return f"column {before + error.colno}: {error.msg}" + (f", at {near!r}" if near else "")
