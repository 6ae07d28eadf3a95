"""Thresholds of a vote that is sure or gives up, calibrated so that error rates are held with a stated confidence.

Learn-then-Test (Angelopoulos et al. 2021, arXiv 2110.01052), used for stopping in Conformal Thinking (arXiv
2602.03814): each threshold of a fixed list is a hypothesis, "with this threshold the error is above its bound". They
are tested by exact binomial tests from the strictest on, and the first that is not rejected ends the list, so that with
probability 1 - delta over calibration sets no threshold in use exceeds its bound.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from mull.errors import UsageError

SURE = tuple(i / 100 for i in range(98, 0, -1))
"""Thresholds that are tested for `sure`, the strictest first."""
HOPELESS = tuple(i / 100 for i in range(1, 90))
"""Thresholds that are tested for `hopeless`, the strictest first."""


def leader(answers: Sequence[str | None]) -> str | None:
    """The most frequent answer, the first drawn among equals; `None` if no draw has one."""
    counts = Counter(answer for answer in answers if answer is not None)
    return max(counts, key=counts.__getitem__, default=None)


def certainty(answers: Sequence[str | None]) -> float:
    """The leader's share of the draws, with two more draws against it: the more draws agree, the higher.

    4 of 4 is .67, 8 of 8 is .8, 38 of 40 is .9.
    """
    counts = Counter(answer for answer in answers if answer is not None)
    return max(counts.values(), default=0) / (len(answers) + 2)


class Thresholds(NamedTuple):
    """A vote of at most n draws answers at a certainty of `sure` and gives up, from `look` draws on, at `hopeless`.

    It looks after every `wave` draws. If no answer can become sure any more, it ends too; without an answer.
    """

    sure: float
    hopeless: float = 0.0
    n: int = 40
    wave: int = 4
    look: int = 8

    def verdict(self, at: float, n_draws: int) -> bool | None:
        """Whether to answer (`True`) or give up (`False`) at a certainty after so many draws; `None`: draw on."""
        if at >= self.sure:
            return True
        left = self.n - n_draws
        if left <= 0 or (at * (n_draws + 2) + left) / (self.n + 2) < self.sure:
            return False
        return False if n_draws >= self.look and at <= self.hopeless else None

    def after(self, certainties: Sequence[float]) -> tuple[int, bool]:
        """How many of a problem's recorded draws the vote takes, and whether it answers; certainties by draws."""
        for m in range(self.wave, self.n, self.wave):
            if (told := self.verdict(certainties[m - 1], m)) is not None:
                return m, told
        return self.n, self.verdict(certainties[self.n - 1], self.n) is True


@dataclass(frozen=True)
class LabelledDraws:
    """One labelled problem: its draws' answers in order, and which answers are right."""

    answers: Sequence[str | None]
    right: Mapping[str, bool]

    @cached_property
    def certainties(self) -> list[float]:
        """The certainty after each draw."""
        counts, top, found = Counter[str](), 0, []
        for m, answer in enumerate(self.answers, 1):
            if answer is not None:
                counts[answer] += 1
                top = max(top, counts[answer])
            found.append(top / (m + 2))
        return found

    def is_right(self, n: int) -> bool:
        """Whether the most frequent of the first n answers, the first drawn among equals, is right."""
        answer = leader(self.answers[:n])
        return answer is not None and self.right[answer]


def p_value(errors: int, trials: int, bound: float) -> float:
    """The probability of at most so many errors if the error rate were `bound`: small if it is below."""
    ways = [math.lgamma(trials + 1) - math.lgamma(i + 1) - math.lgamma(trials - i + 1) for i in range(errors + 1)]
    odds = math.log(bound) - math.log1p(-bound)
    return math.fsum(math.exp(way + i * odds + trials * math.log1p(-bound)) for i, way in enumerate(ways))


def last_rejected(
    thresholds: Sequence[float], counted: Callable[[float], tuple[int, int]], bound: float, delta: float
) -> float | None:
    """The last threshold, from the first on, for which errors of trials reject a rate above `bound`; `None`: none."""
    found = None
    for threshold in thresholds:
        errors, trials = counted(threshold)
        if p_value(errors, trials, bound) > delta:
            break
        found = threshold
    return found


def calibrate(
    problems: Sequence[LabelledDraws],
    error: float,
    lost: float = 0.0,
    delta: float = 0.05,
    n: int = 40,
    wave: int = 4,
    look: int = 8,
) -> Thresholds:
    """Thresholds with which at most a share `error` of all problems gets a wrong answer, with confidence 1 - delta.

    The others get a right one or none. With `lost` above 0 the vote also gives up on hopeless problems, and at most a
    share `lost` of all problems is given up though the full vote of n would be right; also with confidence 1 - delta,
    by the first half of the problems, which is then not used for `error`. The problems must be a random sample of those
    to come, with n draws each. Raises `UsageError` if they do not suffice for any threshold.
    """
    for name, value in (("error", error), ("delta", delta), ("lost", lost or 0.5)):
        if not 0 < value < 1:
            raise UsageError(f"{name} must be between 0 and 1, not {value}")
    short = sum(len(problem.answers) < n for problem in problems)
    if short:
        raise UsageError(f"{short} problems have fewer than n={n} draws: take a smaller n")
    half, hopeless = (len(problems) // 2 if lost else 0), 0.0

    def given_up(at: float) -> tuple[int, int]:
        never = Thresholds(math.inf, at, n, wave, look)
        return sum(_gives_up(never, p) and p.is_right(n) for p in problems[:half]), half

    if half:
        hopeless = last_rejected(HOPELESS, given_up, lost, delta) or 0.0

    def wrong(at: float) -> tuple[int, int]:
        rule = Thresholds(at, hopeless, n, wave, look)
        ends = [(rule.after(problem.certainties), problem) for problem in problems[half:]]
        told = [problem.is_right(m) for (m, is_answered), problem in ends if is_answered]
        return told.count(False), len(ends)

    sure = last_rejected(SURE, wrong, error, delta)
    if sure is None:
        raise UsageError(
            f"{len(problems) - half} problems do not show an error of at most {error:g} with confidence {1 - delta:g} "
            "for any threshold: take more problems, a larger error, or a better model"
        )
    return Thresholds(sure, hopeless, n, wave, look)


def _gives_up(rule: Thresholds, problem: LabelledDraws) -> bool:
    """Whether the certainty falls to `hopeless` at one of the looks before the last."""
    looks = range(rule.wave, rule.n, rule.wave)
    return any(m >= rule.look and problem.certainties[m - 1] <= rule.hopeless for m in looks)
