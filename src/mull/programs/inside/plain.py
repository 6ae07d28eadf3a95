"""Values of the standard library's types as built-in ones, so that they travel. Runs beside the program, behind it.

A program may tamper with it: then it says other values than it has, and it could say those anyway.
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
    # A value of these types is there only if its module is loaded.
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
