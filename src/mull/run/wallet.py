"""What a run has spent, holds and may still spend, and the purse that one call of a model spends from."""

from __future__ import annotations

import time
from dataclasses import dataclass

from mull.cost import CEILINGS, Ledger, check_budget, fits, known_or, times, total
from mull.types import Budget, Cost, Stopped


class Wallet:
    """The accounts of one run. Costs are exact sums, and every question takes constant time."""

    def __init__(self, budget: Budget) -> None:
        check_budget(budget)
        self.budget = budget
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
    def left(self) -> Budget:
        """What the ceilings still allow, calls under way taken as if they cost the most they can."""
        used = self._charged.total + self.held
        gone = {
            name: None if (top := getattr(self.budget, name)) is None else top - (of(used) or 0)
            for name, of in CEILINGS.items()
        }
        seconds = None if self.budget.seconds is None else max(0.0, self.budget.seconds - self.seconds)
        return Budget(seconds=seconds, **gone)

    def deadline(self, share: float) -> float | None:
        """When this share of the seconds has passed, on the clock of `time.monotonic`; `None`: they have no ceiling."""
        return None if self.budget.seconds is None else self._start + share * self.budget.seconds

    def hold(self, quote: Cost, n: int = 1) -> Hold:
        """Sets aside `n` times this much."""
        hold = Hold(quote, n)
        self._holds.add(hold)
        return hold

    def drop(self, *holds: Hold) -> None:
        """Gives back what holds still hold."""
        self._holds.difference_update(holds)

    def pay(self, cost: Cost, quote: Cost, fresh: Cost | None) -> None:
        """Counts a cost, and what of it was paid now; what is unknown of it counts against the ceilings as quoted."""
        self._spent.add(cost)
        self._charged.add(cost if None not in (cost.tokens, cost.usd, cost.flops) else known_or(cost, quote))
        if fresh is not None:
            self._fresh.add(fresh)

    def settle(self, cost: Cost, hold: Hold, *, is_fresh: bool) -> None:
        """Counts a draw of those held; each attempt at it may have cost what was quoted."""
        hold.n -= 1
        most = times(hold.quote, 1 + cost.retries) if cost.retries else hold.quote
        self.pay(cost, most, cost if is_fresh else None)


class Purse:
    """What one call of the model spends from: the hold on its draws, and what it asks for beyond."""

    def __init__(self, wallet: Wallet, hold: Hold) -> None:
        self._wallet, self._hold = wallet, hold
        self._more: list[Hold] = []

    def __call__(self, cost: Cost) -> None:
        self._wallet.settle(cost, self._hold, is_fresh=True)

    def hold(self, cost: Cost) -> bool:
        if not fits(self._wallet.left, cost):
            self._wallet.stopped = Stopped.BUDGET
            return False
        self._more.append(self._wallet.hold(cost))
        return True

    def pay(self, cost: Cost) -> None:
        self._wallet.pay(cost, cost, cost)

    def close(self) -> None:
        """Gives back what is still held."""
        self._wallet.drop(self._hold, *self._more)


@dataclass(slots=True, eq=False)
class Hold:
    """Budget set aside for `n` calls that cost at most `quote` each."""

    quote: Cost
    n: int
