"""Which of several measured strategies to take, by held-out splits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mull.lab.measured import Measured, amount
from mull.lab.metrics import Floats
from mull.stats.paired import Paired, Power, paired, permutation_test, power

LEVEL = 0.05
"""Of the paired test that tells strategies apart."""


N_SPLITS = 50
"""Random halvings of the problems that `Choice.held_out` averages over."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which strategy to use: the cheapest that the paired permutation test cannot tell from the most accurate one.

    `verdict` is `scale`, `do not scale` or `need more data`. `gain` is `chosen` minus `base`, the cheapest;
    `best_gain` the most accurate minus `base`; both `None` where there is nothing to compare. `held_out` is the
    accuracy of this rule where it chooses on one half of the problems and is measured on the other.
    `power` is what these problems can tell of the cheapest and the most accurate, `None` where those are one.
    """

    verdict: str
    chosen: Measured
    base: Measured
    gain: Paired | None
    best_gain: Paired | None
    held_out: float | None
    power: Power | None


def choose(strategies: Sequence[Measured], unit: str, seed: int = 0) -> Choice | None:
    """The strategy to use. `None` where nothing was graded, or no two costs are known."""
    known = [m for m in strategies if m.accuracy is not None and amount(m.cost, unit) is not None]
    if not known:
        return None
    known.sort(key=lambda m: amount(m.cost, unit) or 0.0)
    matrix = np.array([[np.nan if c is None else c for c in m.correct] for m in known])
    best, chosen = _chosen(matrix, lambda behind: permutation_test(behind.tolist(), seed) <= LEVEL)
    best_gain = paired(known[best].name, known[0].name, known[best].correct, known[0].correct, seed) if best else None
    gain = paired(known[chosen].name, known[0].name, known[chosen].correct, known[0].correct, seed) if chosen else None
    verdict = "do not scale"
    if chosen:
        verdict = "scale"
    elif best_gain is not None and best_gain.ci95.high > 0.05:
        verdict = "need more data"
    can_tell = None if best_gain is None else power(best_gain.difference, best_gain.discordant, best_gain.problems)
    held_out = _held_out(matrix, seed) if len(known) > 1 else None
    return Choice(verdict, known[chosen], known[0], gain, best_gain, held_out, can_tell)


def _chosen(matrix: Floats, are_apart: Callable[[Floats], bool]) -> tuple[int, int]:
    """Rows of the most accurate strategy, and of the cheapest that cannot be told from it; rows go by cost."""
    graded = np.isfinite(matrix)
    sums, counts = np.where(graded, matrix, 0.0).sum(axis=1), graded.sum(axis=1)
    means = np.divide(sums, counts, out=np.full(len(sums), -1.0), where=counts > 0)
    best = int(np.argmax(means))
    for row in range(best):
        behind = matrix[best] - matrix[row]
        behind = behind[np.isfinite(behind)]
        if len(behind) > 1 and not are_apart(behind):
            return best, row
    return best, best


def _are_roughly_apart(behind: Floats) -> bool:
    """By the normal approximation: for many halvings, each of them few problems."""
    return bool(behind.mean() > 1.96 * behind.std(ddof=1) / math.sqrt(len(behind)))


def _held_out(matrix: Floats, seed: int) -> float | None:
    """Accuracy of the rule on problems it did not choose on: two folds, averaged over random halvings."""
    n = matrix.shape[1]
    if n < 4:
        return None
    rng, values = np.random.default_rng(seed), []
    for _ in range(N_SPLITS):
        order = rng.permutation(n)
        for here, there in ((order[: n // 2], order[n // 2 :]), (order[n // 2 :], order[: n // 2])):
            row = matrix[_chosen(matrix[:, here], _are_roughly_apart)[1], there]
            values.extend(row[np.isfinite(row)])
    return float(np.mean(values)) if values else None
