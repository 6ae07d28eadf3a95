"""The default estimate of coverage beyond the measured draws: anchors the laws to the data and weights them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from mull.laws.counts import Counts, Floats, Ints
from mull.laws.families import BETA_BINOMIAL, LOGIT_NORMAL, ZERO_INFLATED
from mull.stats.estimators import chance_all_within

POWER_LAW = "exponentiated-power-law"

CLEAR_GAIN = 2.0
"""How much larger the logit-normal's log-likelihood must be before it is believed: four units of AIC, from where on
Burnham and Anderson 2002 call the support of the other law considerably less."""

INFLATED_PULL = 1.5
"""How fast the zero-inflated law takes over as its log-likelihood grows beyond the beta-binomial's."""


def anchored(data: Counts, weight: Floats, misses: Callable[[Ints], Floats], k: int) -> Floats:
    """Coverage at k of these problems under a law, shape [...]; at the n of all problems it is the measured one.

    What was solved stays solved, and a problem with n failures fails in k with the law's misses(k) / misses(n). Where
    a problem has k draws or more its own unbiased estimate stands. `weight` is [..., pairs], `misses` gives
    [..., ks].
    """
    left = np.zeros(np.broadcast_shapes(weight.shape, data.n.shape))
    known = data.n >= k
    left[..., known] = chance_all_within(data.n[known], data.n[known] - data.c[known], [k])[:, 0]
    open_ = ~known & (data.c == 0)
    if open_.any():
        sizes, where = np.unique(data.n[open_], return_inverse=True)
        shares = misses(np.append(sizes, k))
        here = shares[..., :-1]
        # If a law gives no probability to n failures, it gives none to more.
        left[..., open_] = (shares[..., -1:] / np.where(here > 0, here, 1.0))[..., where]
    solved: Floats = 1.0 - (weight * left).sum(axis=-1) / weight.sum(axis=-1)
    return solved


class Trust(NamedTuple):
    """Which laws may replace the middle one: those that pass the back-test of `optima.trust`."""

    normal: bool
    inflated: bool


def middle(values: Mapping[str, Floats]) -> Floats:
    """The middle of the two laws whose misses fall as a power of k, the exponentiated power law and the beta-binomial.

    Fitted one to the curve and one to the counts, they err to opposite sides. With too few draws for a power law the
    beta-binomial stands alone.
    """
    beta = values[BETA_BINOMIAL.name]
    return (beta + values[POWER_LAW]) / 2 if POWER_LAW in values else beta


def central(values: Mapping[str, Floats], logliks: Mapping[str, Floats], trusted: Trust) -> Floats:
    """The default estimate from each law's own, all of one shape [...].

    The middle one, unless both the counts and the back-test speak for another law. Problems that nothing solves then
    count by what they explain. The logit-normal, whose misses fall faster than any power, then stands alone where its
    likelihood is larger by `CLEAR_GAIN`. An average by likelihood alone would let laws decide the answer that a
    hundred draws cannot tell apart and that differ by 20 points two decades out.
    """
    beta, inflated, normal = BETA_BINOMIAL.name, ZERO_INFLATED.name, LOGIT_NORMAL.name
    said = middle(values)
    if trusted.inflated:
        gain = np.maximum(logliks[inflated] - logliks[beta], 0.0)
        said = said + (1.0 - np.exp(-INFLATED_PULL * gain)) * (values[inflated] - said)
    if trusted.normal:
        clear = logliks[normal] - np.maximum(logliks[beta], logliks[inflated]) > CLEAR_GAIN
        said = np.where(clear, values[normal], said)
    return said


def aic_weights(aics: Floats) -> Floats:
    """Akaike weights of fits to the same counts, shape [fits]."""
    relative: Floats = np.exp(-(aics - aics.min()) / 2)
    relative /= relative.sum()
    return relative
