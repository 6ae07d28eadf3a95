"""Reads JSON lines; errors name the line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mull.errors import FileFormatError

ONE_LIST = (
    "the file is one JSON list, as lm-evaluation-harness before 0.4.3 wrote its samples, instead of one row per line; "
    "convert it with `jq -c '.[]' FILE > NEW.jsonl`"
)
CUT_OFF = "the line is cut off, as by a process that was killed while it wrote it"


class CutOffError(FileFormatError):
    """The last line of a file is cut off, as by a process that was killed; the lines before it are whole."""


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file (also `.gz`) with their line numbers; empty lines are skipped.

    Raises `FileFormatError`, which is a `CutOffError` at the end of a file that lacks the end of its last line.
    """
    number = 0
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8-sig") as file
        ):
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except json.JSONDecodeError as error:
                    if number == 1 and line.lstrip()[:1] == "[":
                        raise FileFormatError(path, None, ONE_LIST) from error
                    if number > 1 and not line.endswith("\n"):
                        raise CutOffError(path, number, CUT_OFF) from error
                    raise FileFormatError(path, number, f"not JSON: {error.msg} at column {error.colno}") from error
                except (ValueError, RecursionError) as error:  # numbers or nesting beyond Python's limits
                    raise FileFormatError(path, number, f"not JSON: {error}") from error
                if number == 1 and isinstance(row, list) and all(isinstance(one, dict) for one in row):
                    raise FileFormatError(path, None, ONE_LIST)
                if not isinstance(row, dict):
                    raise FileFormatError(path, number, f"a JSON object was expected, not {type(row).__name__}")
                yield number, row
    except UnicodeDecodeError as error:
        if number and error.reason == "unexpected end of data":
            raise CutOffError(path, number + 1, CUT_OFF) from error
        raise FileFormatError(path, None, f"not UTF-8 text: {error.reason}") from error
    except (OSError, EOFError) as error:
        raise FileFormatError(path, None, f"cannot be read: {error}") from error
