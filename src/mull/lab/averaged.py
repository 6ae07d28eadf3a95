"""How often a strategy that was run is right, by all draws that a problem has, not only the first that it took."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mull import spec
from mull.files.recording import Recording, Result
from mull.lab.metrics import Votes, best_at_k
from mull.lab.numbered import NumberedDraws
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
    return averaged_each([name], recordings, seed)[name]


def averaged_each(names: Sequence[str], recordings: Iterable[Recording], seed: int = 0) -> dict[str, Averaged]:
    """`averaged` for several strategies, by one pass over the recordings."""
    found = {name: Averaging(name, seed) for name in names}
    for one in recordings:
        for each in found.values():
            each.add(one)
    return {name: each.done() for name, each in found.items()}


class Averaging:
    """`averaged` of problems that come one by one."""

    def __init__(self, name: str, seed: int = 0) -> None:
        self._name, self._strategy = name, spec.named(name)
        self._k = 1
        if isinstance(self._strategy, Majority | Best | Weighted):
            self._k = self._strategy.n
        self._is_choice = isinstance(self._strategy, Majority | Best | Weighted) or type(self._strategy) is Single
        self._correct: list[float | None] = []
        self._covered: list[float | None] = []
        self._votes, self._voted = Votes([self._k], seed), list[int]()
        """The votes that are counted many at once, and the problems that they are of."""

    def add(self, one: Recording) -> None:
        """Adds the next problem."""
        result = one.results.get(self._name)
        right, covered = (None, None) if result is None else (_share(result.correct), _share(result.covered))
        if result is not None and result.correct is not None and self._is_averaged(one, result):
            right, covered = self._right(one), pass_at_k(one.n, one.n_correct, self._k)
        self._correct.append(right)
        self._covered.append(covered)

    def _is_averaged(self, one: Recording, result: Result) -> bool:
        """Whether the strategy chose among plain draws, and the problem has all that its choice depends on."""
        if not self._is_choice or not self._k == result.draws <= len(one.samples):
            return False
        if None in one.verdicts:
            return False
        needs_scores = isinstance(self._strategy, Best | Weighted)
        needs_answers = isinstance(self._strategy, Majority | Weighted)
        has_scores = not needs_scores or one.is_scored
        return has_scores and (not needs_answers or bool(one.answers))

    def _right(self, one: Recording) -> float | None:
        """The chance that the choice among k of the draws is right; `None` where votes are still to be counted."""
        if isinstance(self._strategy, Single):
            return one.n_correct / one.n
        if isinstance(self._strategy, Best):
            return _only(float(best_at_k(one.scores, one.correct, [self._k])[0]))
        self._voted.append(len(self._correct))
        self._votes.add(NumberedDraws.of(one), is_weighted=isinstance(self._strategy, Weighted))
        return None

    def done(self) -> Averaged:
        if self._voted:
            for place, value in zip(self._voted, self._votes.values()[:, 0].tolist(), strict=True):
                self._correct[place] = _only(value)
        return Averaged(tuple(self._correct), tuple(self._covered))


def _only(value: float) -> float:
    """A value of a curve at one k, without the rounding that would make 1 or 0 something between."""
    return float(round(value)) if abs(value - round(value)) < 1e-12 else value


def _share(verdict: bool | None) -> float | None:
    return None if verdict is None else float(verdict)
