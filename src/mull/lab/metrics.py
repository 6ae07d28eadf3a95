"""Coverage, majority and best-of-k as functions of k, averaged over subsets of the draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mull.lab.compare import Interval, bootstrap

Floats = NDArray[np.float64]

N_SUBSETS = 400
"""Subsets a problem for majority@k, at least, where the exact mean over all of them is out of reach."""


@dataclass(frozen=True, slots=True)
class Pool:
    """The draws of one problem: what each answered, whether it was right, and how it was scored.

    Where only counts are known `answers` is empty and `n` and `n_correct` stand alone.
    """

    problem: str
    n: int
    n_correct: int
    answers: tuple[str | None, ...] = ()
    correct: tuple[bool, ...] = ()
    scores: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """A curve's value at k with its 95 % interval over problems."""

    k: int
    value: float
    ci95: Interval


@dataclass(frozen=True, slots=True)
class Curves:
    """Measured curves of one group of problems; those that the data cannot give are empty.

    `gap` is coverage minus what selection makes of it: best-of-k where there are scores, else majority.
    """

    problems: int
    samples: int
    coverage: list[Point] = field(default_factory=list)
    majority: list[Point] = field(default_factory=list)
    best: list[Point] = field(default_factory=list)
    gap: list[Point] = field(default_factory=list)


def pass_at_k(n: int, c: int, k: int) -> float:
    """Probability that k of n draws, c of them correct, hold a correct one: 1 - C(n-c, k) / C(n, k).

    The unbiased estimator of Chen et al. 2021 (arXiv 2107.03374). Raises `ValueError` where k is above n.
    """
    if not 0 <= c <= n or not 1 <= k <= n:
        raise ValueError(f"pass@k needs 0 <= c <= n and 1 <= k <= n, not n={n}, c={c}, k={k}")
    if n - c < k:
        return 1.0
    return 1.0 - math.exp(math.fsum(math.log1p(-k / j) for j in range(n - c + 1, n + 1)))


def best_at_k(scores: Sequence[float | None], correct: Sequence[bool], ks: Sequence[int]) -> list[float]:
    """Probability that the best scored of k draws is correct, over all subsets; ties count in equal parts.

    Unscored draws are never chosen; a subset without a scored draw has no correct choice.
    """
    n = len(scores)
    groups: dict[float, list[bool]] = {}
    for score, right in zip(scores, correct, strict=True):
        if score is not None:
            groups.setdefault(score, []).append(right)
    sizes = [len(groups[score]) for score in sorted(groups)]
    shares = np.array([sum(groups[score]) for score in sorted(groups)]) / np.maximum(sizes, 1)
    # Of each score: how many draws are below it, and how many are not above it. Unscored ones are below all.
    ends = n - sum(sizes) + np.cumsum([0, *sizes])
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    values = []
    for k in ks:
        log_ways = log_factorials[ends] - log_factorials[np.maximum(ends - k, 0)]
        within = np.where(ends < k, 0.0, np.exp(log_ways - log_factorials[n] + log_factorials[n - k]))
        # The best of the subset has this score: all k among these and lower, not all among the lower.
        values.append(min(1.0, float(np.diff(within) @ shares)))
    return values


def majority_at_k(
    answers: Sequence[str | None], correct: Sequence[bool], ks: Sequence[int], seed: int = 0
) -> list[float]:
    """Probability that the vote of k draws is correct, over random subsets; ties count in equal parts.

    Draws without an answer do not vote. An answer is as correct as the draws that gave it were on average. The
    subsets are rotations of a few shuffles, at least `N_SUBSETS` of them, so that each draw is in as many as any
    other; of more draws than that not all rotations are used, but enough that each draw is in four at least.
    """
    classes = {a: i for i, a in enumerate(dict.fromkeys(a for a in answers if a is not None))}
    if not classes:
        return [0.0] * len(ks)
    n = len(answers)
    ids = np.array([-1 if a is None else classes[a] for a in answers])
    right = np.array([np.mean([c for a, c in zip(answers, correct, strict=True) if a == name]) for name in classes])
    rng = np.random.default_rng(seed)
    shuffles = np.concatenate([np.tile(rng.permutation(ids), 2) for _ in range(-(-N_SUBSETS // n))])
    starts = np.add.outer(np.arange(len(shuffles) // (2 * n)) * 2 * n, np.arange(n)).ravel()
    counts = np.zeros((len(starts), len(classes)), dtype=np.int64)
    values, done = [], 0
    for k in ks:
        for i in range(done, k):
            column = shuffles[starts + i]
            voted = column >= 0
            counts[np.nonzero(voted)[0], column[voted]] += 1
            wide = (i + 1) // 4
            if wide > 1 and wide & (wide - 1) == 0 and (i + 1) % 4 == 0 and len(starts) >= 2 * N_SUBSETS:
                starts, counts = starts[::2], counts[::2]
        done = k
        leads = (counts == counts.max(axis=1, keepdims=True)) & (counts > 0)
        n_leads = leads.sum(axis=1)
        values.append(float(np.mean(np.where(n_leads > 0, (leads @ right) / np.maximum(n_leads, 1), 0.0))))
    return values


def default_ks(n: int) -> list[int]:
    """1, 2, 4, ... and 1, 10, 100, ..., and n itself."""
    powers = {2**i for i in range(n.bit_length())} | {10**i for i in range(len(str(n)))} | {n}
    return sorted(k for k in powers if k <= n)


def curves(pools: Sequence[Pool], ks: Sequence[int] | None = None, seed: int = 0) -> Curves:
    """The curves of a set of problems, up to the smallest number of draws that any of them has."""
    n = min(pool.n for pool in pools)
    ks = [k for k in sorted(set(ks)) if k <= n] if ks else default_ks(n)
    coverage = np.array([[pass_at_k(p.n, p.n_correct, k) for k in ks] for p in pools])
    majority = best = None
    if all(pool.answers for pool in pools):
        majority = np.array([majority_at_k(p.answers, p.correct, ks, seed) for p in pools])
    if all(any(s is not None for s in pool.scores) for pool in pools):
        best = np.array([best_at_k(p.scores, p.correct, ks) for p in pools])
    selected = best if best is not None else majority

    def points(values: Floats | None) -> list[Point]:
        if values is None:
            return []
        return [Point(k, float(values[:, i].mean()), bootstrap(values[:, i], seed)) for i, k in enumerate(ks)]

    return Curves(
        len(pools),
        sum(pool.n for pool in pools),
        points(coverage),
        points(majority),
        points(best),
        points(None if selected is None else coverage - selected),
    )
