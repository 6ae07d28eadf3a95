"""Allocates further draws where they are most informative: a two-stage design, and weights for known success rates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mull.errors import UsageError
from mull.laws.counts import Floats, Ints

FIRST_SHARE = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Allocation:
    """Draws to make on each problem, shape [problems], and `left`, the draws of the budget that it does not use.

    Counts from such a plan have unequal n: fit them by likelihood, because an average of pass@k over problems is biased
    where n depends on the outcome.
    """

    draws: Ints
    left: int


def rest_of(made: int, share: float = FIRST_SHARE) -> int:
    """The number of draws in the second stage, where `made` draws are the `share` of the first."""
    return round(made * (1.0 - share) / share)


def second_stage(n: ArrayLike, c: ArrayLike, budget: int) -> Allocation:
    """Allocates all further draws to the problems without a success, so that their numbers of draws become equal.

    If every problem has a success, it allocates none, because more draws would not raise coverage. `n` and `c` are
    [problems]; raises `UsageError` for a negative budget.
    """
    if budget < 0:
        raise UsageError(f"a budget of draws cannot be negative: {budget}")
    made, right = np.broadcast_arrays(np.asarray(n, dtype=np.int64), np.asarray(c, dtype=np.int64))
    draws = np.zeros(made.shape, dtype=np.int64)
    unsolved = np.nonzero(right == 0)[0]
    if not len(unsolved):
        return Allocation(draws, budget)
    # Filling unequal columns up to a common level: find how many columns the budget reaches.
    order = unsolved[np.argsort(made[unsolved], kind="stable")]
    heights = made[order]
    filled = np.arange(1, len(order) + 1) * heights - np.cumsum(heights)
    reached = int(np.searchsorted(filled, budget, side="right"))
    level, rest = divmod(budget + int(heights[:reached].sum()), reached)
    draws[order[:reached]] = level - heights[:reached]
    draws[order[:rest]] += 1
    return Allocation(draws, 0)


def variance_weights(p: ArrayLike, k: int) -> Floats:
    """The shares of draws that minimise the variance of pass@k for known success rates `p`, shape [problems].

    Proportional to sqrt(p (1 - p)^(2k - 1)) (Kazdan et al. 2025, arXiv 2510.05197, theorem 1).
    """
    rate = np.asarray(p, dtype=np.float64)
    if k < 1 or not ((rate > 0) & (rate < 1)).any():
        raise UsageError("weights need k of at least 1 and a success rate strictly between 0 and 1")
    inside = np.clip(rate, np.finfo(np.float64).tiny, 1 - 1e-16)
    logs = np.where((rate > 0) & (rate < 1), 0.5 * (np.log(inside) + (2 * k - 1) * np.log1p(-inside)), -np.inf)
    weights: Floats = np.exp(logs - logs.max())
    weights /= weights.sum()
    return weights
