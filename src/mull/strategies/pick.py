"""Selection among candidates by their answers and scores, as pure functions.

Results do not depend on the order of the candidates, except to name one among equals. The `rng` breaks ties between
answers: the same seed gives the same winner in any order.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from mull.types import Score


class Ballot(NamedTuple):
    """The result of a vote: the winning answer and the weight of every answer, heaviest first."""

    answer: str | None
    tally: tuple[tuple[str, float], ...]

    @property
    def share(self) -> float | None:
        """The winner's share of the total weight; `None` if nobody voted or the total is 0."""
        total = sum(weight for _, weight in self.tally)
        return self.tally[0][1] / total if total > 0 else None


def _elect(weights: dict[str, float], rng: random.Random) -> Ballot:
    if not weights:
        return Ballot(None, ())
    ranked = sorted(weights.items(), key=lambda item: (-item[1], item[0]))
    tied = [answer for answer, weight in ranked if weight == ranked[0][1]]
    winner = rng.choice(tied) if len(tied) > 1 else tied[0]
    ranked.sort(key=lambda item: (-item[1], item[0] != winner, item[0]))
    return Ballot(winner, tuple(ranked))


def majority(answers: Sequence[str | None], rng: random.Random) -> Ballot:
    """The most frequent answer (self-consistency, Wang et al. 2022); a candidate without an answer does not vote."""
    return _elect({a: float(n) for a, n in Counter(a for a in answers if a is not None).items()}, rng)


def weighted(answers: Sequence[str | None], scores: Sequence[Score], rng: random.Random) -> Ballot:
    """The answer with the greatest sum of scores, each in [0, 1]; no score, no vote (Snell et al. 2024)."""
    return heaviest(answers, [score.value for score in scores], rng)


def heaviest(answers: Sequence[str | None], weights: Sequence[float | None], rng: random.Random) -> Ballot:
    """The answer with the greatest sum of weights, each at least 0; `None` as an answer or a weight is no vote."""
    cast: defaultdict[str, list[float]] = defaultdict(list)
    for answer, weight in zip(answers, weights, strict=True):
        if answer is not None and weight is not None:
            cast[answer].append(weight)
    # fsum does not depend on the order of its terms.
    return _elect({answer: sum(sorted(values)) for answer, values in cast.items()}, rng)


def best(scores: Sequence[Score], rng: random.Random) -> int | None:
    """Index of the highest score; ignores unscored candidates and breaks ties by the rng."""
    known = [score.value for score in scores if score.value is not None]
    if not known:
        return None
    tied = [i for i, score in enumerate(scores) if score.value == max(known)]
    return rng.choice(tied) if len(tied) > 1 else tied[0]


def best_of_majority(
    answers: Sequence[str | None], scores: Sequence[Score], alpha: float, rng: random.Random
) -> str | None:
    """The best scored among the answers that at least a share `alpha` of the candidates gave.

    An answer's score is the mean over the candidates that gave it. If no answer is that frequent, the most frequent
    one wins (arXiv 2510.03199, with one answer submitted).
    """
    ballot = majority(answers, rng)
    frequent = [answer for answer, n in ballot.tally if n >= alpha * len(answers)]
    values: dict[str, list[float]] = {answer: [] for answer in frequent}
    for answer, score in zip(answers, scores, strict=True):
        if answer in values and score.value is not None:
            values[answer].append(score.value)
    means = {answer: sum(sorted(vs)) / len(vs) for answer, vs in values.items() if vs}
    return _elect(means, rng).answer if means else ballot.answer


def bests_of_subsets(answers: Sequence[str | None], scores: Sequence[Score], m: int, rng: random.Random) -> Ballot:
    """The answer that best-of-m chooses most often over bootstraps of the candidates (arXiv 2511.18630).

    A bootstrap has m of the candidates, drawn with replacement, and chooses its best scored, one at random among
    equals. The tally is the probability of each answer, exactly. Without an answer or a score: not in the pool.
    """
    pool = [(s.value, a) for s, a in zip(scores, answers, strict=True) if s.value is not None and a is not None]
    weights: list[float | None] = []
    for value, _ in pool:
        above = sum(other > value for other, _ in pool)
        below = sum(other < value for other, _ in pool)
        equal = len(pool) - above - below
        # The best is of this value if none of the m is above it and not all are below it.
        weights.append((((below + equal) / len(pool)) ** m - (below / len(pool)) ** m) / equal)
    return heaviest([answer for _, answer in pool], weights, rng)


def borda(values: Sequence[float], p: float) -> list[float]:
    """Weights by rank, (n - rank + 1)^p with rank 1 for the greatest; equals share their mean rank.

    With p = 0 every candidate weighs the same, with a large p only the greatest counts.
    """
    ranks = [sum(v > value for v in values) + (sum(v == value for v in values) + 1) / 2 for value in values]
    return [((len(values) - rank + 1) / len(values)) ** p for rank in ranks]


def representative(answer: str | None, answers: Sequence[str | None], scores: Sequence[Score] = ()) -> int | None:
    """The candidate that represents an answer: the best scored of those that gave it, else the first drawn."""
    places = [i for i, a in enumerate(answers) if a is not None and a == answer]
    if not places:
        return None
    if not scores:
        return places[0]
    return max(places, key=lambda i: (-1.0 if (v := scores[i].value) is None else v, -i))
