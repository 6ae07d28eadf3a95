"""The accuracy of a vote of k of a problem's n draws over all subsets, where these can be counted or are few."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mull.lab.numbered import NumberedDraws
from mull.lab.windows import Floats, Poll

MOST_COUNTED = 32
"""Up to this many draws the subsets in which an answer leads are counted, which takes one or two milliseconds here."""
MOST_SUBSETS = 1000
"""Up to this many subsets of k weighted draws are enumerated."""


def counted_votes(drawn: NumberedDraws, ks: Sequence[int]) -> Floats | None:
    """The accuracy of votes of k over all subsets, [ks], from how often each answer was given.

    Ties count in equal parts. `None` above `MOST_COUNTED` draws.
    """
    if drawn.n > MOST_COUNTED:
        return None
    classes = sorted(zip(drawn.sizes.tolist(), (drawn.n_right / drawn.sizes).tolist(), strict=True))
    return _counted(drawn.n, tuple(classes))[np.asarray(ks) - 1] if classes else np.zeros(len(ks))


def exact_votes(poll: Poll, ks: Sequence[int]) -> Floats | None:
    """The accuracy of weighted votes of k over all subsets, [ks]; ties count in equal parts. `None`: they are too many.

    Votes without weights are those of `counted_votes`, or of all draws.
    """
    if not len(poll.right):
        return np.zeros(len(ks))
    if poll.weight is None and list(ks) == [len(poll.ids)]:
        sizes = np.bincount(poll.ids, minlength=len(poll.right))[: len(poll.right)]
        return np.array([poll.right[sizes == sizes.max()].mean()])
    if poll.weight is None or max(math.comb(len(poll.ids), k) for k in ks) > MOST_SUBSETS:
        return None
    return np.array([_enumerated(poll, k) for k in ks])


@lru_cache(maxsize=4096)
def _counted(n: int, classes: tuple[tuple[int, float], ...]) -> Floats:
    """The exact accuracy of votes of 1 to n draws; `classes` are each answer's number of draws and how right it is.

    For each number of votes m of the winner, a polynomial in x counts the subsets of each size (the power of x) in
    which no answer has more than m votes and t answers have m; a second one sums how correct these are.
    """
    total = np.zeros(n + 1)
    for m in range(1, max(size for size, _ in classes) + 1):
        able = [(size, share) for size, share in classes if size >= m]
        most = min(len(able), n // m)
        count, right = np.zeros((most + 1, n + 1)), np.zeros((most + 1, n + 1))
        count[0, 0] = 1
        for size, share in able:
            below, ties = _shifts(n, tuple(math.comb(size, j) for j in range(m))), math.comb(size, m)
            more_count, more_right = count @ below, right @ below
            more_count[1:, m:] += ties * count[:-1, :-m]
            more_right[1:, m:] += ties * (right[:-1, :-m] + share * count[:-1, :-m])
            count, right = more_count, more_right
        led = (right[1:] / np.arange(1, most + 1)[:, None]).sum(axis=0)
        free = n - sum(size for size, _ in able)  # draws of answers that cannot have m votes, and those without any
        total += np.convolve(led, [float(math.comb(free, j)) for j in range(free + 1)])[: n + 1]
    means: Floats = total[1:] / np.array([float(math.comb(n, k)) for k in range(1, n + 1)])
    return means


@lru_cache(maxsize=1024)
def _shifts(n: int, factors: tuple[int, ...]) -> Floats:
    """The matrix that multiplies polynomials of degree n (as rows) by the polynomial with these coefficients."""
    matrix = np.zeros((n + 1, n + 1))
    for j, factor in enumerate(factors):
        matrix += np.diag(np.full(n + 1 - j, float(factor)), j)
    return matrix


@lru_cache(maxsize=64)
def _subsets(n: int, k: int) -> NDArray[np.int64]:
    """All subsets of k of n places, [subsets, k]."""
    return np.array(list(itertools.combinations(range(n), k)))


def _enumerated(poll: Poll, k: int) -> float:
    """The accuracy of weighted votes over every subset of k draws."""
    assert poll.weight is not None
    chosen = _subsets(len(poll.ids), k)
    width = len(poll.right) + 1
    cells = (poll.ids[chosen] + width * np.arange(len(chosen))[:, None]).ravel()
    size = width * len(chosen)
    has_votes = (np.bincount(cells, minlength=size) > 0).reshape(-1, width)[:, :-1]
    tally = np.bincount(cells, weights=poll.weight[chosen].ravel(), minlength=size).reshape(-1, width)[:, :-1]
    weights = np.where(has_votes, tally, -np.inf)
    leads = (weights >= weights.max(axis=1, keepdims=True) - poll.margin()) & has_votes
    return float(np.mean((leads @ poll.right) / np.maximum(leads.sum(axis=1), 1)))
