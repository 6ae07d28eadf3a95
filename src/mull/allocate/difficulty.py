"""Estimates a problem's difficulty from a few draws: their features, and the predicted probability of a right draw."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

Features = Mapping[str, float | None]
"""Features of a problem and a few draws, by the names in `FEATURES` and `QUESTION`; `None` is unknown."""


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
