"""Combining weak verifiers: naive Bayes, a label model without gold answers, and calibration on a labelled set.

After Weaver (arXiv 2506.18203): binarise each verifier's scores by the statistics of the data, drop constant verifiers,
estimate without labels how often each is right, and sum log-odds.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mull.cost import total
from mull.errors import UsageError
from mull.run.needs import lacking
from mull.types import Calls, Cost, Problem, Sample, Score, Verifier

Floats = NDArray[np.float64]

CLIP = 0.01
"""Rates are clipped to this distance from 0 and 1: no verifier counts as infallible."""
LEAST_VERIFIERS = 3
"""With fewer, agreement does not identify which verifier is right."""
N_ROUNDS = 3
"""Number of times that the weights of near-duplicates are re-estimated."""
N_STEPS = 200
ALIKE = 8
"""Similarity is the correlation to this power: 0.9 gives 0.43, 0.5 gives 0.004."""
ALIKE_AT_FIRST = 2
"""The power before the truth is estimated: a group that agrees more than others must not start as the truth."""

NOISE = 2.0
"""Correlations within this many standard errors of 0 count as chance."""


def naive_bayes(votes: Sequence[bool | None], accuracies: Sequence[float], prior: float = 0.5) -> float:
    """Probability of being correct, given independent verdicts of these accuracies; `None` is no verdict."""
    logit = math.log(prior / (1 - prior))
    for vote, accuracy in zip(votes, accuracies, strict=True):
        if vote is not None:
            p = min(max(accuracy, CLIP), 1 - CLIP)
            logit += math.log(p / (1 - p)) * (1 if vote else -1)
    return 1 / (1 + math.exp(-logit))


@dataclass(frozen=True)
class LabelModel:
    """The label model of m verifiers: how often each accepts correct (`hits`) and wrong (`false_alarms`) replies.

    A score above `cuts` is an acceptance (NaN: verifier dropped, since it is constant). `weights` are 1 for an
    independent verifier and a fraction of 1 for near-duplicates; `prior` is the share of correct replies.
    """

    cuts: tuple[float, ...]
    hits: tuple[float, ...]
    false_alarms: tuple[float, ...]
    weights: tuple[float, ...]
    prior: float

    def probability(self, scores: ArrayLike) -> Floats:
        """Probability of being correct of each row of scores [n, m]; NaN is no score."""
        votes = binarised(np.atleast_2d(np.asarray(scores, dtype=np.float64)), np.array(self.cuts))
        hits, alarms, weights = np.array(self.hits), np.array(self.false_alarms), np.array(self.weights)
        return _posterior(votes, hits, alarms, weights, self.prior)


def fit_label_model(scores: ArrayLike, prior: float | None = None) -> LabelModel:
    """Fits the label model to scores [n, m] of n replies by m verifiers (NaN: no score), without gold answers.

    Dawid and Skene's model, fitted by expectation maximisation: verifiers are independent given the truth, except
    near-duplicates, which share one vote. Those are found by their agreement, at first with each other and then beyond
    what the truth explains; if most verifiers are copies of one, this is impossible. `prior` is estimated unless given.
    Raises `UsageError` if fewer than three verifiers give varying scores.
    """
    matrix = np.asarray(scores, dtype=np.float64)
    cuts = np.array([_cut(column) for column in matrix.T])
    votes = binarised(matrix, cuts)
    is_used = ~np.isnan(cuts)
    if is_used.sum() < LEAST_VERIFIERS:
        raise UsageError(
            f"a label model needs at least {LEAST_VERIFIERS} verifiers that do not score all replies alike, "
            f"not {int(is_used.sum())}"
        )
    kept = votes[:, is_used]
    agree = np.abs(_correlations(kept)) ** ALIKE
    chance = NOISE / math.sqrt(len(kept))
    weights = _shares(np.abs(_correlations(kept)) ** ALIKE_AT_FIRST)
    for _ in range(N_ROUNDS):
        hits, alarms, share, q = _fit(kept, weights, prior)
        left = kept - np.where(np.isnan(kept), np.nan, q[:, None] * hits + (1 - q[:, None]) * alarms)
        beyond = _correlations(left)
        weights = _shares(np.maximum(np.where(beyond > chance, beyond, 0), agree))
    hits, alarms, share, _ = _fit(kept, weights, prior)

    def spread(values: Floats, missing: float) -> tuple[float, ...]:
        whole = np.full(len(cuts), missing)
        whole[is_used] = values
        return tuple(map(float, whole))

    return LabelModel(
        tuple(map(float, cuts)), spread(hits, 0.5), spread(alarms, 0.5), spread(weights, 0.0), float(share)
    )


def binarised(scores: Floats, cuts: Floats) -> Floats:
    """Scores [n, m] as acceptances 1 and 0; NaN without a score or a cut."""
    return np.where(np.isnan(scores) | np.isnan(cuts), np.nan, (scores > cuts).astype(np.float64))


def _cut(column: Floats) -> float:
    """The mean of a verifier's scores; NaN if they are all equal."""
    known = column[~np.isnan(column)]
    return float(known.mean()) if len(known) and known.min() < known.max() else math.nan


def _correlations(votes: Floats) -> Floats:
    """Pearson's correlation of each pair of columns over the rows that both have; 0 if undefined."""
    known = ~np.isnan(votes)
    filled = np.where(known, votes, 0.0)
    n = known.T.astype(np.float64) @ known
    n_safe = np.maximum(n, 1)
    mean = (filled.T @ known) / n_safe
    square = ((filled**2).T @ known) / n_safe
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    scale = deviation * deviation.T
    covariance = (filled.T @ filled) / n_safe - mean * mean.T
    found: Floats = np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 1e-12)
    np.fill_diagonal(found, 1.0)
    return found


def _shares(alike: Floats) -> Floats:
    """Each verifier's weight: one over the sum of its similarities to all verifiers, itself included."""
    shares: Floats = 1 / np.maximum(alike.sum(axis=1), 1.0)
    return shares


def _fit(votes: Floats, weights: Floats, prior: float | None) -> tuple[Floats, Floats, float, Floats]:
    """Hits, false alarms, the share of correct replies and each reply's probability, by expectation maximisation.

    Starts from the weighted vote; a prior worth one or two replies makes verifiers better than chance.
    """
    known = ~np.isnan(votes)
    filled = np.where(known, votes, 0.0)
    voiced = known @ weights
    q = np.clip((filled @ weights) / np.maximum(voiced, 1e-9), 0.05, 0.95)
    share = 0.5 if prior is None else prior
    for _ in range(N_STEPS):
        hits = np.clip((q @ filled + 2) / (q @ known + 3), CLIP, 1 - CLIP)
        alarms = np.clip(((1 - q) @ filled + 1) / ((1 - q) @ known + 3), CLIP, 1 - CLIP)
        share = float(np.clip(q.mean(), CLIP, 1 - CLIP)) if prior is None else prior
        new = _posterior(votes, hits, alarms, weights, share)
        if np.abs(new - q).max() < 1e-8:
            break
        q = new
    return hits, alarms, share, q


def _posterior(votes: Floats, hits: Floats, alarms: Floats, weights: Floats, prior: float) -> Floats:
    known = ~np.isnan(votes)
    filled = np.where(known, votes, 0.0)
    yes = weights * (np.log(hits) - np.log(alarms))
    no = weights * (np.log1p(-hits) - np.log1p(-alarms))
    logit = math.log(prior / (1 - prior)) + filled @ yes + (known - filled) @ no
    chance: Floats = 1 / (1 + np.exp(-np.clip(logit, -500, 500)))
    return chance


@dataclass(frozen=True)
class Isotonic:
    """A non-decreasing step function from scores to probabilities: `values[i]` applies from `starts[i]` on."""

    starts: tuple[float, ...]
    values: tuple[float, ...]

    def __call__(self, scores: ArrayLike) -> Floats:
        """The probability of each score; the first value also applies below the first start."""
        places = np.searchsorted(np.array(self.starts), np.asarray(scores, dtype=np.float64), side="right") - 1
        return np.array(self.values)[np.maximum(places, 0)]


def isotonic(scores: ArrayLike, correct: ArrayLike) -> Isotonic:
    """Isotonic regression of labels on scores, by least squares with pool-adjacent-violators.

    Equal scores get one value. Raises `UsageError` without any score.
    """
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if not len(x):
        raise UsageError("calibration needs scored replies that are known to be right or wrong")
    starts, inverse = np.unique(x, return_inverse=True)
    n = np.bincount(inverse).astype(np.float64)
    sums = np.bincount(inverse, weights=y)
    blocks: list[tuple[float, float, float]] = []
    for start, total_y, count in zip(starts, sums, n, strict=True):
        block = (float(start), float(total_y), float(count))
        while blocks and blocks[-1][1] * block[2] >= block[1] * blocks[-1][2]:
            before = blocks.pop()
            block = (before[0], before[1] + block[1], before[2] + block[2])
        blocks.append(block)
    return Isotonic(tuple(b[0] for b in blocks), tuple(b[1] / b[2] for b in blocks))


@dataclass(frozen=True)
class Calibrated:
    """A verifier whose scores are mapped to probabilities by a curve from `isotonic`."""

    verifier: Verifier
    curve: Isotonic

    @property
    def name(self) -> str:
        return f"calibrated {self.verifier.name}"

    @property
    def identity(self) -> str | None:
        inner = self.verifier.identity
        return None if inner is None else f"calibrated({inner}, {self.curve})"

    def lacks(self, problem: Problem) -> str:
        return lacking(self.verifier, problem)

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        """No cost beyond its verifier's own quote."""
        return Cost()

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        scores = await calls.score(self.verifier, problem, samples)
        return [
            replace(
                s, value=None if s.value is None else float(self.curve(s.value)), cost=Cost(), drawn=s.cost + s.drawn
            )
            for s in scores
        ]


@dataclass(frozen=True)
class Combined:
    """Combines several verifiers by a label model fitted to their scores.

    The score is the probability of being correct. Verifiers without a score of a reply are ignored for it; if all lack
    one, there is no score.
    """

    verifiers: tuple[Verifier, ...]
    model: LabelModel

    @property
    def name(self) -> str:
        return "+".join(verifier.name for verifier in self.verifiers)

    @property
    def identity(self) -> str | None:
        inner = [verifier.identity for verifier in self.verifiers]
        return None if None in inner else f"combined({inner}, {self.model})"

    def lacks(self, problem: Problem) -> str:
        """What the problem lacks if none of the verifiers can score it."""
        whys = [lacking(verifier, problem) for verifier in self.verifiers]
        return whys[0] if all(whys) else ""

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        """No cost beyond its verifiers' own quotes."""
        return Cost()

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        columns = await asyncio.gather(*(calls.score(verifier, problem, samples) for verifier in self.verifiers))
        values = np.array([[math.nan if s.value is None else s.value for s in column] for column in columns]).T
        chances = self.model.probability(values)
        scores = []
        for row, chance, given in zip(values, chances, zip(*columns, strict=True), strict=True):
            drawn = total(score.cost + score.drawn for score in given)
            if np.isnan(row).all():
                why = next((s.why for s in given if s.why), "no verifier scored it")
                scores.append(Score(None, why=why, drawn=drawn))
            else:
                scores.append(Score(float(chance), drawn=drawn))
        return scores
