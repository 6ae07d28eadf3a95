"""JSON as it is sent, and as it is read from servers that may send anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mull.wire.faults import Malformed


def encode(body: Mapping[str, Any]) -> bytes:
    """JSON as it is sent. Lone halves of a surrogate pair, which no JSON may hold, become question marks."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


def read_json(raw: bytes) -> Any:
    """A JSON value. Raises `Malformed` for what is not JSON, or is nested deeper than Python reads."""
    try:
        return json.loads(raw.removeprefix(b"\xef\xbb\xbf").decode())
    except RecursionError:
        raise Malformed(f"the reply is nested too deep ({len(raw):,} bytes)") from None
    except ValueError:
        begun = printable(raw[:80].decode(errors="replace"))
        raise Malformed(f"the reply is not JSON: {begun or 'it is empty'}") from None


def read_object(raw: bytes) -> dict[str, Any]:
    """A JSON object. Raises `Malformed`."""
    body = read_json(raw)
    if not isinstance(body, dict):
        raise Malformed("the reply is not a JSON object")
    return body


def word(value: Any) -> str:
    """A text or a number as text; empty for anything else, which may be nested too deep to be written out."""
    return str(value) if isinstance(value, (str, int, float)) else ""


def printable(text: str) -> str:
    """A text from outside on one line, without characters that steer a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
