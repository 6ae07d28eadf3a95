"""One budget of draws over many problems: where the next draw is worth most. Pure functions and one pure state."""

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
"""The grid of Beta priors that `learn` chooses from; its lowest mean is an eightieth."""


class Belief(NamedTuple):
    """A Beta law of the chance that one draw solves a problem: as if so many had been right and wrong before."""

    right: float = 1.0
    wrong: float = 1.0

    @property
    def mean(self) -> float:
        return self.right / (self.right + self.wrong)


def solved(chances: Sequence[float], draws: Sequence[int]) -> float:
    """How many problems are solved on average, if problem i is drawn `draws[i]` times and each draw solves it with
    `chances[i]`: the sum of 1 - (1 - p)^b."""
    return sum(1 - (1 - p) ** b for p, b in zip(chances, draws, strict=True))


def greedy(chances: Sequence[float], budget: int) -> list[int]:
    """The best way to spend `budget` draws where every problem's chance is known (Damani et al. 2024).

    The j-th draw of a problem solves it for the first time with p (1 - p)^(j - 1), which falls with j, so that giving
    each draw where it gains most is exact.
    """
    gains = [(-p, i, p) for i, p in enumerate(chances)]
    if any(not 0 <= p <= 1 for p in chances):
        raise UsageError("a chance is between 0 and 1")
    heapq.heapify(gains)
    draws = [0] * len(chances)
    for _ in range(budget if gains else 0):
        gain, i, p = gains[0]
        draws[i] += 1
        heapq.heapreplace(gains, (gain * (1 - p), i, p))
    return draws


def greedy_gains(gains: Sequence[Sequence[float]], budget: int) -> list[int]:
    """The best way to spend `budget` draws where `gains[i][j]` is what draw j of problem i is predicted to add.

    For selectors that are no oracle the gains do not follow from one chance and must be measured (Damani et al. 2024);
    a problem takes at most as many draws as it has gains. Raises `UsageError` where gains of a problem rise, for then
    greedy is not exact.
    """
    for i, row in enumerate(gains):
        if any(later > earlier + 1e-12 for earlier, later in itertools.pairwise(row)):
            raise UsageError(f"the gains of problem {i} rise: take the least concave curve above them")
    best = sorted(((-gain, j, i) for i, row in enumerate(gains) for j, gain in enumerate(row)))
    draws = [0] * len(gains)
    for _, _, i in best[:budget]:
        draws[i] += 1
    return draws


def learn(earlier: Sequence[tuple[int, int]]) -> list[Belief]:
    """What to believe of each problem after `earlier` draws of it, right ones and all, some problems none.

    The prior is the Beta law under which all of them are likeliest (empirical Bayes on a grid), so problems learn from
    each other; with no earlier draw at all every problem is believed to be the same.
    """
    right, n = (np.array([row[k] for row in earlier], dtype=float) for k in (0, 1))
    if np.any(right < 0) or np.any(right > n):
        raise UsageError("of a problem's earlier draws between none and all are right")
    lgamma = np.vectorize(math.lgamma, otypes=[float])
    mean, strength = (axis.ravel()[:, None] for axis in np.meshgrid(MEANS, STRENGTHS))
    a, b = mean * strength, (1 - mean) * strength
    rows, counts = np.unique(np.stack([right, n], axis=1), axis=0, return_counts=True)
    c, m = rows.T
    log = lgamma(a + c) + lgamma(b + m - c) - lgamma(a + b + m) - lgamma(a) - lgamma(b) + lgamma(a + b)
    best = int(np.argmax(log @ counts))
    return [Belief(float(a[best, 0] + c), float(b[best, 0] + m - c)) for c, m in zip(right, n, strict=True)]


class Shared:
    """A budget of draws over problems that a sound checker may find solved: who gets the next ones.

    After each draw the belief is updated, a solved problem is out, and the next draw goes where it is likeliest to
    solve something (bandit allocation, arXiv 2506.12721). As the chance that an unsolved problem is solved by its next
    draw falls with every draw that failed, this is the best there is under the beliefs; where nothing tells problems
    apart it is a round over the unsolved. `floor` draws go to every problem first: beliefs from predictions can be
    wrong, and a problem believed hopeless would get none.
    """

    def __init__(self, beliefs: Sequence[Belief], budget: int, floor: int = 0) -> None:
        if budget < 0 or floor < 0:
            raise UsageError("budget and floor are numbers of draws, from 0 on")
        if any(not (belief.right > 0 and belief.wrong > 0) for belief in beliefs):
            raise UsageError("a belief counts more than 0 right and more than 0 wrong draws")
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
        """The problems that get the next draws, `n` different ones at most; empty when the budget is spent.

        They are out until `tell` says what their draw came to.
        """
        got = [heapq.heappop(self._open)[1] for _ in range(min(n, self.left, len(self._open)))]
        self.left -= len(got)
        return got

    def tell(self, i: int, is_solved: bool) -> None:
        """What a draw of problem i came to."""
        self.draws[i] += 1
        right, wrong = self._beliefs[i]
        self._beliefs[i] = Belief(right + is_solved, wrong + (not is_solved))
        if not is_solved:
            heapq.heappush(self._open, (self._rank(i), i))

    def drop(self, i: int) -> None:
        """Problem i can have no more draws: its own ceiling is reached, or its model has no more."""
        self.left += 1
