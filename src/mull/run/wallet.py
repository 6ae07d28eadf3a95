"""What a run has spent, holds and may still spend, and the purse of one model call."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mull.cost import CEILINGS, UNLIMITED, Ledger, check_budget, fits, known_or, lowest, times, total
from mull.types import Budget, Cost, Stopped


class TakenError(Exception):
    """A shared budget has less left than it said a moment ago: read what is left again."""


@dataclass(slots=True, eq=False)
class Hold:
    """Budget held for `n` calls that cost at most `quote` each; `outer` is the matching hold in the outer wallet."""

    quote: Cost
    n: int
    outer: Hold | None = field(default=None, repr=False)


class Wallet:
    """The accounts of one run. Costs are summed exactly, in constant time per call.

    `within` is an outer wallet, such as the daily budget of an API key: everything this wallet holds and pays is held
    and paid there too, and the ceilings of both apply. An outer wallet that others share may raise `TakenError` in
    `hold`.
    """

    def __init__(self, budget: Budget, within: Wallet | None = None) -> None:
        check_budget(budget)
        self.budget = budget
        self._is_limited = budget != UNLIMITED
        self.within = within
        self.stopped = Stopped.COMPLETE
        """Why the last request returned fewer draws or verdicts than asked for; `COMPLETE` if none did."""
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
    def charged(self) -> Cost:
        """What counts against the ceilings: `spent`, with unknown parts as quoted."""
        return self._charged.total

    @property
    def held(self) -> Cost:
        return total(times(hold.quote, hold.n) for hold in self._holds)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    @property
    def ceilings(self) -> Budget:
        """The lowest ceilings of this wallet and its outer wallets."""
        if self.within is None:
            return self.budget
        return lowest(self.budget, self.within.ceilings)

    @property
    def own_left(self) -> Budget:
        """What this wallet's own ceilings still allow, whatever its outer wallets do."""
        if not self._is_limited:
            return UNLIMITED
        used = self._charged.total + self.held if self._holds else self._charged.total
        gone = {
            name: None if (top := getattr(self.budget, name)) is None else top - (of(used) or 0)
            for name, of in CEILINGS.items()
        }
        seconds = None if self.budget.seconds is None else max(0.0, self.budget.seconds - self.seconds)
        return Budget(seconds=seconds, **gone)

    @property
    def left(self) -> Budget:
        """What the ceilings still allow, counting calls in progress at their maximum cost."""
        return self.own_left if self.within is None else lowest(self.own_left, self.within.left)

    @property
    def is_exceeded(self) -> bool:
        """Whether a ceiling is exceeded, which only something that costs more than its quote does."""
        if self._is_limited:
            used = self._charged.total
            for name, of in CEILINGS.items():
                top = getattr(self.budget, name)
                if top is not None and (of(used) or 0) > top * (1 + 1e-9):
                    return True
        return self.within is not None and self.within.is_exceeded

    def deadline(self, share: float = 1.0) -> float | None:
        """When this share of the seconds has passed (`time.monotonic`); `None`: no ceiling on seconds."""
        mine = None if self.budget.seconds is None else self._start + share * self.budget.seconds
        outer = None if self.within is None else self.within.deadline()
        known = [at for at in (mine, outer) if at is not None]
        return min(known, default=None)

    def hold(self, quote: Cost, n: int = 1) -> Hold:
        """Holds `n` times `quote`."""
        hold = Hold(quote, n, None if self.within is None else self.within.hold(quote, n))
        self._holds.add(hold)
        return hold

    def drop(self, *holds: Hold) -> None:
        """Releases what remains of the holds."""
        self._holds.difference_update(holds)
        if self.within is not None:
            self.within.drop(*(hold.outer for hold in holds if hold.outer is not None))

    def pay(self, cost: Cost, quote: Cost, fresh: Cost | None) -> None:
        """Books a cost, and `fresh`, the part paid now; unknown parts count against the ceilings as quoted."""
        self._spent.add(cost)
        self._charged.add(cost if None not in (cost.tokens, cost.usd, cost.flops) else known_or(cost, quote))
        if fresh is not None:
            self._fresh.add(fresh)
        if self.within is not None:
            self.within.pay(cost, quote, fresh)

    def settle(self, cost: Cost, hold: Hold, *, is_fresh: bool) -> None:
        """Books one of the held draws; each attempt at it may have cost what was quoted."""
        outer: Hold | None = hold
        while outer is not None:
            outer.n -= 1
            outer = outer.outer
        most = times(hold.quote, 1 + cost.retries) if cost.retries else hold.quote
        self.pay(cost, most, cost if is_fresh else None)


def as_drawn(cost: Cost) -> Cost:
    """Books a draw of the run's own model unchanged."""
    return cost


def as_verification(cost: Cost) -> Cost:
    """Books a draw of a verifier's or judge's model: its generated tokens count as verifier tokens."""
    return replace(cost, output_tokens=0, verifier_tokens=cost.tokens)


class HeldPurse:
    """The budget of one model call: the hold for its draws, and what the model reserves beyond it.

    `booked` decides how costs are booked: unchanged, or as verification. `until` is when the call is cancelled.
    """

    def __init__(
        self, wallet: Wallet, hold: Hold, booked: Callable[[Cost], Cost] = as_drawn, until: float | None = None
    ) -> None:
        self._wallet, self._hold, self._booked, self.until = wallet, hold, booked, until
        self._more: list[Hold] = []

    def settle(self, cost: Cost, *, is_fresh: bool = True) -> None:
        """Books the cost of a delivered draw."""
        self._wallet.settle(self._booked(cost), self._hold, is_fresh=is_fresh)

    def lost(self, cost: Cost) -> None:
        self.settle(cost)

    def hold(self, cost: Cost) -> bool:
        try:
            if fits(self._wallet.left, self._booked(cost)):
                self._more.append(self._wallet.hold(self._booked(cost)))
                return True
        except TakenError:
            pass  # it was the last of a budget that others share
        self._wallet.stopped = Stopped.BUDGET
        return False

    def pay(self, cost: Cost) -> None:
        self._wallet.pay(self._booked(cost), self._booked(cost), self._booked(cost))

    def close(self) -> None:
        """Releases what is still held."""
        self._wallet.drop(self._hold, *self._more)
