"""Whether what is left of a request's ceilings has room for a reply, told before anything is spent."""

from __future__ import annotations

from decimal import Decimal

from mull.cost import CEILINGS, fits
from mull.serve.faults import DayIsSpent, bad
from mull.types import Budget, Cost


def number(value: float) -> str:
    """A count or a sum of dollars in full: `1,000,000`, `0.0002`."""
    return f"{Decimal(f'{value:.6g}') if value % 1 else Decimal(int(value)):,f}"


def check_room(own: Budget, left: Budget, need: Cost, what: str) -> None:
    """Raises `ApiError` if `what` needs more than is left.

    400, with each ceiling that is too low, if it is the request's `own`; `DayIsSpent` if those allow it and only the
    budget of the key's day, which `left` has as well, does not.
    """
    lacking = []
    for name, of in CEILINGS.items():
        top, most = getattr(own, name), of(need)
        if top is not None and most is not None and most > top:
            lacking.append(f"{name}: {number(most)} needed, {number(max(0, top))} left")
    if lacking:
        raise bad("mull.budget", f"leaves no room for {what} ({'; '.join(lacking)})", "budget_too_small")
    if not fits(left, need):
        raise DayIsSpent(need)


def replies(n: int) -> str:
    """`n` replies, in words."""
    return "a reply" if n == 1 else f"{n:,} replies"
