"""Counts of correct draws, one pair (n, c) per problem, compressed to distinct pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mull.errors import UsageError
from mull.stats.estimators import log_factorials, pass_at_ks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NEVER = 1e-12
"""An average leaves out counts that a smaller share of the problems than this has."""


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """The distinct pairs of draws `n` and correct draws `c`, each with `weight` problems; shape [pairs]."""

    n: Ints
    c: Ints
    weight: Floats

    @property
    def problems(self) -> int:
        return round(float(self.weight.sum()))

    @property
    def draws(self) -> int:
        return round(float(self.weight @ self.n))

    @property
    def least(self) -> int:
        """The smallest number of draws that any problem has: the end of the measured curve."""
        return int(self.n.min())

    @property
    def unsolved(self) -> float:
        """The share of problems without a success."""
        return float(self.weight[self.c == 0].sum() / self.weight.sum())

    @property
    def mean(self) -> float:
        """The mean success rate over problems."""
        return float(self.weight @ (self.c / self.n) / self.weight.sum())


def counts(n: ArrayLike, c: ArrayLike) -> Counts:
    """Compresses the draws `n` and correct draws `c` of each problem, shape [problems]; a scalar `n` holds for all.

    Raises `UsageError` without problems, or unless every pair satisfies `0 <= c <= n` and `n >= 1`.
    """
    right = np.atleast_1d(np.asarray(c))
    total = np.broadcast_to(np.asarray(n), right.shape)
    if right.ndim != 1 or not right.size:
        raise UsageError("a coverage law needs the counts of at least one problem")
    if not (np.issubdtype(right.dtype, np.integer) and np.issubdtype(total.dtype, np.integer)):
        raise UsageError("counts of draws must be whole numbers; leave out problems whose counts are unknown")
    wrong = (right < 0) | (right > total) | (total < 1)
    if np.any(wrong):
        i = int(np.argmax(wrong))
        raise UsageError(f"problem {i + 1} has {right[i]} correct of {total[i]} draws: 0 <= c <= n, n >= 1 are needed")
    pairs, weight = np.unique(np.stack([total, right]).astype(np.int64), axis=1, return_counts=True)
    return Counts(pairs[0], pairs[1], weight.astype(np.float64))


def measured_each(data: Counts, k: int) -> Floats:
    """The unbiased estimate of pass@k of each pair, shape [pairs]."""
    return pass_at_ks(data.n, data.c, [k])[:, 0]


def measured(data: Counts, ks: ArrayLike) -> Floats:
    """Unbiased coverage at each k, shape [ks] (arXiv 2107.03374). Raises `ValueError` for k above the smallest n."""
    values = pass_at_ks(data.n, data.c, [int(k) for k in np.atleast_1d(ks)])
    mean: Floats = data.weight @ values / data.weight.sum()
    return mean


def thinned(data: Counts, draws: int) -> Counts:
    """The expected counts when `draws` draws of each problem are subsampled; `weight` may be fractional.

    Raises `ValueError` if a problem has fewer draws.
    """
    if draws > data.least:
        raise ValueError(f"cannot subsample {draws} draws from {data.least}")
    table = log_factorials(int(data.n.max()))
    weight = np.zeros(draws + 1)
    for n, c, seen in zip(data.n, data.c, data.weight, strict=True):
        j = np.arange(max(0, draws - (n - c)), min(c, draws) + 1)
        right = table[c] - table[j] - table[c - j]
        wrong = table[n - c] - table[draws - j] - table[n - c - draws + j]
        weight[j] += seen * np.exp(right + wrong - table[n] + table[draws] + table[n - draws]).astype(np.float64)
    kept = np.nonzero(weight > NEVER * weight.sum())[0]
    return Counts(np.full(len(kept), draws), kept, weight[kept])


def log_grid(last: int, points: int = 40, first: int = 1) -> Ints:
    """Distinct integers from `first` to `last`, evenly spaced in logarithm."""
    return np.unique(np.round(np.geomspace(first, last, points)).astype(np.int64))
