"""Encoding JSON requests, and decoding JSON from servers that may send anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mull.shown import shown
from mull.wire.faults import Malformed

_encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def encode(body: Mapping[str, Any]) -> bytes:
    """The JSON bytes to send. Lone surrogates, which JSON must not contain, become question marks."""
    return _encoder.encode(body).encode(errors="replace")


def read_json(raw: bytes) -> Any:
    """Parses a JSON value. Raises `Malformed` if it is not JSON or is nested deeper than Python can parse."""
    try:
        return json.loads(raw.removeprefix(b"\xef\xbb\xbf").decode())
    except RecursionError:
        raise Malformed(f"the reply is nested too deep ({len(raw):,} bytes)") from None
    except ValueError:
        begun = printable(raw[:80].decode(errors="replace"))
        plain = "the reply is not JSON"
        raise Malformed(f"{plain}: {begun or 'it is empty'}", plain) from None


def read_object(raw: bytes) -> dict[str, Any]:
    """Parses a JSON object. Raises `Malformed` for anything else."""
    body = read_json(raw)
    if not isinstance(body, dict):
        raise Malformed("the reply is not a JSON object")
    return body


def word(value: Any) -> str:
    """A string or number as text; empty for anything else, which may be nested too deeply to print."""
    return str(value) if isinstance(value, (str, int, float)) else ""


def string(value: Any) -> str | None:
    """A text; `None` for anything else."""
    return value if isinstance(value, str) else None


def printable(text: str) -> str:
    """An untrusted text on one line, its blanks as single spaces, and control characters as their escapes."""
    return shown(" ".join(text.split()))


def event_data(line: bytes) -> bytes | None:
    """The data of a line of an event stream; `None` for a comment, an event's name or the empty line between events."""
    line = line.strip()
    return line[5:].strip() if line.startswith(b"data:") else None
