"""A verifier, judge or executor as the run calls it, and which of its verdicts are banked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mull.types import Behaviour, Cost, Preference, Score, Verdict

V = TypeVar("V", Score, Preference, Behaviour)

SPENT, LATE = "the budget is spent", "the deadline passed"


@dataclass(frozen=True)
class Asking(Generic[V]):
    """A verifier, judge or executor: its name, quote and call, and the keys of its verdicts (`None`: not banked)."""

    name: str
    identity: str | None
    quote: Callable[[Sequence[Any]], Cost]
    call: Callable[[Sequence[Any]], Awaitable[Sequence[V]]]
    unknown: Callable[[str], V]
    key_of: Callable[[str, Any], str | None]


def is_known(verdict: Verdict) -> bool:
    """Whether the verifier, judge or executor could tell."""
    if isinstance(verdict, Behaviour):
        return verdict.is_known
    return (verdict.value if isinstance(verdict, Score) else verdict.first) is not None


def is_lasting(verdict: Verdict) -> bool:
    """Whether asking again would give the same verdict."""
    return is_known(verdict) or (not isinstance(verdict, Behaviour) and verdict.is_lasting)


def is_from_calls(verdict: Verdict) -> bool:
    """Whether a verdict was made from draws or scores that the run has paid for and banked."""
    return not isinstance(verdict, Behaviour) and verdict.drawn != Cost()


def is_banked(verdict: Verdict) -> bool:
    """Whether a verdict is banked: one made from draws only if it is a preference that has a cost of its own."""
    if not is_lasting(verdict) or not is_from_calls(verdict):
        return is_lasting(verdict)
    return isinstance(verdict, Preference) and verdict.cost != Cost()
