"""A pilot: a few draws on each of some problems, and the distribution of answers over similar problems fitted to it.

Problems differ in how often draws are right, and in how often wrong draws agree. Both have a prior that is fitted to
the pilot: the rate of right draws is beta-distributed, partly zero or hard, or logit-normal; wrong answers follow a
Pitman-Yor process, of which the finite Dirichlet distribution of multiple choice is a case (Pitman and Yor 1997).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mull.allocate.prior import Tally, log_chance, tally
from mull.errors import UsageError
from mull.files.recording import DrawCounts, Recording
from mull.files.spool import draw_counts
from mull.types import Cost

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UNKNOWN = Cost(1, None, None, 0, None, None, None, None)
"""A draw without any recorded data."""
NOTHING = Cost()

LOGITS = np.arange(-11.0, 11.01, 0.125)
RATES = np.concatenate(([0.0], 1 / (1 + np.exp(-LOGITS))))
"""The grid of rates of right draws; the first is that of problems which no draw solves."""
ZERO_SHARES = (0.0, 0.1, 0.2, 0.3, 0.45, 0.6)
HARD = (0.7, 4.0)
"""The beta distribution of rates on the other kind of problem, which mostly fails."""
HARD_SHARES = (0.05, 0.1, 0.2, 0.3)
N_CLASSES = 16
"""The most wrong answers of one problem that are tracked individually; rarer ones count as unique."""
ROUNDS = 50
"""Iterations of expectation-maximisation."""
SPLIT = 0.1
"""If a larger share of problems has several right answers, votes are not forecast."""


class PilotPrice(NamedTuple):
    """The cost of a problem's draws: the first with its prompt, each further one, and scoring one."""

    first: Cost = UNKNOWN
    further: Cost = UNKNOWN
    scoring: Cost = NOTHING


@dataclass(frozen=True)
class Pilot:
    """Draws of one model on some problems, and their cost. Raises `UsageError` if there are none."""

    model: str
    problems: Sequence[Recording]
    prices: tuple[PilotPrice, ...]

    def __post_init__(self) -> None:
        if not self.problems:
            raise UsageError(f"the pilot of {self.model} has no problems")
        if any(n < 1 for n, _ in self.counts):
            raise UsageError(f"the pilot of {self.model} has a problem without draws")

    @cached_property
    def counts(self) -> list[DrawCounts]:
        """The numbers of draws and of right draws of each problem."""
        return draw_counts(self.problems)

    @cached_property
    def _seen(self) -> _Draws:
        return _Draws.of(self.problems)

    @property
    def has_answers(self) -> bool:
        return self._seen.has_answers

    @property
    def can_vote(self) -> bool:
        """Whether answers are known and problems have one right answer: several right ones would split the vote."""
        return self.has_answers and self._seen.n_split <= SPLIT * self._seen.n_several

    @property
    def has_scores(self) -> bool:
        """Whether any draw has a score."""
        return self.unscored < len(self.problems)

    @property
    def unscored(self) -> int:
        """How many problems have no score."""
        return self._seen.n_unscored

    @property
    def has_checker(self) -> bool:
        """Whether scores are verdicts: each is 0 or 1."""
        return self.has_scores and self._seen.are_verdicts

    @property
    def wrong(self) -> Sequence[Tally]:
        """The wrong draws of each problem, if answers are known; draws without an answer count as unanswered."""
        return self._seen.wrong

    @property
    def draws(self) -> int:
        return sum(n for n, _ in self.counts)

    @property
    def accuracy(self) -> float:
        """The mean over problems of the share of right draws."""
        return float(np.mean([c / n for n, c in self.counts]))


@dataclass(slots=True)
class _Draws:
    """What forecasts need to know of all draws of a pilot, from one pass over them.

    Of the problems with several right draws, `n_several`, those with several right answers are `n_split`. `n_unscored`
    problems have no score.
    """

    has_answers: bool = True
    n_several: int = 0
    n_split: int = 0
    n_unscored: int = 0
    are_verdicts: bool = True
    wrong: list[Tally] = field(default_factory=list)

    @classmethod
    def of(cls, problems: Sequence[Recording]) -> _Draws:
        seen = cls()
        for one in problems:
            seen.has_answers = seen.has_answers and bool(one.answers)
            if seen.has_answers:
                right = {a for a, is_right in zip(one.answers, one.correct, strict=True) if is_right}
                seen.n_several += one.n_correct > 1
                seen.n_split += one.n_correct > 1 and len(right) > 1
                seen.wrong.append(wrong_of(one))
            seen.n_unscored += not one.is_scored
            seen.are_verdicts = seen.are_verdicts and all(score in (None, 0.0, 1.0) for score in one.scores)
        return seen


def wrong_of(one: Recording) -> Tally:
    """The wrong draws of a problem; those without an answer count as unanswered."""
    return tally([answer for answer, right in zip(one.answers, one.correct, strict=True) if not right])


class Rates(NamedTuple):
    """Priors of the rate of right draws [priors, rates] and each one's posterior weight."""

    priors: Floats
    weight: Floats


def rate_priors(n: Ints, c: Ints) -> Rates:
    """Possible distributions of the rate of right draws, weighted by how well each explains the counts."""
    rate = RATES[1:]
    rows, prior = [], []
    means, sizes = 1 / (1 + np.exp(-np.linspace(-9, 5, 43))), np.exp(np.linspace(np.log(0.05), np.log(100), 14))
    a, b = (means[:, None] * sizes).ravel(), ((1 - means)[:, None] * sizes).ravel()
    beta = np.exp(a[:, None] * np.log(rate) + b[:, None] * np.log1p(-rate))
    middle, spread = (x.ravel() for x in np.meshgrid(np.linspace(-9, 7, 33), [0.25, 0.5, 1, 1.5, 2, 3, 4]))
    normal = np.exp(-0.5 * ((LOGITS - middle[:, None]) / spread[:, None]) ** 2)
    for law, shares in ((beta, ZERO_SHARES), (normal, ZERO_SHARES[:1])):
        law = law / np.maximum(law.sum(axis=1, keepdims=True), 1e-300)
        for share in shares:
            rows.append(np.concatenate([np.full((len(law), 1), share), (1 - share) * law], axis=1))
            prior.append(np.full(len(law), (0.5 if share == 0 else 0.1) / len(law)))
    # Besides problems well within reach, some are of another kind, which mostly fails.
    low = np.exp(HARD[0] * np.log(rate) + HARD[1] * np.log1p(-rate))
    low /= low.sum()
    law = beta / np.maximum(beta.sum(axis=1, keepdims=True), 1e-300)
    for share in HARD_SHARES:
        rows.append(np.concatenate([np.zeros((len(law), 1)), (1 - share) * law + share * low], axis=1))
        prior.append(np.full(len(law), 0.125 / len(law)))
    priors = np.concatenate(rows)
    pairs, seen = np.unique(np.stack([n, c]), axis=1, return_counts=True)
    explained = np.log(np.maximum(priors @ likelihoods(pairs[0], pairs[1]).T, 1e-300)) @ seen
    return Rates(priors, _weights(explained + np.log(np.concatenate(prior))))


def likelihoods(n: Ints, c: Ints) -> Floats:
    """The likelihood of c right of n draws at each rate, up to a factor per problem; [problems, rates]."""
    with np.errstate(divide="ignore"):
        log = np.log(RATES), np.log1p(-RATES)
    right, wrong = c[:, None], (n - c)[:, None]
    logs = np.where(right > 0, np.maximum(right, 1) * log[0], 0.0) + np.where(wrong > 0, wrong * log[1], 0.0)
    scaled: Floats = np.exp(logs - logs.max(axis=1, keepdims=True))
    return scaled


class Crowding(NamedTuple):
    """Distributions of wrong answers: discounts and concentrations of Pitman-Yor processes.

    `weight` is the share of problems that follow each, `own` the probability that each problem does [problems, laws].
    """

    discount: Floats
    concentration: Floats
    weight: Floats
    own: Floats


def crowding(wrong: Sequence[Tally]) -> Crowding:
    """How wrong answers of one problem repeat, by the likelihood of the groups that they form.

    Problems differ: on some, the same mistake recurs. The share of problems that follow each distribution is found by
    expectation-maximisation (Laird 1978).
    """
    most = max((len(one.counts) for one in wrong), default=1)
    laws = [(d, a) for d in (0.0, 0.25, 0.5, 0.75) for a in (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)]
    laws += [(-k, n * k) for n in range(max(2, most), max(2, most) + 4) for k in (0.1, 0.3, 1.0, 3.0, 10.0)]
    logs = log_chance(wrong, laws)
    chances = np.exp(logs - logs.max(axis=1, keepdims=True))
    weight = np.full(len(laws), 1 / len(laws))
    for _ in range(ROUNDS):
        own = chances * weight
        own /= own.sum(axis=1, keepdims=True)
        weight = own.mean(axis=0)
    d, a = np.array(laws).T
    return Crowding(d, a, weight, own)


def _weights(logs: Floats) -> Floats:
    weight: Floats = np.exp(logs - logs.max())
    weight /= weight.sum()
    return weight


def likeness(groups: Sequence[Sequence[float] | Floats]) -> float:
    """How similar the scores of one problem are: the intraclass correlation, within .02 and .98 (Fisher 1925)."""
    kept = [np.asarray(group, dtype=np.float64) for group in groups if len(group)]
    n, k = sum(map(len, kept)), len(kept)
    if k < 2 or n - k < 1:
        return 0.5
    mean = sum(group.sum() for group in kept) / n
    between = sum(len(group) * (group.mean() - mean) ** 2 for group in kept) / (k - 1)
    within = sum(((group - group.mean()) ** 2).sum() for group in kept) / (n - k)
    size = (n - sum(len(group) ** 2 for group in kept) / n) / (k - 1)
    total = between + (size - 1) * within
    return float(np.clip((between - within) / total, 0.02, 0.98)) if total > 0 else 0.5
