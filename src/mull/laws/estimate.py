"""The one estimate of coverage beyond the measured draws: how the laws are tied to the data and weighed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mull.estimators import chance_all_within
from mull.laws.counts import Counts, Floats, Ints
from mull.laws.families import BETA_BINOMIAL, LOGIT_NORMAL, ZERO_INFLATED

POWER_LAW = "exponentiated-power-law"

CLEAR_GAIN = 1.5
"""How much larger the logit-normal's log-likelihood must be before it is believed: 4.5 to one, three units of AIC."""


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
        left[..., open_] = (shares[..., -1:] / shares[..., :-1])[..., where]
    solved: Floats = 1.0 - (weight * left).sum(axis=-1) / weight.sum(axis=-1)
    return solved


def central(values: Mapping[str, Floats], logliks: Mapping[str, Floats]) -> Floats:
    """The default estimate from each law's own, all of one shape [...].

    The middle of the two laws whose misses fall as a power of k, the exponentiated power law and the beta-binomial:
    fitted one to the curve and one to the counts, they err to opposite sides. Problems that nothing solves count by
    what they explain, with a weight of one less the likelihood ratio. The logit-normal, whose misses fall faster than
    any power, stands alone where the likelihood clearly prefers it, and else not at all: averaged in where the
    counts cannot tell, it would decide the answer. Without a power law (too few draws) the beta-binomial stands alone.
    """
    beta, inflated, normal = BETA_BINOMIAL.name, ZERO_INFLATED.name, LOGIT_NORMAL.name
    power = (values[beta] + values[POWER_LAW]) / 2 if POWER_LAW in values else values[beta]
    gain = np.maximum(logliks[inflated] - logliks[beta], 0.0)
    heavy = power + (1.0 - np.exp(-gain)) * (values[inflated] - power)
    clear = logliks[normal] - np.maximum(logliks[beta], logliks[inflated]) > CLEAR_GAIN
    return np.where(clear, values[normal], heavy)


def aic_weights(aics: Floats) -> Floats:
    """Akaike weights of fits to the same counts, shape [fits]."""
    relative: Floats = np.exp(-(aics - aics.min()) / 2)
    relative /= relative.sum()
    return relative
