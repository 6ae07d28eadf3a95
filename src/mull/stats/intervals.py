"""Confidence intervals: bootstrap over problems, and Wilson's for a proportion."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mull.stats.estimators import bootstrap_t, drawn_sums

N_RESAMPLES = 2000
MOST_KEPT, BLOCK = 10_000, 100
"""Problems up to which resamples are kept, and how many of these are multiplied at once."""


class Interval(NamedTuple):
    """The ends of a 95 % confidence interval."""

    low: float
    high: float


SHARE = (0.0, 1.0)


DIFFERENCE = (-1.0, 1.0)


def bootstrap(values: ArrayLike, seed: int = 0, bounds: tuple[float, float] | None = None) -> Interval:
    """A bootstrap interval for the mean, resampling problems; `bootstraps` for one column."""
    return bootstraps(np.asarray(values, dtype=np.float64)[:, None], seed, bounds)[0]


def bootstraps(values: ArrayLike, seed: int = 0, bounds: tuple[float, float] | None = None) -> list[Interval]:
    """The interval of each column's mean, by `estimators.bootstrap_t`; `values` are [problems, columns].

    All columns share the resamples. `bounds` is the range of possible values, such as `SHARE`. The order of the rows
    changes nothing.
    """
    matrix = in_order(np.asarray(values, dtype=np.float64))
    ends = bootstrap_t(matrix, resample_blocks(len(matrix), seed), bounds=bounds)
    return [Interval(float(low), float(high)) for low, high in ends]


def in_order(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rows in ascending order, by their first column, then the second and so on.

    Seeded resamples of them are then the same in whatever order a file has its problems.
    """
    return values[np.lexsort(values.T[::-1])]


def resamples(n: int, seed: int = 0, n_resamples: int = N_RESAMPLES) -> Iterator[NDArray[np.float64]]:
    """Yields, for each resample of n problems with replacement, how often each problem was drawn, [n]."""
    rng = np.random.default_rng(seed)
    for _ in range(n_resamples):
        yield np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64)


@lru_cache(maxsize=2)
def _counts(n: int, seed: int) -> NDArray[np.uint8]:
    """`resamples`, [resamples, n]: the intervals of one set of problems are all of the same ones.

    A byte holds each: that one of n problems is drawn 256 times of n has a chance of less than 1e-500.
    """
    counts = np.empty((N_RESAMPLES, n), dtype=np.uint8)
    for kept, row in zip(counts, resamples(n, seed), strict=True):
        kept[:] = row
    return counts


def resample_blocks(n: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """`resamples`, many at once; kept, unless they are large."""
    if n > MOST_KEPT:
        yield from resamples(n, seed)
        return
    counts = _counts(n, seed)
    for start in range(0, len(counts), BLOCK):
        yield counts[start : start + BLOCK].astype(np.float64)


def resampled_means(values: NDArray[np.float64], seed: int = 0) -> NDArray[np.float64]:
    """Means of the columns over problems drawn with replacement, [resamples, columns]."""
    values = in_order(values)
    return drawn_sums(values, resample_blocks(len(values), seed)) / len(values)


def wilson(n_correct: int, n: int) -> Interval:
    """Wilson's score interval for a proportion of n problems."""
    z = 1.959963984540054
    p, z2 = n_correct / n, z * z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))
