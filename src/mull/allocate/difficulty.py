"""Estimates a problem's difficulty from a few draws: their features, and the predicted probability of a right draw."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mull.errors import UsageError

Floats = NDArray[np.float64]
Features = Mapping[str, float | None]
"""Features of a problem and a few draws, by the names in `FEATURES` and `QUESTION`; `None` is unknown."""

RIDGE = 1.0
"""Weight, in problems, of the prior that a feature has no effect: keeps a fit to a few problems finite."""
N_STEPS = 50
"""Maximum number of Newton steps; about eight are needed."""


class Look(NamedTuple):
    """Observations of one draw; `None` is unknown, or no answer. `logprob` is the mean over its tokens."""

    answer: str | None
    score: float | None = None
    tokens: int | None = None
    logprob: float | None = None


def certainty(answers: Sequence[str | None]) -> float | None:
    """Agreement of draws: 1 - H / H_max over their answers (Certaindex, arXiv 2412.20993); `None` for less than two.

    Draws without an answer agree with no other.
    """
    n = len(answers)
    if n < 2:
        return None
    counts = [*Counter(a for a in answers if a is not None).values(), *[1 for a in answers if a is None]]
    entropy = math.fsum(-c / n * math.log(c / n) for c in counts)
    return 1 - entropy / math.log(n)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return math.fsum(known) / len(known) if known else None


def _log_tokens(looks: Sequence[Look]) -> float | None:
    mean = _mean([look.tokens for look in looks])
    return math.log(mean) if mean else None


FEATURES: Mapping[str, Callable[[Sequence[Look]], float | None]] = {
    "certainty": lambda looks: certainty([look.answer for look in looks]),
    "answered": lambda looks: _mean([float(look.answer is not None) for look in looks]),
    "mean_score": lambda looks: _mean([look.score for look in looks]),
    "max_score": lambda looks: max((look.score for look in looks if look.score is not None), default=None),
    "log_tokens": _log_tokens,
    "logprob": lambda looks: _mean([look.logprob for look in looks]),
}
"""Vote entropy, share with an answer, verifier scores, length of the replies, their mean token log-probability."""
QUESTION = "log_question"
"""The feature that needs no draw: the logarithm of the question's length in characters."""


def features(question: str, looks: Sequence[Look]) -> dict[str, float | None]:
    """All features of a problem and its draws, of which there may be none."""
    return {QUESTION: math.log(max(1, len(question))), **{name: of(looks) for name, of in FEATURES.items()}}


@dataclass(frozen=True, slots=True)
class Difficulty:
    """Predicts pass@1, the probability that a draw is right, by logistic regression on features.

    A feature that is unknown for a problem is replaced by its mean over the fitted problems.
    """

    names: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    offset: float

    def predict(self, seen: Features) -> float:
        """Predicted pass@1 of a problem with these features."""
        logit = self.offset
        for name, mean, scale, weight in zip(self.names, self.means, self.scales, self.weights, strict=True):
            value = seen.get(name)
            logit += 0.0 if value is None else weight * (value - mean) / scale
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))


def fit(seen: Sequence[Features], shares: ArrayLike) -> Difficulty:
    """Fits pass@1 to features of problems; `shares` must come from other draws than the features.

    Drops features that are constant, or unknown for more than half of the problems. Raises `UsageError` without
    problems.
    """
    if not seen:
        raise UsageError("difficulty needs at least one problem to learn from")
    target = np.asarray(shares, dtype=np.float64)
    names, columns = [], []
    for name in (QUESTION, *FEATURES):
        values = np.array([math.nan if (v := one.get(name)) is None else v for one in seen])
        known = values[np.isfinite(values)]
        if 2 * len(known) >= len(values) and len(known) and known.std() > 1e-9:
            names.append(name)
            columns.append((values, float(known.mean()), float(known.std())))
    table = np.array([np.where(np.isfinite(v), (v - mean) / scale, 0.0) for v, mean, scale in columns])
    weights = logistic(np.vstack([np.ones(len(target)), table.reshape(-1, len(target))]).T, target)
    means, scales = tuple(c[1] for c in columns), tuple(c[2] for c in columns)
    return Difficulty(tuple(names), means, scales, tuple(map(float, weights[1:])), float(weights[0]))


def logistic(table: Floats, target: Floats) -> Floats:
    """Weights [columns] of a ridge logistic regression on shares, by Newton's method; the first is not shrunk."""
    shrink = np.full(table.shape[1], RIDGE)
    shrink[0] = 1e-3  # keeps the intercept finite if all problems are solved, or none
    weights = np.zeros(table.shape[1])
    for _ in range(N_STEPS):
        p = 1 / (1 + np.exp(-np.clip(table @ weights, -30, 30)))
        gradient = table.T @ (target - p) - shrink * weights
        hessian = (table * (p * (1 - p))[:, None]).T @ table + np.diag(shrink)
        step = np.linalg.solve(hessian, gradient)
        weights = weights + step * min(1.0, 4.0 / max(1e-12, float(np.abs(step).max())))
        if np.abs(step).max() < 1e-9:
            break
    return weights


def ordinal_bins(values: ArrayLike, n: int) -> list[int]:
    """The bin of each value, 0 for the greatest: equal parts by rank, so that ties never leave a bin empty.

    Quantile edges can: for six zeros, .1, .2, .5 and 1 they give bins of 0, 0, 6, 2 and 2.
    """
    order = np.argsort(-np.asarray(values, dtype=np.float64), kind="stable")
    bins = np.empty(len(order), dtype=int)
    bins[order] = np.arange(len(order)) * n // max(1, len(order))
    return [int(b) for b in bins]


def edges(values: ArrayLike, n: int) -> tuple[float, ...]:
    """The edges between `ordinal_bins`, from the greatest down: midpoints of neighbouring values."""
    ranked = sorted(np.asarray(values, dtype=np.float64).tolist(), reverse=True)
    starts = [next(i for i in range(len(ranked)) if i * n // len(ranked) == b) for b in range(1, n)]
    return tuple((ranked[i - 1] + ranked[i]) / 2 for i in starts)


def bin_of(value: float, falling: Sequence[float]) -> int:
    """The bin of a value among `edges`, 0 for the greatest; a value on an edge is in the easier bin."""
    return bisect_left([-edge for edge in falling], -value)


@dataclass(frozen=True, slots=True)
class Calibration:
    """The quality of pass@1 predictions on held-out problems.

    `error` is the mean distance of prediction and truth over five bins of equal size, `brier` their mean squared
    distance, `brier_of_mean` that of always predicting the mean.
    """

    problems: int
    error: float
    brier: float
    brier_of_mean: float


def calibration(predicted: ArrayLike, observed: ArrayLike) -> Calibration:
    """Compares predicted with observed pass@1."""
    p, y = np.asarray(predicted, dtype=np.float64), np.asarray(observed, dtype=np.float64)
    bins = np.array(ordinal_bins(p, 5))
    gaps = [(bins == b).mean() * abs(float(p[bins == b].mean() - y[bins == b].mean())) for b in set(bins.tolist())]
    mean = float(y.mean())
    return Calibration(len(p), float(sum(gaps)), float(np.mean((p - y) ** 2)), float(np.mean((mean - y) ** 2)))
