"""Checks that what a run is given is of the right kind, before anything is spent."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from mull.errors import UsageError

PARTS: Mapping[str, tuple[str, ...]] = {
    "model": ("quote", "sample", "refuses", "name", "identity"),
    "verifier": ("quote", "score", "name", "identity"),
    "judge": ("quote", "prefer", "name", "identity"),
    "executor": ("quote", "execute", "name", "identity"),
    "bank": ("get", "put", "claim", "verdicts", "keep"),
    "task": ("problems", "grade", "name"),
    "strategy": ("__call__",),
}
"""The attributes that each kind must have, as in `mull.types`."""
HOW = {
    "name": ': a text, such as name = "mine" in the class',
    "identity": ": what its results are banked under; identity = None keeps them out of the bank",
    "refuses": ": why it cannot serve a request; return None for those that it can",
    "quote": ": the most that it can cost, such as Cost()",
}
"""How the attributes are given that are easily forgotten."""
MAKE = {
    "model": "Nano()",
    "verifier": "CountdownChecker()",
    "judge": "ScoreJudge()",
    "executor": "PythonExecutor()",
    "bank": "open_bank(path)",
    "strategy": "Majority(n=16)",
}


CALLED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "model": {
        "quote": ("prompt", "params"),
        "refuses": ("prompt", "params"),
        "sample": ("prompt", "params", "draws", "purse"),
    },
    "verifier": {"quote": ("problem", "samples"), "score": ("problem", "samples", "calls")},
    "judge": {"quote": ("problem", "pairs"), "prefer": ("problem", "pairs", "calls")},
    "executor": {"quote": ("problem", "trials"), "execute": ("problem", "trials")},
    "strategy": {"__call__": ("problem", "run")},
}
"""The arguments that methods are called with."""


def check_fits(**given: Any) -> None:
    """Raises `UsageError` for a value that lacks an attribute of its kind; `None` is not given."""
    for kind, value in given.items():
        if value is None or (type(value), kind) in _fitting:
            continue
        if isinstance(value, type):
            raise UsageError(f"{kind}={value.__name__} is a class, not an object of it: write {value.__name__}(...)")
        if isinstance(value, str | bytes | int | float | dict | list | tuple) and lacking(type(value), kind):
            what = f"{kind} must be an object with {', '.join(PARTS[kind])}, such as {MAKE[kind]}"
            raise UsageError(f"{what}, not {value!r:.80}")
        missing = [name for name in lacking(type(value), kind) if name not in getattr(value, "__dict__", ())]
        if missing and not hasattr(type(value), "__getattr__"):
            what = f"{kind}={type(value).__qualname__}(...) has no {missing[0]}, which a {kind} must have"
            raise UsageError(what + HOW.get(missing[0], ""))
        _check_called(type(value), kind)
        if not lacking(type(value), kind):
            _fitting.add((type(value), kind))


_fitting: set[tuple[type, str]] = set()
"""The classes all of whose objects fit, since a sweep makes thousands of runs."""


def _check_called(cls: type, kind: str) -> None:
    """Raises `UsageError` for a method that does not take the arguments that it is called with."""
    for name, arguments in CALLED.get(kind, {}).items():
        method = inspect.getattr_static(cls, name, None)
        if not inspect.isfunction(method):
            continue
        taken = inspect.signature(method)
        try:
            taken.bind(None, *arguments)
        except TypeError:
            takes = f"{kind}={cls.__qualname__}(...).{name} takes ({', '.join(list(taken.parameters)[1:])})"
            raise UsageError(f"{takes}, and is called with ({', '.join(arguments)})") from None


def lacking(cls: type, kind: str) -> tuple[str, ...]:
    """The attributes of a kind that a class neither has nor declares as fields."""
    has = {name for base in cls.__mro__ for name in [*vars(base), *vars(base).get("__annotations__", ())]}
    return tuple(name for name in PARTS[kind] if name not in has)


def check_is(**given: tuple[Any, type]) -> None:
    """Raises `UsageError` for a value that is not of its type; `None` is not given."""
    for name, (value, cls) in given.items():
        if value is not None and not isinstance(value, cls):
            raise UsageError(f"{name} must be a {cls.__name__}, not {value!r:.80} of type {type(value).__name__}")
