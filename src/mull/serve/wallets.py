"""The wallet of a request: what its ceilings allow, and what was paid for it."""

from __future__ import annotations

from dataclasses import replace

from mull.cost import UNLIMITED
from mull.errors import BankAwayError
from mull.run.wallet import Hold, TakenError, Wallet
from mull.types import Budget, Cost


class PaidWallet(Wallet):
    """Pays what is paid now: a draw or a verdict that was banked costs nothing."""

    def pay(self, cost: Cost, quote: Cost, fresh: Cost | None) -> None:
        """Books the part that is paid now."""
        if fresh is not None:
            super().pay(fresh, quote, fresh)


class RequestWallet(Wallet):
    """The wallet of one request, within that of its key; `paid` has what was paid now.

    What comes from the bank counts against the ceilings, so that a request that is repeated gets the same answer, and
    costs nothing. With `is_shared` its runs share draws, and the ceilings too count only what is paid.

    If the database of the accounts goes away while the request runs, what was drawn is not lost by it: the request
    has no more to spend, and `away` is the reason.
    """

    def __init__(self, budget: Budget, within: Wallet | None = None, *, is_shared: bool = False) -> None:
        self.paid = PaidWallet(UNLIMITED, within)
        super().__init__(budget, self.paid)
        self._is_shared = is_shared
        self.away: BankAwayError | None = None

    @property
    def n_banked(self) -> int | None:
        """Draws and judges' calls that came from the bank; `None` where runs share them, who each tell their own."""
        return None if self._is_shared else (self.spent.calls or 0) - (self.paid.spent.calls or 0)

    @property
    def own_left(self) -> Budget:
        left = super().own_left
        return left if self.away is None else replace(left, calls=0, tokens=0, usd=0.0)

    def hold(self, quote: Cost, n: int = 1) -> Hold:
        """Holds `n` times `quote`. Raises `TakenError`, or `BankAwayError` before anything is drawn."""
        try:
            return super().hold(quote, n)
        except BankAwayError as error:
            if not self._holds and not self.spent.calls:
                raise
            self.away = error
            raise TakenError from error

    def pay(self, cost: Cost, quote: Cost, fresh: Cost | None) -> None:
        """Books a cost, and `fresh`, the part paid now."""
        if not self._is_shared:
            super().pay(cost, quote, fresh)
        elif fresh is not None:
            super().pay(fresh, quote, fresh)
