"""Simultaneous bands for means over problems at several k: all of them hold together, with one level for the whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mull.stats.estimators import Floats, none_in, studentised
from mull.stats.intervals import DIFFERENCE, grouped, in_order

LEVEL = 0.05
TOWARDS_EVEN = 1 / 8
"""How far the two tails of a band are moved towards equal ones: in simulated studies tails apart hold less than 93 % of
some differences, and equal ones more than 97 % of others."""
FEWEST = 10
"""If fewer problems than this carry a column's mean, resamples of them do not tell what others would be like."""


@dataclass(frozen=True, slots=True)
class CurveDifference:
    """The difference a - b of two curves: at each k its value and the ends of its simultaneous 95 % band.

    `better` are the k at which the whole band is above 0, `worse` those at which it is below: with a chance of 95 % all
    of these statements are true together. `problems` is the number of problems that both have.
    """

    a: str
    b: str
    ks: tuple[int, ...]
    difference: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    problems: int

    @property
    def better(self) -> tuple[int, ...]:
        return tuple(k for k, low in zip(self.ks, self.low, strict=True) if low > 0)

    @property
    def worse(self) -> tuple[int, ...]:
        return tuple(k for k, high in zip(self.ks, self.high, strict=True) if high < 0)

    @property
    def is_open(self) -> bool:
        """Whether neither is shown to be better at any k."""
        return not self.better and not self.worse


def band(values: Floats, bounds: tuple[float, float], seed: int = 0, level: float = LEVEL) -> Floats:
    """The ends of a simultaneous band of the column means, [columns, 2]; `values` are [problems, columns].

    A bootstrap of the largest studentised deviation of any column, sup-t (Montiel Olea and Plagborg-Moller 2019), with
    its lower and upper tail apart, since differences are skewed, but moved towards equal ones (`TOWARDS_EVEN`). The
    ends stay within `bounds`. A column that is zero on all problems but a few (`FEWEST`) has at least the width that
    `estimators.none_in` allows, since so many problems of a kind that was not seen may exist.
    """
    values = in_order(values)
    n = len(values)
    rows, weight, drawn = grouped(values, seed)
    found = studentised(rows, drawn, weight)
    other = none_in(n, 1 - level) * np.stack([found.mean - bounds[0], bounds[1] - found.mean], axis=1)
    unseen = found.mean[:, None] + np.array([-1.0, 1.0]) * other
    ends = unseen.copy()
    if found.varies.any():
        deviations = found.drawn[:, found.varies]
        top = np.quantile(deviations.max(axis=1), 1 - level / 2)
        bottom = np.quantile(deviations.min(axis=1), level / 2)
        either = np.quantile(abs(deviations).max(axis=1), 1 - level)
        top, bottom = top + (either - top) * TOWARDS_EVEN, bottom - (either + bottom) * TOWARDS_EVEN
        mean, error = found.mean[found.varies], found.error[found.varies]
        ends[found.varies] = np.stack([mean - top * error, mean - bottom * error], axis=1)
    carrying = np.abs(values).sum(axis=0) ** 2 / np.maximum((values**2).sum(axis=0), 1e-300)
    is_rare = (carrying < FEWEST) & found.varies
    ends[is_rare, 0] = np.minimum(ends[is_rare, 0], unseen[is_rare, 0])
    ends[is_rare, 1] = np.maximum(ends[is_rare, 1], unseen[is_rare, 1])
    return np.clip(ends, *bounds)


def compare_curves(a: str, b: str, ks: list[int], a_values: Floats, b_values: Floats, seed: int = 0) -> CurveDifference:
    """The difference of two curves over the same problems; both values are [problems, ks], from 0 to 1."""
    differences = a_values - b_values
    ends = band(differences, DIFFERENCE, seed)
    return CurveDifference(
        a,
        b,
        tuple(ks),
        tuple(differences.mean(axis=0).tolist()),
        tuple(ends[:, 0].tolist()),
        tuple(ends[:, 1].tolist()),
        len(differences),
    )
