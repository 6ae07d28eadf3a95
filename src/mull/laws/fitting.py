"""Fits laws to counts: by likelihood, with or without a prior, and by least squares of the curve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mull.laws.counts import NEVER, Counts, Floats, Ints, log_grid, measured
from mull.laws.families import BOUNDS, Family, Likelihood, free
from mull.stats.estimators import pass_at_ks

EXACT, ROUGH = 1e-13, 1e-7
"""Relative tolerance of the maximum for the data and for resamples, whose sampling noise is larger."""

STENCIL_STEP = 1e-3
"""The distance of the points from which slopes and curvatures are taken."""
LONGEST_STEP, MOST_STEPS = 2.0, 100
TINY_BEND = 1e-9
"""A curvature below this share of the largest counts as that much."""
AT_ONCE = 2_000_000
"""The most log chances in memory at once."""

PRIORS = {"a": (0.4, 0.8), "b": (7.0, 1.5)}
"""Centre, and standard deviation of the logarithm, of the log-normal priors of `log_prior`."""
PI_PRIOR = 4.0
"""The prior of `pi` is Beta(1, 4), with mean 1/5."""

POWER_START = (-2.0, -0.3)
POWER_RANGE = 30.0
"""The search range of log(-a) and log(-b), either side of 0."""
POWER_LEAST = 4
"""The exponentiated power law needs this many draws a problem: three points of the curve for two parameters."""
CURVE_FIRST = 3
"""The first k of the curve law."""


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """The maximum of a family's likelihood: `theta` on the unbounded scales, shape [parameters]."""

    theta: Floats
    loglik: float


def maximise(family: Family, likelihood: Likelihood, *, is_held: bool = False) -> Optimum:
    """The maximum of the family's likelihood over several starting points, within the bounds of its parameters.

    With `is_held` it is the posterior mode under `log_prior`; `loglik` is the likelihood there.
    """
    starts = np.array(family.starts(likelihood.data))
    weights = np.repeat(likelihood.data.weight[None], len(starts), axis=0)
    thetas, logliks = _maxima(family, likelihood, starts, weights, is_held, EXACT)
    best = int(np.argmax(logliks + log_prior(family, thetas) if is_held else logliks))
    return Optimum(thetas[best], float(logliks[best]))


def again(
    family: Family, likelihood: Likelihood, start: Floats, weights: Floats, *, is_held: bool = False
) -> tuple[Floats, Floats]:
    """The maxima near `start` for other weights of the pairs, such as resamples; `weights` is [resamples, pairs].

    Returns the parameters [resamples, parameters] and the log-likelihoods [resamples].
    """
    return _maxima(family, likelihood, np.repeat(start[None], len(weights), axis=0), weights, is_held, ROUGH)


def _maxima(
    family: Family, likelihood: Likelihood, starts: Floats, weights: Floats, is_held: bool, tolerance: float
) -> tuple[Floats, Floats]:
    """One maximum for each row of `starts` and `weights`: the parameters, and the log-likelihoods there."""
    low, high = np.array([[free(name, end) for end in BOUNDS[name]] for name in family.parameters]).T
    size = max(1, AT_ONCE // max(len(likelihood.edges), weights.shape[1]))

    def height(thetas: Floats, rows: Ints) -> Floats:
        """Of `thetas` [rows, points, parameters]: the log-likelihood or posterior, [rows, points]."""
        values = np.empty(thetas.shape[:2])
        step = max(1, size // thetas.shape[1])
        for first in range(0, len(rows), step):
            some = slice(first, first + step)
            chances = family.log_chances(thetas[some], likelihood)
            values[some] = np.einsum("rsp,rp->rs", chances, weights[rows[some]])
        return values + log_prior(family, thetas) if is_held else values

    thetas, heights = _ascend(height, starts, low, high, tolerance)
    return thetas, heights - log_prior(family, thetas) if is_held else heights


def _ascend(
    height: Callable[[Floats, Ints], Floats], starts: Floats, low: Floats, high: Floats, tolerance: float
) -> tuple[Floats, Floats]:
    """A maximum near each of `starts` [rows, d] within the bounds [d]; returns the points, and their heights [rows].

    All rows climb side by side, by Newton's method with damping (Levenberg 1944; Marquardt 1963).
    `height(points, rows)` takes points [rows, points, d] and the numbers of their rows.
    """
    thetas = np.clip(starts, low, high)
    climbing = np.arange(len(thetas))
    heights, slopes, bends = _shape(height, thetas, climbing)
    damping = np.zeros(len(thetas))
    for _ in range(MOST_STEPS):
        here = thetas[climbing]
        steps = _newton(slopes[climbing], bends[climbing], damping[climbing], (here <= low, here >= high))
        ahead = np.clip(here + steps, low, high)
        found = _shape(height, ahead, climbing)
        gain = found[0] - heights[climbing]
        is_up = gain >= 0
        up = climbing[is_up]
        thetas[up] = ahead[is_up]
        for kept, new in zip((heights, slopes, bends), found, strict=True):
            kept[up] = new[is_up]
        damping[climbing] = np.where(is_up, damping[climbing] / 10, np.maximum(10 * damping[climbing], 1.0))
        climbing = climbing[np.abs(gain) > tolerance * np.abs(heights[climbing])]
        if not len(climbing):
            break
    return thetas, heights


def _newton(slopes: Floats, bends: Floats, damping: Floats, ends: tuple[Any, Any]) -> Floats:
    """Newton steps up, [rows, d]; a parameter at the low or high end of its range does not leave it."""
    is_stuck = (ends[0] & (slopes < 0)) | (ends[1] & (slopes > 0))
    slopes = np.where(is_stuck, 0.0, slopes)
    curved = np.where(is_stuck[:, :, None] | is_stuck[:, None, :], 0.0, -bends)
    values, axes = np.linalg.eigh(curved)
    largest = np.abs(values).max(axis=1, keepdims=True)
    values = np.maximum(np.abs(values), TINY_BEND * (largest + TINY_BEND)) + damping[:, None] * largest
    along = np.einsum("rij,ri->rj", axes, slopes) / values
    steps: Floats = np.clip(np.einsum("rij,rj->ri", axes, along), -LONGEST_STEP, LONGEST_STEP)
    return steps


def _shape(height: Callable[[Floats, Ints], Floats], thetas: Floats, rows: Ints) -> tuple[Floats, Floats, Floats]:
    """The heights [rows], slopes [rows, d] and curvatures [rows, d, d] at `thetas`, from finite differences."""
    d = thetas.shape[-1]
    one = STENCIL_STEP * np.eye(d)
    i, j = np.triu_indices(d, 1)
    stencil = np.concatenate([np.zeros((1, d)), one, -one, one[i] + one[j], -one[i] - one[j]])
    values = height(thetas[:, None] + stencil, rows)
    middle, ahead, behind, both, neither = np.split(values, np.cumsum([1, d, d, len(i)]), axis=1)
    bends = np.empty((len(thetas), d, d))
    own = (ahead + behind - 2 * middle) / STENCIL_STEP**2
    bends[:, np.arange(d), np.arange(d)] = own
    mixed = (both + neither - 2 * middle) / STENCIL_STEP**2
    bends[:, i, j] = bends[:, j, i] = (mixed - own[:, i] - own[:, j]) / 2
    return middle[:, 0], (ahead - behind) / (2 * STENCIL_STEP), bends


def log_prior(family: Family, theta: Floats) -> Floats:
    """The log prior density of a law's parameters up to a constant; `theta` [..., parameters], the result [...].

    It is weak: it matters only where few problems have a success. Exponents of coverage are around .4, within a
    factor of 2.2 (one standard deviation); `b` spans two decades; few problem sets are mostly impossible.
    """
    total = np.zeros(theta.shape[:-1])
    for i, name in enumerate(family.parameters):
        if name in PRIORS:
            centre, spread = PRIORS[name]
            total -= ((theta[..., i] - np.log(centre)) / spread) ** 2 / 2
        elif name == "pi":
            total -= (PI_PRIOR - 1) * np.logaddexp(0, theta[..., i])
    return total


def power_law(data: Counts) -> tuple[float, float] | None:
    """(a, b) of coverage = exp(a k^b), a < 0 and b < 0, by least squares on the measured curve.

    The points share draws, so residuals do not estimate the error. `None` if a problem has under `POWER_LEAST` draws,
    no draw is correct or every draw is (Brown et al. 2024, arXiv 2407.21787).
    """
    if data.least < POWER_LEAST or not 0 < data.mean < 1:
        return None
    ks = log_grid(data.least)
    return power_law_of(ks, measured(data, ks))


def power_law_of(ks: Ints, coverage: Floats) -> tuple[float, float]:
    """The (a, b) fitted by least squares to the points of a curve; both arguments are [ks]."""
    log_k = np.log(ks)

    def height(thetas: Floats, rows: Ints) -> Floats:
        depth = np.exp(thetas[..., 0, None] - np.exp(thetas[..., 1, None]) * log_k)
        off = np.exp(-depth) - coverage
        heights: Floats = -(off * off).sum(axis=-1)
        return heights

    # Optimising the logarithms of -a and -b keeps both negative.
    ends = np.full(2, POWER_RANGE)
    found, _ = _ascend(height, np.log(-np.array([POWER_START])), -ends, ends, EXACT)
    log_a, log_b = found[0]
    return -float(np.exp(log_a)), -float(np.exp(log_b))


def curve_law(data: Counts, weights: Floats) -> Floats | None:
    """(a, b) of coverage = exp(a k^b), by least squares of log(-log coverage) on log k, [resamples, 2].

    `weights` of the pairs are [resamples, pairs]. The points are evenly spaced in log k from `CURVE_FIRST` on, because
    the law holds for large k only (arXiv 2601.22636). NaN for weights under which fewer than two points lie below 1;
    `None` if a problem has under `POWER_LEAST` draws.
    """
    if data.least < POWER_LEAST:
        return None
    ks = log_grid(data.least, first=CURVE_FIRST)
    coverage = weights @ pass_at_ks(data.n, data.c, ks.tolist()) / weights.sum(axis=1)[:, None]
    is_open = (coverage > 0) & (coverage < 1 - NEVER)
    y = np.log(-np.log(np.where(is_open, coverage, 0.5)))
    with np.errstate(invalid="ignore", divide="ignore"):
        w = is_open / is_open.sum(axis=1)[:, None]
        x = np.log(ks) - (w @ np.log(ks))[:, None]
        b = (w * x * y).sum(axis=1) / (w * x * x).sum(axis=1)
        middle = (w * y).sum(axis=1)
        a = -np.exp(middle - b * (w @ np.log(ks)))
    return np.stack([a, b], axis=1)


def power_misses(a: Floats, b: Floats, ks: Ints) -> Floats:
    """1 - exp(a k^b) for `a` and `b` of shape [...]; the result is [..., ks]."""
    share: Floats = -np.expm1(a[..., None] * np.asarray(ks, dtype=np.float64) ** b[..., None])
    return share
