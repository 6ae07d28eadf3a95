"""Intervals: of a mean over problems, of a share, and of a paired difference between two strategies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

N_RESAMPLES = 2000


class Interval(NamedTuple):
    """The ends of a 95 % interval."""

    low: float
    high: float


def bootstrap(values: ArrayLike, seed: int = 0) -> Interval:
    """A percentile bootstrap interval for the mean, resampling problems."""
    array = np.asarray(values, dtype=np.float64)
    picks = np.random.default_rng(seed).integers(0, len(array), (N_RESAMPLES, len(array)))
    low, high = np.quantile(array[picks].mean(axis=1), [0.025, 0.975])
    return Interval(float(low), float(high))


def wilson(n_correct: int, n: int) -> Interval:
    """Wilson's score interval for a share of n problems."""
    z = 1.959963984540054
    p, z2 = n_correct / n, z * z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


@dataclass(frozen=True, slots=True)
class Paired:
    """How much better `a` does than `b` on the same problems; `problems` are those that both were graded on."""

    a: str
    b: str
    difference: float
    ci95: Interval
    problems: int


def paired(
    a: str, b: str, a_correct: Sequence[float | None], b_correct: Sequence[float | None], seed: int = 0
) -> Paired | None:
    """The paired difference of accuracy with its bootstrap interval; `None` where no problem was graded for both.

    A problem counts as right, wrong, or anything between: the chance that it is solved.
    """
    differences = [
        float(x) - float(y) for x, y in zip(a_correct, b_correct, strict=True) if x is not None and y is not None
    ]
    if not differences:
        return None
    return Paired(a, b, sum(differences) / len(differences), bootstrap(differences, seed), len(differences))
