"""How often a strategy that was run is right, by all draws that a problem has, not only the first that it took."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mull import spec
from mull.files.recording import Recording
from mull.lab.metrics import best_at_k, majority_at_k
from mull.stats.estimators import pass_at_k
from mull.stats.intervals import SHARE, Interval, bootstrap, wilson
from mull.strategies.parallel import Best, Majority, Single, Weighted


class Averaged(NamedTuple):
    """The chance that a strategy solves each problem, and that one of its draws does; `None`: not known."""

    correct: tuple[float | None, ...]
    covered: tuple[float | None, ...]

    @property
    def accuracy(self) -> float | None:
        """The mean over the graded problems; `None` without any."""
        return mean(self.correct)

    @property
    def oracle(self) -> float | None:
        """The share of problems with a right draw; `None` if it is not known for all."""
        return None if None in self.covered else mean(self.covered)

    def interval(self, seed: int = 0) -> Interval | None:
        """The 95 % interval of the accuracy: Wilson's where every problem is right or wrong, else by the bootstrap."""
        graded = [c for c in self.correct if c is not None]
        if not graded:
            return None
        if all(c in (0, 1) for c in graded):
            return wilson(sum(c == 1 for c in graded), len(graded))
        return bootstrap(graded, seed, SHARE)


def mean(values: Sequence[float | None]) -> float | None:
    """The mean of the known values; `None` without any."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def averaged(name: str, recordings: Sequence[Recording], seed: int = 0) -> Averaged:
    """The strategy's results; a problem without a result is not graded.

    One draw, a vote or a choice by scores of n plain draws is averaged over the subsets of all draws of the problem,
    since which draws came first is chance. Any other strategy, and one that made fewer draws than it wanted, has only
    its own verdict.
    """
    strategy = spec.named(name)
    found = [_of_problem(strategy, one, name, seed) for one in recordings]
    return Averaged(tuple(right for right, _ in found), tuple(covered for _, covered in found))


def _of_problem(strategy: object, one: Recording, name: str, seed: int) -> tuple[float | None, float | None]:
    result = one.results.get(name)
    if result is None:
        return None, None
    k = 1 if type(strategy) is Single else strategy.n if isinstance(strategy, Majority | Best | Weighted) else None
    is_known = all(sample.correct is not None for sample in one.samples)
    if k is None or not k == result.draws <= len(one.samples) or not is_known or result.correct is None:
        return _share(result.correct), _share(result.covered)
    right = _right(strategy, one, k, seed)
    if right is None:
        return _share(result.correct), _share(result.covered)
    return right, pass_at_k(one.n, one.n_correct, k)


def _right(strategy: object, one: Recording, k: int, seed: int) -> float | None:
    """The chance that the choice among k of the draws is right; `None` if answers or scores are not known."""
    if isinstance(strategy, Single):
        return one.n_correct / one.n
    if not isinstance(strategy, Majority) and not any(score is not None for score in one.scores):
        return None
    if not isinstance(strategy, Best) and not one.answers:
        return None
    if isinstance(strategy, Best):
        return _only(best_at_k(one.scores, one.correct, [k]))
    return _only(
        majority_at_k(one.answers, one.correct, [k], seed, one.scores if isinstance(strategy, Weighted) else None)
    )


def _only(values: np.ndarray) -> float:
    """A value of a curve at one k, without the rounding that would make 1 or 0 something between."""
    value = float(values[0])
    return float(round(value)) if abs(value - round(value)) < 1e-12 else value


def _share(verdict: bool | None) -> float | None:
    return None if verdict is None else float(verdict)
