"""Distributions of the success rate over problems, and the counts and coverage that each implies.

A family maps unconstrained vectors `theta`, shape [..., parameters], to the probability of each count and of k draws
that all fail. The beta families have closed forms; the others are masses on a grid of log-odds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from mull.laws.counts import Counts, Floats, Ints

LOWEST, HIGHEST = -32.0, 16.0
"""The range of log-odds of the grid; mass outside of it counts in the outermost cells."""

WIDEST_STEP = 0.1
NEGLIGIBLE = 1e-22
"""Entries whose likelihood is this share of the largest of their row are dropped."""
SMALL = 500_000
"""The most entries of a matrix that is kept whole."""

TINY = float(np.finfo(np.float64).tiny)

BOUNDS = {
    "a": (1e-3, 1e3),
    "b": (1e-3, 1e5),
    "pi": (1e-4, 0.99),
    "mu": (-30.0, 15.0),
    "sigma": (0.02, 30.0),
    "scale": (1e-4, 1.0 - 1e-6),
}
"""The search range of each parameter. An estimate at an end of it is not determined by the counts."""

SHARES = ("pi", "scale")
"""Parameters between 0 and 1, optimised as log-odds; all others except `mu` are optimised as logarithms."""


class Likelihood:
    """The binomial likelihood of counts: log coefficients [pairs], and a matrix [pairs, cells] on the grid."""

    def __init__(self, data: Counts) -> None:
        from scipy.special import gammaln

        self.data = data
        n, c = data.n.astype(np.float64), data.c.astype(np.float64)
        self.log_choose: Floats = gammaln(n + 1) - gammaln(c + 1) - gammaln(n - c + 1)
        # A count's likelihood is at least 2 / sqrt(n) wide in log-odds: cells of that width sum it to nine digits.
        self.edges = edges(min(WIDEST_STEP, 1.6 / float(data.n.max()) ** 0.5))
        log_p, log_q = log_shares(self.edges)
        rows, tops = [], []
        for total, right in zip(n, c, strict=True):
            logs = right * log_p + (total - right) * log_q
            tops.append(float(logs.max()))
            rows.append(_Row.of(np.exp(logs - tops[-1])))
        self.matrix: Any = _matrix(rows, len(log_p))
        self.log_scale: Floats = np.array(tops) + self.log_choose

    def of_masses(self, masses: Floats) -> Floats:
        """The log probability of each pair, [..., pairs], for masses [..., cells] on the grid."""
        chances = (self.matrix @ masses.reshape(-1, masses.shape[-1]).T).T
        logs: Floats = np.log(np.maximum(chances, TINY)) + self.log_scale
        return logs.reshape(*masses.shape[:-1], -1)


class _Row(NamedTuple):
    """The entries of a row of the matrix that are not negligible, and their columns."""

    columns: Ints
    values: Floats

    @classmethod
    def of(cls, values: Floats) -> _Row:
        kept = np.nonzero(values > NEGLIGIBLE)[0]
        return cls(kept, values[kept])


def _matrix(rows: list[_Row], width: int) -> Any:
    """A matrix of these rows, sparse if it is large: importing sparse matrices takes longer than a small fit."""
    if len(rows) * width <= SMALL:
        dense = np.zeros((len(rows), width))
        for row, values in zip(dense, rows, strict=True):
            row[values.columns] = values.values
        return dense
    from scipy.sparse import csr_array

    ends = np.cumsum([0, *(len(row.columns) for row in rows)])
    cells = np.concatenate([row.values for row in rows]), np.concatenate([row.columns for row in rows]), ends
    return csr_array(cells, shape=(len(rows), width))


def edges(step: float) -> Floats:
    """The ends of the grid's cells, in log-odds."""
    return np.linspace(LOWEST, HIGHEST, round((HIGHEST - LOWEST) / step) + 1)


def log_shares(ends: Floats) -> tuple[Floats, Floats]:
    """log p and log (1 - p) in the middle of each cell."""
    middle = (ends[1:] + ends[:-1]) / 2
    return -np.logaddexp(0, -middle), -np.logaddexp(0, middle)


def free(parameter: str, value: float) -> float:
    """A parameter on its unbounded scale."""
    if parameter == "mu":
        return value
    return float(np.log(value / (1 - value)) if parameter in SHARES else np.log(value))


def natural(parameter: str, value: float) -> float:
    """The inverse of `free`."""
    if parameter == "mu":
        return float(value)
    return float(1 / (1 + np.exp(-value)) if parameter in SHARES else np.exp(value))


class Family(Protocol):
    """A distribution of success rates; `parameters` names the entries of `theta` in their order."""

    @property
    def name(self) -> str: ...
    @property
    def parameters(self) -> tuple[str, ...]: ...

    def log_chances(self, theta: Floats, likelihood: Likelihood) -> Floats:
        """The log probability of each pair's count, shape [..., pairs]."""

    def misses(self, theta: Floats, ks: Ints) -> Floats:
        """The chance that k draws on a random problem all fail, shape [..., ks]."""

    def starts(self, data: Counts) -> list[Floats]:
        """Starting points for maximising the likelihood."""


@dataclass(frozen=True, slots=True)
class BetaBinomial:
    """Beta(a, b) success rates; coverage 1 - B(a, b+k) / B(a, b) (Kazdan et al. 2025, arXiv 2510.05197)."""

    name: str = "beta-binomial"
    parameters: tuple[str, ...] = ("a", "b")

    def log_chances(self, theta: Floats, likelihood: Likelihood) -> Floats:
        from scipy.special import betaln

        a, b = np.exp(theta[..., 0, None]), np.exp(theta[..., 1, None])
        n, c = likelihood.data.n, likelihood.data.c
        logs: Floats = likelihood.log_choose + betaln(a + c, b + n - c) - betaln(a, b)
        return logs

    def misses(self, theta: Floats, ks: Ints) -> Floats:
        from scipy.special import betaln

        a, b = np.exp(theta[..., 0, None]), np.exp(theta[..., 1, None])
        share: Floats = np.exp(betaln(a, b + ks) - betaln(a, b))
        return share

    def starts(self, data: Counts) -> list[Floats]:
        mean = _central(data)
        return [np.log([mean * size, (1 - mean) * size]) for size in (0.5, 5.0, 50.0)]


@dataclass(frozen=True, slots=True)
class ZeroInflated:
    """Beta(a, b) success rates, except for a share `pi` of problems that no number of draws solves."""

    name: str = "zero-inflated-beta-binomial"
    parameters: tuple[str, ...] = ("a", "b", "pi")
    of: BetaBinomial = BetaBinomial()

    def log_chances(self, theta: Floats, likelihood: Likelihood) -> Floats:
        odds = theta[..., 2, None]
        log_pi, log_rest = -np.logaddexp(0, -odds), -np.logaddexp(0, odds)
        rest = self.of.log_chances(theta, likelihood) + log_rest
        return np.where(likelihood.data.c == 0, np.logaddexp(rest, log_pi), rest)

    def misses(self, theta: Floats, ks: Ints) -> Floats:
        pi = 1 / (1 + np.exp(-theta[..., 2, None]))
        share: Floats = pi + (1 - pi) * self.of.misses(theta, ks)
        return share

    def starts(self, data: Counts) -> list[Floats]:
        shares = (0.02, min(0.9, max(0.05, 0.7 * data.unsolved)))
        return [np.append(start, free("pi", pi)) for start in self.of.starts(data)[:2] for pi in shares]


@dataclass(frozen=True, slots=True)
class LogitNormal:
    """Normally distributed log-odds of success, mean `mu` and deviation `sigma`: a lighter left tail than any Beta."""

    name: str = "logit-normal"
    parameters: tuple[str, ...] = ("mu", "sigma")

    def log_chances(self, theta: Floats, likelihood: Likelihood) -> Floats:
        return likelihood.of_masses(self.masses(theta, likelihood.edges))

    def misses(self, theta: Floats, ks: Ints) -> Floats:
        return _misses(self.masses, theta, ks)

    def masses(self, theta: Floats, ends: Floats) -> Floats:
        from scipy.special import ndtr

        return _cells(ndtr((ends - theta[..., 0, None]) / np.exp(theta[..., 1, None])))

    def starts(self, data: Counts) -> list[Floats]:
        centre = free("pi", _central(data))
        return [np.array([centre - shift, np.log(spread)]) for shift, spread in ((0.5, 1.0), (2.0, 2.5), (4.0, 4.0))]


@dataclass(frozen=True, slots=True)
class ScaledKumaraswamy:
    """Kumaraswamy(a, b) success rates on (0, scale) (Schaeffer et al. 2025, arXiv 2502.17578)."""

    name: str = "scaled-kumaraswamy"
    parameters: tuple[str, ...] = ("a", "b", "scale")

    def log_chances(self, theta: Floats, likelihood: Likelihood) -> Floats:
        return likelihood.of_masses(self.masses(theta, likelihood.edges))

    def misses(self, theta: Floats, ks: Ints) -> Floats:
        return _misses(self.masses, theta, ks)

    def masses(self, theta: Floats, ends: Floats) -> Floats:
        a, b = np.exp(theta[..., 0, None]), np.exp(theta[..., 1, None])
        log_scale = -np.logaddexp(0, -theta[..., 2, None])
        log_x = np.minimum(-np.logaddexp(0, -ends) - log_scale, 0.0)
        above = np.maximum(-np.expm1(a * log_x), TINY)
        return _cells(-np.expm1(b * np.log(above)))

    def starts(self, data: Counts) -> list[Floats]:
        highest = min(0.999, max(1e-3, float((data.c / data.n).max()) * 1.05))
        shapes = [(np.log(a), np.log(b)) for a, b in ((0.3, 1.0), (0.5, 3.0))]
        return [np.array([*shape, free("scale", scale)]) for shape in shapes for scale in (highest, 0.99)]


def _central(data: Counts) -> float:
    """The share of correct draws, clipped away from 0 and 1."""
    return float((data.weight @ data.c + 0.5) / (data.draws + 1))


def _cells(cumulative: Floats) -> Floats:
    """The mass of each cell, as if it lay at the centre; mass beyond the grid goes to the outermost cells."""
    cumulative[..., 0], cumulative[..., -1] = 0.0, 1.0
    return np.diff(cumulative)


def _misses(masses: Callable[[Floats, Floats], Floats], theta: Floats, ks: Ints) -> Floats:
    ends = edges(WIDEST_STEP / 2)
    _, log_q = log_shares(ends)
    share: Floats = masses(theta, ends) @ np.exp(np.outer(log_q, ks))
    return share


BETA_BINOMIAL = BetaBinomial()
ZERO_INFLATED = ZeroInflated()
LOGIT_NORMAL = LogitNormal()
KUMARASWAMY = ScaledKumaraswamy()
FAMILIES: tuple[Family, ...] = (BETA_BINOMIAL, ZERO_INFLATED, LOGIT_NORMAL, KUMARASWAMY)
