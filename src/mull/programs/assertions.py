"""The assertions of a test, and its verdict: comparisons with values that the sandbox returns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mull.sandbox import Opaque

MAX_BITS = 10_000
"""Integers with more bits are shown in hexadecimal, because Python limits decimal conversion."""


class AssertionVerdict(NamedTuple):
    """The result of a program on one test.

    `passed` is `None` if it could not be decided: the test is broken, or makes different calls on each run.
    `lines` has one entry for every assertion that was reached, in the order of the file.
    """

    passed: bool | None
    why: str = ""
    lines: tuple[bool, ...] = ()


class Comparison(NamedTuple):
    """A comparison in a test that depends on a single value of the program."""

    line: int
    source: str
    place: int
    operation: str
    value: Any


@dataclass(frozen=True, slots=True)
class AssertionPlan:
    """The calls and comparisons of a test, as far as they can be found without a program.

    `needs` are the expressions whose values the test needs. `claims` decide the test alone; `None` if the test must be
    run again with the values. `fixed` are the assertions that do not depend on the program. `broken`: why it cannot
    run.
    """

    needs: tuple[str, ...] = ()
    claims: tuple[Comparison, ...] | None = None
    fixed: tuple[tuple[int, bool], ...] = ()
    broken: str = ""


def plan_of(found: dict[str, Any]) -> AssertionPlan:
    claims = tuple(Comparison(*claim) for claim in found["claims"])
    # They decide the test only if each requested value was used in exactly one comparison.
    is_decided = len(claims) == len(found["needs"]) and len(claims) > 0
    fixed = tuple((line, ok) for line, ok, _ in found["results"])
    return AssertionPlan(tuple(found["needs"]), claims if is_decided else None, fixed, found["broken"])


def parts(value: Any) -> Iterator[Any]:
    """A value and, recursively, everything it contains."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        yield part
        if isinstance(part, (list, tuple, set, frozenset)):
            waiting.extend(part)
        elif isinstance(part, dict):
            waiting.extend(part.keys())
            waiting.extend(part.values())


def has_opaque(value: Any) -> bool:
    return any(isinstance(part, Opaque) for part in parts(value))


def is_marked(value: Any) -> bool:
    """Whether it contains a value that only the tester can restore."""
    return any(isinstance(part, tuple) and len(part) == 2 and str(part[0])[:1] == "\0" for part in parts(value))


def decide(
    claims: Sequence[Comparison], fixed: Sequence[tuple[int, bool]], answers: Mapping[str, Any]
) -> AssertionVerdict:
    """The verdict on a test that consists only of comparisons with one value each."""
    results = [(line, ok, "" if ok else "the assertion is false") for line, ok in fixed]
    for claim in claims:
        status, value = answers[claim.source][claim.place]
        if status == "value":
            ok = holds(claim.operation, value, claim.value)
            results.append((claim.line, ok, "" if ok else "the assertion is false"))
        else:
            ok = status == "opaque" and claim.operation in ("!=", "is not", "true")
            results.append((claim.line, ok, "" if ok else str(value or "a value of a type that does not travel")))
    return summary(results)


_ATOMS = (type(None), bool, int, float, complex, str, bytes)


def holds(operation: str, value: Any, other: Any) -> bool:
    try:
        if operation in ("==", "!="):
            return bool(value == other) is (operation == "==")
        if operation in ("is", "is not"):
            same = type(value) is type(other) and type(value) in _ATOMS and bool(value == other)
            return same is (operation == "is")
        return bool(value) is (operation == "true")
    except RecursionError:
        return False


def summary(results: Sequence[tuple[int, bool, str]]) -> AssertionVerdict:
    """Combines the results of one test by line."""
    lines: dict[int, bool] = {}
    for line, ok, _ in results:
        lines[line] = lines.get(line, True) and ok
    ordered = tuple(ok for _, ok in sorted(lines.items()))
    first = min(((line, why) for line, ok, why in results if not ok), default=None)
    return AssertionVerdict(all(ordered), "" if first is None else f"line {first[0]}: {first[1]}", ordered)


def show(value: Any) -> str:
    """A value as text: sets and dictionaries in a fixed order, no addresses."""
    kind = type(value)
    if kind is tuple and len(value) == 2 and type(value[0]) is str and value[0][:1] == "\0":
        return f"{value[0][1:]}({show(value[1])})"
    if kind in (list, tuple):
        inner = ", ".join(map(show, value)) + ("," if kind is tuple and len(value) == 1 else "")
        return f"[{inner}]" if kind is list else f"({inner})"
    if kind in (set, frozenset):
        return f"{kind.__name__}({', '.join(sorted(map(show, value)))})"
    if kind is dict:
        return "{" + ", ".join(sorted(f"{show(k)}: {show(v)}" for k, v in value.items())) + "}"
    if kind is int and value.bit_length() > MAX_BITS:
        return hex(value)
    if kind is Opaque:
        return f"<{value.type} {re.sub(r' at 0x[0-9a-f]+', '', value.repr)}>"
    return repr(value)
