"""Values across the sandbox boundary: typed JSON, so that only values of exact built-in types arrive.

`None`, booleans, text and integers below 2**53 are encoded as themselves; everything else as a list that begins with
a letter. This file runs on both sides and imports only the standard library. It decodes what untrusted programs wrote.
"""

from __future__ import annotations

import json
from typing import Any

_SMALL = 1 << 53
_SAME_HASH = 64
"""The most members of a set that may share a hash; more are an attack, since such sets take quadratic time to build."""


class Opaque:
    """A value of a type that cannot be encoded: the name of its type, and its truncated `repr`.

    It equals only another one with the same name and the same `repr`.
    """

    __slots__ = ("repr", "type")

    def __init__(self, type: str, repr: str) -> None:
        self.type = type
        self.repr = repr

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque) and (self.type, self.repr) == (other.type, other.repr)

    def __hash__(self) -> int:
        return hash((self.type, self.repr))

    def __repr__(self) -> str:
        return f"Opaque({self.type!r}, {self.repr!r})"


def encode(value: Any) -> str:
    """Encodes a value as text. Other types become `Opaque`. Raises `RecursionError` for one that contains itself."""
    return json.dumps(_pack(value), separators=(",", ":"))


def decode(text: str | bytes) -> Any:
    """Decodes a text to a value of exact built-in types.

    Raises `ValueError` for anything that `encode` would not write, and for sets with many equal hashes.
    """
    try:
        return _unpack(json.loads(text, parse_int=_small, parse_float=_no_number, parse_constant=_no_number))
    except (RecursionError, OverflowError, TypeError):
        raise ValueError("nested too deeply, or not a value") from None


def _pack(value: Any) -> Any:
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        return value if -_SMALL < value < _SMALL else ["i", hex(value)]
    if kind is float:
        return ["f", value.hex()]
    if kind is list:
        return ["l", [_pack(v) for v in value]]
    if kind is tuple:
        return ["t", [_pack(v) for v in value]]
    if kind is dict:
        return ["d", [[_pack(k), _pack(v)] for k, v in value.items()]]
    if kind is set or kind is frozenset:
        return ["s" if kind is set else "z", sorted((_pack(v) for v in value), key=json.dumps)]
    if kind is bytes:
        return ["b", value.hex()]
    if kind is complex:
        return ["c", value.real.hex(), value.imag.hex()]
    if kind is Opaque:
        return ["o", value.type, value.repr]
    return ["o", f"{kind.__module__}.{kind.__qualname__}", repr(value)[:1000]]


def _unpack(packed: Any) -> Any:
    if not isinstance(packed, list):
        if isinstance(packed, dict):
            raise ValueError("an object is not a value")
        return packed
    match packed:
        case ["i", str(digits)]:
            return int(digits, 16)
        case ["f", str(digits)]:
            return float.fromhex(digits)
        case ["c", str(real), str(imaginary)]:
            return complex(float.fromhex(real), float.fromhex(imaginary))
        case ["b", str(digits)]:
            return bytes.fromhex(digits)
        case ["l", list(members)]:
            return [_unpack(m) for m in members]
        case ["t", list(members)]:
            return tuple(_unpack(m) for m in members)
        case ["s", list(members)]:
            return set(_fair([_unpack(m) for m in members]))
        case ["z", list(members)]:
            return frozenset(_fair([_unpack(m) for m in members]))
        case ["d", list(members)]:
            pairs = [(_unpack(k), _unpack(v)) for k, v in members]
            _fair([k for k, _ in pairs])
            return dict(pairs)
        case ["o", str(kind), str(text)]:
            return Opaque(kind, text)
    raise ValueError("not a value")


def _fair(keys: list[Any]) -> list[Any]:
    try:
        hashes = sorted(hash(key) for key in keys)
    except TypeError:
        raise ValueError("a member of a set, or a key, is not hashable") from None
    if any(a == b for a, b in zip(hashes, hashes[_SAME_HASH:], strict=False)):
        raise ValueError("too many members with equal hashes")
    return keys


def _small(digits: str) -> int:
    if len(digits) > 17:
        raise ValueError("an integer with too many digits")
    return int(digits)


def _no_number(text: str) -> Any:
    raise ValueError(f"{text[:20]} is not valid JSON")
