"""Arithmetic of costs and ceilings, and what a model's tokens are priced at."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Any

from mull.cost.flops import Architecture
from mull.errors import UsageError
from mull.types import Budget, Cost, Params

CEILINGS: dict[str, Callable[[Cost], float | None]] = {
    "calls": lambda cost: cost.calls,
    "tokens": lambda cost: cost.tokens,
    "usd": lambda cost: cost.usd,
    "flops": lambda cost: cost.flops,
}
"""What each ceiling of a `Budget` caps; `seconds` is time on the clock and not among them."""
PRICED_BY = {"usd": "usd_per_mtok_in and usd_per_mtok_out", "flops": "active_params or architecture"}
"""What a table of `mull.toml` has to say of a model, for its cost to be known in these."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a model's tokens cost; `None` is unknown.

    FLOPs are exact where `architecture` is known (`mull.cost.flops`). Where only `active_params` are, they are 2 for each
    of them and each token computed, which leaves attention out.
    """

    usd_per_mtok_in: float | None = None
    usd_per_mtok_out: float | None = None
    active_params: float | None = None
    usd_per_mtok_cached: float | None = None
    """Of prompt tokens that a cache served; `None`: the same as of others."""
    architecture: Architecture | None = None

    def cost(self, prompt_tokens: int | None, output_tokens: int | None, cached_tokens: int | None = 0) -> Cost:
        """The cost of one draw; cached prompt tokens are billed but not computed.

        Where nobody told how many were cached, all count as billed in full and computed. What is free is so
        however many tokens there were.
        """
        usd = flops = None
        if self.usd_per_mtok_in == self.usd_per_mtok_out == 0 and not self.usd_per_mtok_cached:
            usd = 0.0
        if prompt_tokens is not None and output_tokens is not None:
            n_cached = cached_tokens or 0
            if self.usd_per_mtok_in is not None and self.usd_per_mtok_out is not None:
                cached = self.usd_per_mtok_in if self.usd_per_mtok_cached is None else self.usd_per_mtok_cached
                paid = (prompt_tokens - n_cached) * self.usd_per_mtok_in + n_cached * cached
                usd = (paid + output_tokens * self.usd_per_mtok_out) / 1e6
            if self.architecture is not None:
                flops = float(self.architecture.draw(prompt_tokens, output_tokens, n_cached))
            elif self.active_params is not None:
                flops = 2.0 * self.active_params * (prompt_tokens - n_cached + output_tokens)
        return Cost(1, prompt_tokens, output_tokens, 0, cached_tokens, flops, usd, None)


def times(cost: Cost, n: int) -> Cost:
    """The cost of doing the same `n` times."""
    parts = {f.name: getattr(cost, f.name) for f in fields(cost)}
    return Cost(**{name: None if value is None else value * n for name, value in parts.items()})


_NAMES = [f.name for f in fields(Cost)]
_parts = attrgetter(*_NAMES)
_REALS = {"flops", "usd", "seconds"}
"""The parts of a `Cost` that are no whole numbers."""


def total(costs: Iterable[Cost]) -> Cost:
    """The sum of costs, the same to the last bit whatever their order; `None` where one is unknown."""
    columns = list(zip(*map(_parts, costs), strict=True))
    if not columns:
        return Cost()
    sums = (math.fsum if name in _REALS else sum for name in _NAMES)
    parts: list[Any] = [None if None in column else add(column) for add, column in zip(sums, columns, strict=True)]
    return Cost(*parts)


class Ledger:
    """A running `total` in constant time: exact, so the same to the last bit whatever the order of the costs."""

    def __init__(self) -> None:
        self._sums: list[int | list[float] | None] = [[] if name in _REALS else 0 for name in _NAMES]

    def add(self, cost: Cost) -> None:
        for i, value in enumerate(_parts(cost)):
            before = self._sums[i]
            if value is None or before is None:
                self._sums[i] = None
            elif isinstance(before, list):
                _add_exactly(before, value)
            else:
                self._sums[i] = before + value

    @property
    def total(self) -> Cost:
        """The sum of all that was added; `None` where one was unknown."""
        parts: list[Any] = [math.fsum(part) if isinstance(part, list) else part for part in self._sums]
        return Cost(*parts)


def _add_exactly(partials: list[float], value: float) -> None:
    """Keeps numbers whose exact sum is that of all values so far (Shewchuk 1997)."""
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
    """The mean of each part; `None` where one is unknown."""
    whole = total(costs)
    parts = {f.name: getattr(whole, f.name) for f in fields(whole)}
    return Cost(**{name: None if value is None or not costs else value / len(costs) for name, value in parts.items()})


def known_or(cost: Cost, limit: Cost) -> Cost:
    """`cost` with its unknown parts taken as if they had reached `limit`."""
    parts = {f.name: getattr(limit if getattr(cost, f.name) is None else cost, f.name) for f in fields(cost)}
    return Cost(**parts)


def check_budget(budget: Budget) -> None:
    """Refuses a ceiling below zero."""
    for f in fields(budget):
        value = getattr(budget, f.name)
        if value is not None and value < 0:
            raise UsageError(f"a budget cannot be negative: {f.name} = {value}")


def check_quoted(budget: Budget, quote: Cost, name: str) -> None:
    """Refuses a ceiling on something whose price nobody knows, since it could not be kept."""
    for ceiling, of in CEILINGS.items():
        if getattr(budget, ceiling) is not None and of(quote) is None:
            needed = PRICED_BY.get(ceiling)
            remedy = f"give {needed} (of [models.{name}] in mull.toml), or " if needed else ""
            raise UsageError(
                f"a ceiling on {ceiling} cannot be kept: {name} has no known price in {ceiling}; "
                f"{remedy}leave the ceiling out"
            )


def fits(left: Budget, quote: Cost) -> bool:
    """Whether something of this cost is within what is left."""
    for ceiling, of in CEILINGS.items():
        top, most = getattr(left, ceiling), of(quote)
        if top is not None and most is not None and most > top:
            return False
    return True


def affordable(left: Budget, quote: Cost, params: Params, n: int) -> tuple[int, Params]:
    """How many of `n` draws at this price each are within what is left, and how long each may be.

    Only a last draw that the ceiling on tokens leaves too little room for is shortened.
    """
    for ceiling, of in CEILINGS.items():
        top, each = getattr(left, ceiling), of(quote)
        if top is None or each is None:
            continue
        if ceiling == "tokens" and 0 < top < params.max_tokens:
            n, params = min(n, 1), replace(params, max_tokens=int(top))
        elif each > 0:
            n = min(n, int(max(top, 0) // each))
    return n, params
