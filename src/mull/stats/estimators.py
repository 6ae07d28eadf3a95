"""Closed-form unbiased estimates from n draws of the result of k; intervals for means over problems."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

LEAST_ERROR = 0.5
"""A resample's standard error is at least this share of the data's: few problems may all be drawn alike."""


@lru_cache(maxsize=8)
def log_factorials(n: int) -> NDArray[np.longdouble]:
    """Natural logarithms of 0!, 1!, ..., n!; shape [n + 1]. `longdouble`, since differences of entries lose digits."""
    table = np.zeros(n + 1, dtype=np.longdouble)
    table[1:] = np.cumsum(np.log(np.arange(1, n + 1, dtype=np.longdouble)))
    table.flags.writeable = False
    return table


def chance_all_within(n: ArrayLike, m: ArrayLike, ks: Sequence[int]) -> Floats:
    """Probability that k draws taken from n all lie among a given m of them: C(m, k) / C(n, k).

    `n` and `m` have the same shape; the result has an additional last axis, one entry per k.
    """
    total, within = np.broadcast_arrays(np.asarray(n, dtype=np.int64), np.asarray(m, dtype=np.int64))
    table = log_factorials(int(total.max(initial=0)))
    k = np.asarray(ks, dtype=np.int64)
    total, within = total[..., None], within[..., None]
    logs = table[within] - table[np.maximum(within - k, 0)] - table[total] + table[total - k]
    return np.where(within >= k, np.exp(logs), 0.0).astype(np.float64)


def pass_at_ks(n: ArrayLike, c: ArrayLike, ks: Sequence[int]) -> Floats:
    """pass@k = 1 - C(n-c, k) / C(n, k) for arrays of problems, shape [problems, ks] (arXiv 2107.03374).

    Raises `ValueError` if a k is above the smallest n, or c is not between 0 and n.
    """
    n, c = np.asarray(n, dtype=np.int64), np.asarray(c, dtype=np.int64)
    if np.any(c < 0) or np.any(c > n) or (len(ks) and not 1 <= min(ks) <= max(ks) <= n.min()):
        raise ValueError(f"pass@k needs 0 <= c <= n and 1 <= k <= n, not n={n}, c={c}, k={list(ks)}")
    return 1.0 - chance_all_within(n, n - c, ks)


@lru_cache(maxsize=4096)
def pass_at_k(n: int, c: int, k: int) -> float:
    """Probability that k of n draws, c of which are correct, include a correct one; `pass_at_ks` for one problem."""
    return float(pass_at_ks([n], [c], [k])[0, 0])


def g_pass_at_k(n: int, c: int, k: int, share: float) -> float:
    """G-Pass@k at a share: the chance that at least that share of k draws is correct (arXiv 2412.13147).

    At a share of 1 it is pass^k, all k correct; at any share up to 1/k it is pass@k. Raises `ValueError` outside
    0 <= c <= n, 1 <= k <= n and 0 < share <= 1.
    """
    if not 0 <= c <= n or not 1 <= k <= n or not 0 < share <= 1:
        raise ValueError(f"G-Pass@k needs 0 <= c <= n, 1 <= k <= n and 0 < share <= 1, not {n=}, {c=}, {k=}, {share=}")
    least = math.ceil(share * k - 1e-9)
    return math.fsum(math.comb(c, j) * math.comb(n - c, k - j) / math.comb(n, k) for j in range(least, k + 1))


def mean_g_pass_at_k(n: int, c: int, k: int) -> float:
    """mG-Pass@k: the mean of G-Pass@k over the shares above one half (arXiv 2412.13147)."""
    shares = range(math.ceil(k / 2) + 1, k + 1)
    return 2 / k * math.fsum(g_pass_at_k(n, c, k, i / k) for i in shares)


def none_in(n: float, confidence: float = 0.95) -> float:
    """The upper confidence bound on p after n draws without a success: 1 - (1 - confidence) ** (1 / n)."""
    return -math.expm1(math.log1p(-confidence) / n)


class Studentised(NamedTuple):
    """Column means, their standard errors, and the studentised means of resamples, [resamples, columns].

    A column whose values are all equal has a standard error of at most 1e-9.
    """

    mean: Floats
    error: Floats
    drawn: Floats

    @property
    def varies(self) -> NDArray[np.bool_]:
        return self.error > 1e-9


def studentised(values: Floats, drawn: Iterable[Floats], weight: Floats | None = None) -> Studentised:
    """The parts of a bootstrap-t; `values` are [rows, columns], each row counted `weight` times.

    `drawn` yields the row counts of each resample, [rows], or of several, [resamples, rows].
    """
    weight = np.ones(len(values)) if weight is None else weight
    n = float(weight.sum())
    mean = weight @ values / n
    off = values - mean
    both = np.concatenate([off, off * off], axis=1)
    moments = drawn_sums(both, drawn) / n
    correction = n / max(n - 1, 1)
    error = np.sqrt(weight @ (off * off) / n * correction)
    shift, square = np.split(moments, 2, axis=1)
    errors = np.sqrt(np.maximum(square - shift**2, 0.0) * correction)
    scale = np.where(error > 1e-9, np.maximum(errors, LEAST_ERROR * error), 1.0)
    return Studentised(mean, error, shift / scale)


def drawn_sums(values: Floats, drawn: Iterable[Floats]) -> Floats:
    """The column sums of each resample, [resamples, columns]; `values` and `drawn` are as in `studentised`."""
    return np.concatenate([np.atleast_2d(part @ values) for part in drawn])


def bootstrap_t(
    values: Floats,
    drawn: Iterable[Floats],
    weight: Floats | None = None,
    bounds: tuple[float, float] | None = None,
    level: float = 0.05,
) -> Floats:
    """Intervals of the column means at 1 - `level`, [columns, 2]; `values` are [rows, columns], as in `studentised`.

    This is the bootstrap-t: quantiles of the resampled means, studentised by their own standard errors, which follows
    the skewness that percentiles miss (Efron 1979; Hall 1988). Intervals are clipped to `bounds`. If all values of a
    column are equal, at most `none_in(n)` of the population differs, by at most the distance to a bound; without bounds
    the interval is that one value.
    """
    found = studentised(values, drawn, weight)
    return ends_of(found, float(len(values) if weight is None else weight.sum()), bounds, level)


def ends_of(found: Studentised, n: float, bounds: tuple[float, float] | None, level: float) -> Floats:
    """The ends of the intervals of `bootstrap_t`, [columns, 2], from its parts and the number of problems."""
    mean = found.mean
    low, high = np.quantile(found.drawn, [level / 2, 1 - level / 2], axis=0)
    ends = np.stack([mean - high * found.error, mean - low * found.error], axis=1)
    if bounds is not None:
        other = none_in(n, 1 - level) * np.stack([mean - bounds[0], bounds[1] - mean], axis=1)
        ends = np.where(found.varies[:, None], ends, mean[:, None] + np.array([-1.0, 1.0]) * other)
        ends = np.clip(ends, *bounds)
    return ends
