"""Who judges, at what price, and which verdicts are kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mull.types import Behaviour, Cost, Preference, Score, Verdict

V = TypeVar("V", Score, Preference, Behaviour)

SPENT, LATE = "the budget is spent", "the deadline passed"


@dataclass(frozen=True)
class Asking(Generic[V]):
    """Who judges, at what price, and under which key a verdict is kept (`None`: it is not)."""

    name: str
    identity: str | None
    quote: Callable[[Sequence[Any]], Cost]
    call: Callable[[Sequence[Any]], Awaitable[Sequence[V]]]
    unknown: Callable[[str], V]
    key_of: Callable[[str, Any], str | None]


def is_lasting(verdict: Verdict) -> bool:
    """Whether asking again would say the same."""
    if isinstance(verdict, Behaviour):
        return verdict.is_known
    value = verdict.value if isinstance(verdict, Score) else verdict.first
    return value is not None or verdict.is_lasting


def is_banked(verdict: Verdict) -> bool:
    """Whether a verdict is kept in the bank: one that was made of draws is not, for its draws are."""
    return is_lasting(verdict) and (isinstance(verdict, Behaviour) or verdict.drawn == Cost())
