"""Checks whether costs fit within the ceilings of a budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mull.cost.price import PRICED_BY
from mull.errors import UsageError
from mull.types import Budget, Cost, Params

CEILINGS: dict[str, Callable[[Cost], float | None]] = {
    "calls": lambda cost: cost.calls,
    "tokens": lambda cost: cost.tokens,
    "usd": lambda cost: cost.usd,
    "flops": lambda cost: cost.flops,
}
"""The part of a `Cost` that each ceiling of a `Budget` limits; `seconds` is wall-clock time and not among them."""

LIMITED = (*CEILINGS, "seconds")
"""The parts of a `Budget`."""
UNLIMITED = Budget()
"""No ceilings: what has none is this very object where it matters that this is told at once."""


def lowest(*budgets: Budget) -> Budget:
    """The lowest of several ceilings in each part; `None` is no ceiling."""
    limited = [budget for budget in budgets if budget is not UNLIMITED]
    if len(limited) < 2:
        return limited[0] if limited else UNLIMITED
    parts: dict[str, Any] = {}
    for name in LIMITED:
        known = [top for budget in limited if (top := getattr(budget, name)) is not None]
        parts[name] = min(known, default=None)
    return Budget(**parts)


def check_budget(budget: Budget) -> None:
    """Raises `UsageError` for a ceiling that is no number, or below zero."""
    for name in LIMITED:
        value = getattr(budget, name)
        if value is not None and not value >= 0:
            what = "cannot be negative" if value < 0 else "must be a number"
            raise UsageError(f"a budget {what}: {name} = {value}")


def check_quoted(budget: Budget, quote: Cost, name: str) -> None:
    """Raises `UsageError` for a ceiling on a part whose price is unknown, since it could not be enforced."""
    for ceiling, of in CEILINGS.items():
        if getattr(budget, ceiling) is not None and of(quote) is None:
            needed = PRICED_BY.get(ceiling)
            remedy = f"give {needed} (of [models.{name}] in mull.toml), or " if needed else ""
            raise UsageError(
                f"a ceiling on {ceiling} cannot be kept: {name} has no known price in {ceiling}; "
                f"{remedy}leave the ceiling out"
            )


def fits(left: Budget, quote: Cost) -> bool:
    """Whether a cost fits within what is left."""
    for ceiling, of in CEILINGS.items():
        top, most = getattr(left, ceiling), of(quote)
        if top is not None and most is not None and most > top:
            return False
    return True


def affordable(left: Budget, quote: Cost, params: Params, n: int) -> tuple[int, Params]:
    """How many of `n` draws at this price each fit within what is left, and the parameters to draw them with.

    `max_tokens` is reduced only for a single last draw, if the ceiling on tokens leaves less than a full draw.
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
