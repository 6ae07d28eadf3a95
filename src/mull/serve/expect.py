"""Values inside a request: each function returns the value, or raises `ApiError` with its path and what it must be."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from mull.serve.faults import bad


def a_text(told: Mapping[str, Any], name: str, at: str, what: str = "") -> str:
    """The text in a field of the object at `at`; `what` says what it is for."""
    if not isinstance(value := told.get(name), str):
        raise bad(f"{at}.{name}", f"must be a text{f': {what}' if what else ''}")
    return value


def may_be_text(told: Mapping[str, Any], name: str, at: str) -> str | None:
    """The same for a field that may be left out or `null`."""
    return None if told.get(name) is None else a_text(told, name, at)


def an_object(told: Mapping[str, Any], name: str, at: str) -> dict[str, Any]:
    """The object in a field."""
    if not isinstance(value := told.get(name), dict):
        raise bad(f"{at}.{name}", "must be an object")
    return value


def may_be(kind: type | tuple[type, ...], words: str, told: Mapping[str, Any], names: Collection[str], at: str) -> None:
    """Checks that each of these fields is left out, `null` or of a type."""
    for name in names:
        if told.get(name) is not None and not isinstance(told[name], kind):
            raise bad(f"{at}.{name}", f"must be {words}")


def one_of(told: Any, known: Collection[str], at: str) -> str:
    """The `type` of the object at `at`."""
    if not isinstance(told, dict):
        raise bad(at, f"must be an object with a type: {', '.join(known)}")
    if told.get("type") not in [*known]:
        raise bad(f"{at}.type", f"must be one of {', '.join(known)}")
    return str(told["type"])
