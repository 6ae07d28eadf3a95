"""Sums and means of costs, exact and independent of their order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

from mull.types import Cost

_NAMES = [f.name for f in fields(Cost)]
_parts = attrgetter(*_NAMES)


NOTHING = Cost()


def times(cost: Cost, n: int) -> Cost:
    """The cost of doing the same `n` times."""
    return Cost(*[None if value is None else value * n for value in _parts(cost)])


_REALS = {"flops", "usd", "seconds"}
"""The parts of a `Cost` that are not whole numbers."""


def total(costs: Iterable[Cost]) -> Cost:
    """The sum of costs, bit-identical in any order; a part is `None` if it is unknown in any of them."""
    columns = list(zip(*map(_parts, costs), strict=True))
    if not columns:
        return Cost()
    sums = (math.fsum if name in _REALS else sum for name in _NAMES)
    parts: list[Any] = [None if None in column else add(column) for add, column in zip(sums, columns, strict=True)]
    return Cost(*parts)


MOST_WAITING = 64
"""Costs that a ledger keeps until their sum is asked for."""


class Ledger:
    """A running `total`; exact, so bit-identical for any order of the costs."""

    def __init__(self) -> None:
        self._n = 0
        self._sums: list[int | list[float] | None] = []
        self._waiting: list[Cost] = []
        """Costs that are not in the sums yet: many ledgers get one, and most are asked for their sum at the end."""
        self._total: Cost | None = NOTHING
        """The sum, once it was asked for: it is asked for more often than added to."""

    def add(self, cost: Cost) -> None:
        self._n += 1
        self._total = cost if self._n == 1 else None
        self._waiting.append(cost)
        if len(self._waiting) == MOST_WAITING:
            self._book()

    def _book(self) -> None:
        """Adds the costs that wait to the sums."""
        self._sums = self._sums or [[] if name in _REALS else 0 for name in _NAMES]
        for i, column in enumerate(zip(*map(_parts, self._waiting), strict=True)):
            before = self._sums[i]
            if before is None or None in column:
                self._sums[i] = None
            elif isinstance(before, list):
                for value in column:
                    _add_exactly(before, value)
            else:
                self._sums[i] = before + sum(column)
        self._waiting = []

    @property
    def total(self) -> Cost:
        """The sum of all costs added; a part is `None` if it was unknown in any of them."""
        if self._total is None:
            self._book()
            parts: list[Any] = [math.fsum(part) if isinstance(part, list) else part for part in self._sums]
            self._total = Cost(*parts)
        return self._total

    @property
    def mean(self) -> Cost:
        """The mean of each part of the costs added; `None` if it was unknown in any of them."""
        return _over(self.total, self._n)


def _add_exactly(partials: list[float], value: float) -> None:
    """Adds `value` to `partials`, whose exact sum is that of all values so far (Shewchuk 1997)."""
    n = 0
    for other in partials:
        high = value + other
        big, small = (value, other) if abs(value) >= abs(other) else (other, value)
        low = small - (high - big)
        if low:
            partials[n] = low
            n += 1
        value = high
    partials[n:] = [value]


def mean(costs: Sequence[Cost]) -> Cost:
    """The mean of each part; `None` if it is unknown in any cost."""
    return _over(total(costs), len(costs))


def _over(whole: Cost, n: int) -> Cost:
    """A sum of `n` costs as their mean."""
    return Cost(*[None if value is None or not n else value / n for value in _parts(whole)])


def known_or(cost: Cost, limit: Cost) -> Cost:
    """`cost` with its unknown parts replaced by those of `limit`."""
    known = zip(_parts(cost), _parts(limit), strict=True)
    return Cost(*[most if value is None else value for value, most in known])
