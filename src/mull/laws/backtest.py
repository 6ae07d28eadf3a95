"""Back-test: how well a tenth of the draws predicts the coverage of all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mull.laws.counts import Ints, counts, measured
from mull.laws.coverage import estimate

HIDDEN = 10
LEAST_KEPT = 2
REPEATS = 3


@dataclass(frozen=True, slots=True)
class BackTest:
    """Coverage at `k` draws: the measured value, and predictions from `draws` draws, one per subsample.

    Passing it does not validate predictions beyond n: laws that agree up to n can differ beyond.
    """

    draws: int
    k: int
    measured: float
    predicted: tuple[float, ...]

    @property
    def error(self) -> float:
        """The mean absolute error."""
        return float(np.mean([abs(value - self.measured) for value in self.predicted]))


def back_test(n: ArrayLike, c: ArrayLike, *, repeats: int = REPEATS, seed: int = 0) -> BackTest | None:
    """Hides nine tenths of every problem's draws and predicts the measured coverage; `n` and `c` are [problems].

    `None` if a problem has under 20 draws, or if no law can be fitted to any of the subsamples.
    """
    data = counts(n, c)
    kept = data.least // HIDDEN
    if kept < LEAST_KEPT:
        return None
    rng = np.random.default_rng(seed)
    right = np.repeat(data.c, data.weight.astype(np.int64))
    wrong = np.repeat(data.n - data.c, data.weight.astype(np.int64))
    predicted = [estimate(kept, thinned(right, wrong, kept, rng), data.least) for _ in range(repeats)]
    known = tuple(value for value in predicted if value is not None)
    return BackTest(kept, data.least, float(measured(data, data.least)[0]), known) if known else None


def thinned(right: Ints, wrong: Ints, draws: int, rng: np.random.Generator) -> Ints:
    """How many of `draws` draws without replacement are correct, for each problem; shape [problems]."""
    chosen: Ints = rng.hypergeometric(right, wrong, draws)
    return chosen
