"""Confidence intervals: bootstrap over problems, and Wilson's for a proportion."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mull.stats.estimators import bootstrap_t, drawn_sums

LEVEL = 0.05
N_RESAMPLES = 2000
MOST_KEPT, BLOCK = 10_000, 100
"""Problems up to which resamples are kept, and how many of these are multiplied at once."""
MOST_EACH, FEW_ROWS = 2000, 8
"""Problems above which equal ones are drawn together, if there are so many times fewer different ones."""


class Interval(NamedTuple):
    """The ends of a 95 % confidence interval."""

    low: float
    high: float


SHARE = (0.0, 1.0)


DIFFERENCE = (-1.0, 1.0)


def bootstrap(
    values: ArrayLike, seed: int = 0, bounds: tuple[float, float] | None = None, level: float = LEVEL
) -> Interval:
    """A bootstrap interval for the mean, resampling problems; `bootstraps` for one column."""
    return bootstraps(np.asarray(values, dtype=np.float64)[:, None], seed, bounds, level)[0]


def bootstraps(
    values: ArrayLike, seed: int = 0, bounds: tuple[float, float] | None = None, level: float = LEVEL
) -> list[Interval]:
    """The interval of each column's mean at 1 - `level`, by `estimators.bootstrap_t`; `values` are [problems, columns].

    All columns share the resamples. `bounds` is the range of possible values, such as `SHARE`. The order of the rows
    changes nothing.
    """
    matrix = in_order(np.asarray(values, dtype=np.float64))
    rows, weight, drawn = grouped(matrix, seed)
    ends = bootstrap_t(rows, drawn, weight, bounds, level)
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


class Grouped(NamedTuple):
    """Rows of values, how many problems have each, [rows], and how often resamples of problems have each row."""

    rows: NDArray[np.float64]
    weight: NDArray[np.float64]
    drawn: Iterator[NDArray[np.float64]]


def grouped(values: NDArray[np.float64], seed: int) -> Grouped:
    """Values [problems, columns] for a bootstrap over problems.

    Of many problems, equal ones are drawn as one row of that weight, which takes far less time and is the same law.
    """
    n = len(values)
    if n > MOST_EACH:
        rows, weight = np.unique(values, axis=0, return_counts=True)
        if len(rows) <= n // FEW_ROWS:
            return Grouped(rows, weight.astype(np.float64), _drawn_together(weight, seed))
    return Grouped(values, np.ones(n), resample_blocks(n, seed))


def _drawn_together(weight: NDArray[np.int64], seed: int) -> Iterator[NDArray[np.float64]]:
    """Resamples of problems of which `weight` are alike, many at once, [resamples, rows]."""
    rng, n = np.random.default_rng(seed), int(weight.sum())
    for _ in range(0, N_RESAMPLES, BLOCK):
        yield rng.multinomial(n, weight / n, BLOCK).astype(np.float64)


def resampled_means(values: NDArray[np.float64], seed: int = 0) -> NDArray[np.float64]:
    """Means of the columns over problems drawn with replacement, [resamples, columns]."""
    rows, weight, drawn = grouped(in_order(values), seed)
    means: NDArray[np.float64] = drawn_sums(rows, drawn) / weight.sum()
    return means


def wilson(n_correct: int, n: int) -> Interval:
    """Wilson's score interval for a proportion of n problems."""
    z = 1.959963984540054
    p, z2 = n_correct / n, z * z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))
