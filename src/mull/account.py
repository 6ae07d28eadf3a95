"""A budget, what was spent of it, and what calls under way may still cost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from mull.asked import Hold
from mull.cost import CEILINGS, Ledger, check_budget, check_quoted, fits, known_or, times, total
from mull.types import Budget, Cost, Model, Params, Prompt, Stopped


class Account:
    """Every ceiling of the budget is held before a call and settled after it, so `spent` never exceeds it."""

    def __init__(self, model: Model, budget: Budget, params: Params) -> None:
        check_budget(budget)
        self.model, self.budget, self.params = model, budget, params
        self.stopped = Stopped.COMPLETE
        """Why the last short read was short; `COMPLETE` while there was none."""
        self._spent, self._fresh_costs, self._charged = Ledger(), Ledger(), Ledger()
        self._holds: set[Hold] = set()
        self._start = time.monotonic()

    @property
    def spent(self) -> Cost:
        """What the run has cost, draws that came from the bank counted as if they had been made."""
        return self._spent.total

    @property
    def fresh(self) -> Cost:
        """What was paid now."""
        return self._fresh_costs.total

    @property
    def held(self) -> Cost:
        """What calls under way may still cost."""
        return total(times(hold.quote, hold.n) for hold in self._holds)

    @property
    def seconds(self) -> float:
        """Time on the clock since the run began."""
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

    def _pay(self, cost: Cost, quote: Cost, *, is_fresh: bool) -> None:
        """Counts a cost; what is unknown of it counts against the ceilings as the most it can have been."""
        self._spent.add(cost)
        self._charged.add(cost if None not in (cost.tokens, cost.usd, cost.flops) else known_or(cost, quote))
        if is_fresh:
            self._fresh_costs.add(cost)

    @contextmanager
    def reserve(self, prompt: Prompt, params: Params | None = None) -> Iterator[None]:
        """Keeps the price of one such draw out of reach inside the block: a search cut short can still answer."""
        quote = self.model.quote(prompt, params or self.params)
        check_quoted(self.budget, quote, self.model.name)
        hold = Hold(quote, 1)
        self._holds.add(hold)
        try:
            yield
        finally:
            self._holds.discard(hold)

    def _settle(self, cost: Cost, quote: Cost, *, is_fresh: bool) -> None:
        """Counts a draw; each attempt at it may have cost what was quoted."""
        self._pay(cost, times(quote, 1 + cost.retries) if cost.retries else quote, is_fresh=is_fresh)


class Purse:
    """What one call of the model spends from: the hold on its draws, and what it asks for beyond."""

    def __init__(self, account: Account, hold: Hold) -> None:
        self._account, self._hold = account, hold
        self._more: list[Hold] = []

    def __call__(self, cost: Cost) -> None:
        self._hold.n -= 1
        self._account._settle(cost, self._hold.quote, is_fresh=True)

    def hold(self, cost: Cost) -> bool:
        if not fits(self._account.left, cost):
            self._account.stopped = Stopped.BUDGET
            return False
        self._more.append(Hold(cost, 1))
        self._account._holds.add(self._more[-1])
        return True

    def pay(self, cost: Cost) -> None:
        self._account._pay(cost, cost, is_fresh=True)

    def close(self) -> None:
        """Gives back what is still held."""
        self._account._holds.difference_update([self._hold, *self._more])
