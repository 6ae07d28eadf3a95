"""Allocates a budget of draws over many problems, each draw where it gains most. Pure functions and one pure state."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mull.errors import UsageError

STRENGTHS = np.geomspace(0.3, 100, 26)
MEANS = (np.arange(40) + 0.5) / 40
"""The grid of Beta priors that `learn` chooses from; its lowest mean is 1/80."""


class Belief(NamedTuple):
    """A Beta distribution of the probability that a draw solves a problem, as pseudo-counts of right and wrong."""

    right: float = 1.0
    wrong: float = 1.0

    @property
    def mean(self) -> float:
        return self.right / (self.right + self.wrong)


def solved(chances: Sequence[float], draws: Sequence[int]) -> float:
    """Expected number of solved problems if problem i gets `draws[i]` draws, each right with probability
    `chances[i]`: the sum of 1 - (1 - p)^b."""
    return sum(1 - (1 - p) ** b for p, b in zip(chances, draws, strict=True))


def greedy(chances: Sequence[float], budget: int) -> list[int]:
    """The optimal allocation of `budget` draws if every problem's success probability is known (Damani et al. 2024).

    The j-th draw of a problem is its first success with probability p (1 - p)^(j - 1), which decreases in j, so greedy
    allocation is optimal.
    """
    gains = [(-p, i, p) for i, p in enumerate(chances)]
    if any(not 0 <= p <= 1 for p in chances):
        raise UsageError("probabilities must be between 0 and 1")
    heapq.heapify(gains)
    draws = [0] * len(chances)
    for _ in range(budget if gains else 0):
        gain, i, p = gains[0]
        draws[i] += 1
        heapq.heapreplace(gains, (gain * (1 - p), i, p))
    return draws


def greedy_gains(gains: Sequence[Sequence[float]], budget: int) -> list[int]:
    """The optimal allocation of `budget` draws if `gains[i][j]` is the predicted gain of draw j of problem i.

    For selectors other than an oracle, gains do not follow from one probability and must be measured (Damani et al.
    2024). A problem gets at most as many draws as it has gains. Raises `UsageError` if a problem's gains increase:
    greedy allocation is then not optimal.
    """
    for i, row in enumerate(gains):
        if any(later > earlier + 1e-12 for earlier, later in itertools.pairwise(row)):
            raise UsageError(f"the gains of problem {i} increase: use their least concave majorant")
    best = sorted(((-gain, j, i) for i, row in enumerate(gains) for j, gain in enumerate(row)))
    draws = [0] * len(gains)
    for _, _, i in best[:budget]:
        draws[i] += 1
    return draws


def learn(earlier: Sequence[tuple[int, int]]) -> list[Belief]:
    """The belief about each problem after `earlier` draws (right, all), possibly none.

    The prior is the maximum-likelihood Beta distribution (empirical Bayes on a grid), so problems inform each other;
    without any earlier draw all beliefs are equal.
    """
    right, n = (np.array([row[k] for row in earlier], dtype=float) for k in (0, 1))
    if np.any(right < 0) or np.any(right > n):
        raise UsageError("each problem needs 0 <= right <= all earlier draws")
    lgamma = np.vectorize(math.lgamma, otypes=[float])
    mean, strength = (axis.ravel()[:, None] for axis in np.meshgrid(MEANS, STRENGTHS))
    a, b = mean * strength, (1 - mean) * strength
    rows, counts = np.unique(np.stack([right, n], axis=1), axis=0, return_counts=True)
    c, m = rows.T
    log = lgamma(a + c) + lgamma(b + m - c) - lgamma(a + b + m) - lgamma(a) - lgamma(b) + lgamma(a + b)
    best = int(np.argmax(log @ counts))
    return [Belief(float(a[best, 0] + c), float(b[best, 0] + m - c)) for c, m in zip(right, n, strict=True)]


class Shared:
    """Allocates a shared budget of draws among problems until a sound checker finds them solved.

    Each draw updates a belief; a solved problem gets no more, and the next draw goes where success is most probable
    (bandit allocation, arXiv 2506.12721). This is optimal under the beliefs, since a problem's success probability
    falls with every failed draw; with equal beliefs it is a round robin over unsolved problems. Every problem first
    gets `floor` draws, since predicted beliefs can be wrong, and a problem believed hopeless would get none.
    """

    def __init__(self, beliefs: Sequence[Belief], budget: int, floor: int = 0) -> None:
        if budget < 0 or floor < 0:
            raise UsageError("budget and floor are numbers of draws of at least 0")
        if any(not (belief.right > 0 and belief.wrong > 0) for belief in beliefs):
            raise UsageError("both pseudo-counts of a belief must be above 0")
        self.left = budget
        self.draws = [0] * len(beliefs)
        self._floor = floor
        self._beliefs = list(beliefs)
        self._open = [(self._rank(i), i) for i in range(len(beliefs))]
        heapq.heapify(self._open)

    def _rank(self, i: int) -> tuple[float, int]:
        chance = math.inf if self.draws[i] < self._floor else self._beliefs[i].mean
        return -chance, self.draws[i]

    def next(self, n: int = 1) -> list[int]:
        """The problems that get the next draws, at most `n` distinct ones; empty when the budget is spent.

        They get no further draw until `tell` reports their result.
        """
        got = [heapq.heappop(self._open)[1] for _ in range(min(n, self.left, len(self._open)))]
        self.left -= len(got)
        return got

    def tell(self, i: int, is_solved: bool) -> None:
        """Reports the result of a draw of problem i."""
        self.draws[i] += 1
        right, wrong = self._beliefs[i]
        self._beliefs[i] = Belief(right + is_solved, wrong + (not is_solved))
        if not is_solved:
            heapq.heappush(self._open, (self._rank(i), i))

    def drop(self, i: int) -> None:
        """Excludes problem i from further draws: its own ceiling is reached, or its model has no more draws."""
        self.left += 1
