"""Fits one law to one set of counts: by likelihood, with or without a prior, and by least squares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mull.laws.counts import Counts, Floats, Ints, log_grid, measured
from mull.laws.families import BOUNDS, Family, Likelihood, free

GRADIENT_STEP = 1e-5
EXACT, ROUGH = 1e-11, 1e-7
"""Relative tolerance of the optimiser for the data and for resamples, whose sampling noise is larger."""

PRIORS = {"a": (0.4, 0.8), "b": (7.0, 1.5)}
"""Centre, and standard deviation of the logarithm, of the log-normal priors of `log_prior`."""
PI_PRIOR = 4.0
"""The prior of `pi` is Beta(1, 4), with mean 1/5."""

POWER_START = (-2.0, -0.3)
POWER_LEAST = 4
"""The exponentiated power law needs this many draws a problem: three points of the curve for two parameters."""


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """The maximum of a family's likelihood: `theta` on the unbounded scales, shape [parameters]."""

    theta: Floats
    loglik: float


def maximise(family: Family, likelihood: Likelihood, *, is_held: bool = False) -> Optimum:
    """The maximum of the family's likelihood over several starting points, within the bounds of its parameters.

    With `is_held` it is the posterior mode under `log_prior`; `loglik` is the likelihood there.
    """
    data = likelihood.data
    found = [_climb(family, likelihood, start, data.weight, EXACT, is_held) for start in family.starts(data)]
    return max(found, key=lambda one: one[0])[1]


def again(family: Family, likelihood: Likelihood, start: Floats, weight: Floats, *, is_held: bool = False) -> Optimum:
    """The maximum near `start` for other weights of the pairs, such as a resample's; `weight` is [pairs]."""
    return _climb(family, likelihood, start, weight, ROUGH, is_held)[1]


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


def _climb(
    family: Family, likelihood: Likelihood, start: Floats, weight: Floats, tolerance: float, is_held: bool
) -> tuple[float, Optimum]:
    """The height of the maximum, and its position."""
    from scipy.optimize import minimize

    low, high = np.array([[free(name, end) for end in BOUNDS[name]] for name in family.parameters]).T
    steps = GRADIENT_STEP * np.eye(len(low))
    offsets = np.concatenate([np.zeros((1, len(low))), steps, -steps])

    def loss(theta: Floats) -> tuple[float, Floats]:
        values = -(family.log_chances(theta + offsets, likelihood) @ weight)
        if is_held:
            values -= log_prior(family, theta + offsets)
        ahead, behind = values[1 : 1 + len(steps)], values[1 + len(steps) :]
        return float(values[0]), (ahead - behind) / (2 * GRADIENT_STEP)

    bounds = list(zip(low, high, strict=True))
    options = {"ftol": tolerance}
    best = minimize(loss, np.clip(start, low, high), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    height = -float(best.fun)
    return height, Optimum(np.asarray(best.x), height - (float(log_prior(family, best.x)) if is_held else 0.0))


def power_law(data: Counts, start: tuple[float, float] = POWER_START) -> tuple[float, float] | None:
    """(a, b) of coverage = exp(a k^b), a < 0 and b < 0, by least squares on the measured curve.

    The points share draws, so residuals do not estimate the error. `None` if a problem has under `POWER_LEAST` draws,
    no draw is correct or every draw is (Brown et al. 2024, arXiv 2407.21787).
    """
    if data.least < POWER_LEAST or not 0 < data.mean < 1:
        return None
    ks = log_grid(data.least)
    return power_law_of(ks, measured(data, ks), start)


def power_law_of(ks: Ints, coverage: Floats, start: tuple[float, float] = POWER_START) -> tuple[float, float]:
    """The (a, b) fitted by least squares to the points of a curve; both arguments are [ks]."""
    from scipy.optimize import least_squares

    log_k = np.log(ks)

    def residuals(theta: Floats) -> Floats:
        off: Floats = np.exp(-np.exp(theta[0] - np.exp(theta[1]) * log_k)) - coverage
        return off

    def slopes(theta: Floats) -> Floats:
        depth = np.exp(theta[0] - np.exp(theta[1]) * log_k)
        by_depth = -depth * np.exp(-depth)
        return np.stack([by_depth, -by_depth * np.exp(theta[1]) * log_k], axis=1)

    # Optimising the logarithms of -a and -b keeps both negative.
    found = least_squares(residuals, np.log(-np.array(start)), jac=slopes, method="lm")
    log_a, log_b = found.x
    return -float(np.exp(log_a)), -float(np.exp(log_b))


def power_misses(a: Floats, b: Floats, ks: Ints) -> Floats:
    """1 - exp(a k^b) for `a` and `b` of shape [...]; the result is [..., ks]."""
    share: Floats = -np.expm1(a[..., None] * np.asarray(ks, dtype=np.float64) ** b[..., None])
    return share
