"""What a run has spent, holds and may still spend, and the purse that one call of a model spends from."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mull.cost import CEILINGS, Ledger, check_budget, fits, known_or, times, total
from mull.types import Budget, Cost, Stopped


@dataclass(slots=True, eq=False)
class Hold:
    """Budget set aside for `n` calls that cost at most `quote` each; `outer` is the same in the wallet around."""

    quote: Cost
    n: int
    outer: Hold | None = field(default=None, repr=False)


class Wallet:
    """The accounts of one run. Costs are exact sums, and every question takes constant time.

    `within` is a wallet around this one, such as a key's daily budget: what this one holds and pays is held and paid
    there too, and neither's ceilings are exceeded.
    """

    def __init__(self, budget: Budget, within: Wallet | None = None) -> None:
        check_budget(budget)
        self.budget = budget
        self.within = within
        self.stopped = Stopped.COMPLETE
        """Why the last short read of the run was short; `COMPLETE` while there was none."""
        self._spent, self._fresh, self._charged = Ledger(), Ledger(), Ledger()
        self._holds: set[Hold] = set()
        self._start = time.monotonic()

    @property
    def spent(self) -> Cost:
        return self._spent.total

    @property
    def fresh(self) -> Cost:
        return self._fresh.total

    @property
    def held(self) -> Cost:
        return total(times(hold.quote, hold.n) for hold in self._holds)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    @property
    def ceilings(self) -> Budget:
        """The ceilings that hold here, whichever wallet they come from: one is set where any wallet sets it."""
        if self.within is None:
            return self.budget
        return _lowest(self.budget, self.within.ceilings)

    @property
    def left(self) -> Budget:
        """What the ceilings still allow, calls under way taken as if they cost the most they can."""
        used = self._charged.total + self.held
        gone = {
            name: None if (top := getattr(self.budget, name)) is None else top - (of(used) or 0)
            for name, of in CEILINGS.items()
        }
        seconds = None if self.budget.seconds is None else max(0.0, self.budget.seconds - self.seconds)
        mine = Budget(seconds=seconds, **gone)
        return mine if self.within is None else _lowest(mine, self.within.left)

    def deadline(self, share: float = 1.0) -> float | None:
        """When this share of the seconds has passed, on the clock of `time.monotonic`; `None`: they have no ceiling."""
        mine = None if self.budget.seconds is None else self._start + share * self.budget.seconds
        outer = None if self.within is None else self.within.deadline()
        known = [at for at in (mine, outer) if at is not None]
        return min(known, default=None)

    def hold(self, quote: Cost, n: int = 1) -> Hold:
        """Sets aside `n` times this much."""
        hold = Hold(quote, n, None if self.within is None else self.within.hold(quote, n))
        self._holds.add(hold)
        return hold

    def drop(self, *holds: Hold) -> None:
        """Gives back what holds still hold."""
        self._holds.difference_update(holds)
        if self.within is not None:
            self.within.drop(*(hold.outer for hold in holds if hold.outer is not None))

    def pay(self, cost: Cost, quote: Cost, fresh: Cost | None) -> None:
        """Counts a cost, and what of it was paid now; what is unknown of it counts against the ceilings as quoted."""
        self._spent.add(cost)
        self._charged.add(cost if None not in (cost.tokens, cost.usd, cost.flops) else known_or(cost, quote))
        if fresh is not None:
            self._fresh.add(fresh)
        if self.within is not None:
            self.within.pay(cost, quote, fresh)

    def settle(self, cost: Cost, hold: Hold, *, is_fresh: bool) -> None:
        """Counts a draw of those held; each attempt at it may have cost what was quoted."""
        outer: Hold | None = hold
        while outer is not None:
            outer.n -= 1
            outer = outer.outer
        most = times(hold.quote, 1 + cost.retries) if cost.retries else hold.quote
        self.pay(cost, most, cost if is_fresh else None)


def _lowest(one: Budget, other: Budget) -> Budget:
    """The lower of two ceilings in each part; `None` is none."""
    parts: dict[str, float | None] = {}
    for name in ("calls", "tokens", "usd", "flops", "seconds"):
        known = [top for top in (getattr(one, name), getattr(other, name)) if top is not None]
        parts[name] = min(known, default=None)
    return Budget(**parts)  # type: ignore[arg-type]


def as_drawn(cost: Cost) -> Cost:
    """A draw of the run's own model is booked as it is."""
    return cost


def as_verification(cost: Cost) -> Cost:
    """A draw of a verifier's or a judge's model: what it generated are verifier tokens."""
    return replace(cost, output_tokens=0, verifier_tokens=cost.tokens)


class HeldPurse:
    """The budget of one call of a model: the hold on its draws, and what it asks for beyond.

    `booked` says how the costs of its draws are booked: as they are, or as verification.
    """

    def __init__(self, wallet: Wallet, hold: Hold, booked: Callable[[Cost], Cost] = as_drawn) -> None:
        self._wallet, self._hold, self._booked = wallet, hold, booked
        self._more: list[Hold] = []

    def settle(self, cost: Cost, *, is_fresh: bool = True) -> None:
        """A draw was delivered and cost this."""
        self._wallet.settle(self._booked(cost), self._hold, is_fresh=is_fresh)

    def lost(self, cost: Cost) -> None:
        self.settle(cost)

    def hold(self, cost: Cost) -> bool:
        if not fits(self._wallet.left, self._booked(cost)):
            self._wallet.stopped = Stopped.BUDGET
            return False
        self._more.append(self._wallet.hold(self._booked(cost)))
        return True

    def pay(self, cost: Cost) -> None:
        self._wallet.pay(self._booked(cost), self._booked(cost), self._booked(cost))

    def close(self) -> None:
        """Gives back what is still held."""
        self._wallet.drop(self._hold, *self._more)
