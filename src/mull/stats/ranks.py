"""Rankings with their uncertainty: Bradley-Terry strengths over paired problems, and ranks by the bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mull.stats.estimators import Floats, drawn_sums
from mull.stats.intervals import Interval, in_order, resample_blocks

N_STEPS = 200
PRIOR = 0.5
"""Wins that each of two has over the other beforehand, so that one who never loses has a finite strength."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """One of those ranked: `strength` is its Bradley-Terry strength, as the chance to win against an average one.

    `rank` is by strength, 1 the strongest. `ranks` is the 95 % interval of the rank; `first` is the chance to be the
    strongest on all problems like these, the share of resamples of the problems in which it is.
    """

    name: str
    accuracy: float
    strength: float
    ci95: Interval
    rank: int
    ranks: tuple[int, int]
    first: float


def rank(names: Sequence[str], correct: Floats, seed: int = 0) -> list[Ranked]:
    """Ranks the columns of `correct`, [problems, names]: the chance that each solves each problem. Strongest first.

    On a problem, one wins against another where it is right and the other is wrong; the rest is a tie and says nothing
    (Bradley and Terry 1952). Strengths are fitted by Hunter's MM steps (2004), to the data and to each resample.
    """
    correct = in_order(np.asarray(correct, dtype=np.float64))
    wins = correct[:, :, None] * (1 - correct[:, None, :])
    flat = wins.reshape(len(correct), -1)
    drawn = drawn_sums(flat, resample_blocks(len(correct), seed))
    width = len(names)
    own = _strengths(flat.sum(axis=0).reshape(1, width, width))[0]
    sampled = _strengths(drawn.reshape(-1, width, width))
    places = _places(sampled)
    low, high = np.quantile(sampled, [0.025, 0.975], axis=0)
    lowest, highest = (np.quantile(places, q, axis=0, method="nearest") for q in (0.025, 0.975))
    first = _firsts(sampled)
    order = sorted(range(width), key=lambda i: (-own[i], names[i]))
    return [
        Ranked(
            names[i],
            float(correct[:, i].mean()),
            float(own[i]),
            Interval(float(low[i]), float(high[i])),
            place,
            (int(lowest[i]), int(highest[i])),
            float(first[i]),
        )
        for place, i in enumerate(order, 1)
    ]


def _strengths(wins: Floats) -> Floats:
    """The chance of each to win against an average one, [sets, names], from wins, [sets, names, names]."""
    width = wins.shape[1]
    wins = wins + PRIOR * (1 - np.eye(width))
    games = wins + wins.transpose(0, 2, 1)
    total = wins.sum(axis=2)
    p = np.ones(total.shape)
    for _ in range(N_STEPS):
        p = total / np.maximum((games / (p[:, :, None] + p[:, None, :])).sum(axis=2), 1e-300)
        p /= np.exp(np.log(p).mean(axis=1, keepdims=True))
    strengths: Floats = p / (1 + p)
    return strengths


def _places(strengths: Floats) -> Floats:
    """Ranks from 1, the mean rank for equal strengths."""
    above = (strengths[:, None, :] > strengths[:, :, None] + 1e-9).sum(axis=2)
    same = (np.abs(strengths[:, None, :] - strengths[:, :, None]) <= 1e-9).sum(axis=2)
    places: Floats = above + (same + 1) / 2
    return places


def _firsts(strengths: Floats) -> Floats:
    """How often each is the strongest; a tie counts in equal parts."""
    leads = strengths >= strengths.max(axis=1, keepdims=True) - 1e-9
    shares: Floats = (leads / leads.sum(axis=1, keepdims=True)).mean(axis=0)
    return shares
