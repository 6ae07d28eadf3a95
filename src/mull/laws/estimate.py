"""The default estimate of coverage beyond the measured draws: anchors the laws to the data and weights them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from mull.laws.counts import Counts, Floats, Ints
from mull.laws.families import BETA_BINOMIAL, LOGIT_NORMAL, ZERO_INFLATED
from mull.stats.estimators import chance_all_within

POWER_LAW, CURVE_LAW = "exponentiated-power-law", "weighted-curve"

CURVE_SHARE = 2 / 3
"""The weight of the curve law in the middle one."""

CLEAR_GAIN = 3.0
"""The logit-normal replaces the other laws only if its log-likelihood is larger by this: six units of AIC, within the
four to seven at which Burnham and Anderson (2002) call the support of the other law considerably less."""

INFLATED_PULL = 1.5
"""How fast the zero-inflated law gains weight as its log-likelihood grows beyond the beta-binomial's."""


def anchored(data: Counts, weight: Floats, misses: Callable[[Ints], Floats], k: int) -> Floats:
    """Coverage of these problems at k under a law, shape [...]; at the n of all problems it equals the measured value.

    A solved problem stays solved, and a problem with n failures fails k times with probability misses(k) / misses(n).
    A problem with k draws or more keeps its own unbiased estimate. `weight` is [..., pairs], `misses` returns
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
    """The laws that pass the back-test of `optima.trust`, and so may replace the middle one."""

    normal: bool
    inflated: bool


def middle(values: Mapping[str, Floats]) -> Floats:
    """The mean of the curve law, counted twice, and the beta-binomial: laws whose misses fall as a power of k.

    One is fitted to the curve and one to the counts. Without a curve law it is the beta-binomial alone.
    """
    beta = values[BETA_BINOMIAL.name]
    return beta + CURVE_SHARE * (values[CURVE_LAW] - beta) if CURVE_LAW in values else beta


def central(values: Mapping[str, Floats], logliks: Mapping[str, Floats], trusted: Trust) -> Floats:
    """The default estimate from the estimates of each law, all of shape [...].

    It is the middle one, unless both the likelihood and the back-test favour another law. The zero-inflated law is
    mixed in by how much likelihood it gains. The logit-normal, whose misses fall faster than any power, replaces the
    others where its log-likelihood is larger by `CLEAR_GAIN`. Averaging by likelihood alone would leave the answer to
    laws that a hundred draws cannot tell apart and that differ by 20 points two decades out.
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
