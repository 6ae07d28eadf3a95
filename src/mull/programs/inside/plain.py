"""Converts values of standard-library types to built-in ones for transport. Runs in the process of the program.

A program may tamper with it, which only changes its own values; it could have returned those directly.
"""

from typing import Any


def __mull_plain(value: Any, depth: int = 0) -> Any:
    import sys
    from itertools import islice

    kind = type(value)
    if value is None or kind in (bool, int, float, complex, str, bytes) or depth > 200:
        return value
    if isinstance(value, dict):
        return {__mull_plain(k, depth + 1): __mull_plain(v, depth + 1) for k, v in dict.items(value)}
    base: Any
    for base in (list, tuple, set, frozenset):
        if isinstance(value, base):
            return base([__mull_plain(v, depth + 1) for v in base.__iter__(value)])
    for base in (int, float, complex, str, bytes):
        if isinstance(value, base):
            return base.__new__(base, value)
    if kind is range:
        return ("\0range", (value.start, value.stop, value.step))
    # A value can have one of these types only if the type's module is loaded.
    if kind is getattr(sys.modules.get("decimal"), "Decimal", None):
        return ("\0decimal", str(value))
    if kind is getattr(sys.modules.get("fractions"), "Fraction", None):
        return ("\0fraction", str(value))
    if kind is getattr(sys.modules.get("_collections"), "deque", None):
        return ("\0deque", tuple(__mull_plain(v, depth + 1) for v in value))
    if hasattr(kind, "__next__") or kind in (type({}.keys()), type({}.values()), type({}.items())):
        members = list(islice(value, 10001))
        if len(members) <= 10000:
            return ("\0iterator", tuple(__mull_plain(v, depth + 1) for v in members))
    return value
