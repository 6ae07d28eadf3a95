"""Fits the difficulty of problems to their features, and measures how good its predictions are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mull.allocate.difficulty import FEATURES, QUESTION, Calibration, Difficulty, Features
from mull.errors import UsageError

Floats = NDArray[np.float64]

RIDGE = 1.0
"""Weight, in problems, of the prior that a feature has no effect: keeps a fit to a few problems finite."""
N_STEPS = 50
"""Maximum number of Newton steps; about eight are needed."""


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


def calibration(predicted: ArrayLike, observed: ArrayLike) -> Calibration:
    """Compares predicted with observed pass@1."""
    p, y = np.asarray(predicted, dtype=np.float64), np.asarray(observed, dtype=np.float64)
    bins = np.array(ordinal_bins(p, 5))
    gaps = [(bins == b).mean() * abs(float(p[bins == b].mean() - y[bins == b].mean())) for b in set(bins.tolist())]
    mean = float(y.mean())
    return Calibration(len(p), float(sum(gaps)), float(np.mean((p - y) ** 2)), float(np.mean((mean - y) ** 2)))
