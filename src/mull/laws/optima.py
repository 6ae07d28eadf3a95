"""The laws behind the default estimate, fitted to the counts and to resamples of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from mull.laws.counts import Counts, Floats, measured, thinned
from mull.laws.estimate import CURVE_LAW, POWER_LAW, Trust, anchored, middle
from mull.laws.families import BETA_BINOMIAL, FAMILIES, LOGIT_NORMAL, ZERO_INFLATED, Family, Likelihood
from mull.laws.fitting import POWER_LEAST, again, curve_law, maximise, power_law, power_misses

CENTRAL: tuple[Family, ...] = (BETA_BINOMIAL, ZERO_INFLATED, LOGIT_NORMAL)
"""The families of the default estimate, besides the power law."""

KEPT = 4
"""A law is trusted if it predicts all draws from one in this many of them."""

PART = 50
"""Resamples that are fitted together."""

PROTOCOLS = {family.name: family for family in FAMILIES}


@dataclass(frozen=True, slots=True, eq=False)
class Optima:
    """The laws at one or many sets of weights [..., pairs]: `thetas` are [..., parameters], `logliks` [...].

    `powers` are laws exp(a k^b) by name, (a, b) of shape [..., 2].
    """

    weight: Floats
    thetas: Mapping[str, Floats]
    logliks: Mapping[str, Floats]
    powers: Mapping[str, Floats]

    def values(self, data: Counts, k: int) -> dict[str, Floats]:
        """Each law's coverage at k, anchored to the data; shape [...]."""
        misses = {name: partial(PROTOCOLS[name].misses, theta) for name, theta in self.thetas.items()}
        misses |= {name: partial(power_misses, law[..., 0], law[..., 1]) for name, law in self.powers.items()}
        return {name: anchored(data, self.weight, of, k) for name, of in misses.items()}


def likeliest(likelihood: Likelihood) -> Optima:
    """Every family by maximum likelihood, and the power laws."""
    found = _one(likelihood, FAMILIES)
    power = power_law(likelihood.data)
    return replace(found, powers=({} if power is None else {POWER_LAW: np.array(power)}) | dict(found.powers))


def held(likelihood: Likelihood) -> Optima:
    """The families of the estimate at their posterior modes, and the curve law."""
    return _one(likelihood, CENTRAL, is_held=True)


def held_again(likelihood: Likelihood, near: Optima, weights: Floats, tick: Callable[[], object]) -> Optima:
    """`held` for many weights [resamples, pairs], each search started at `near`; `tick` is called once for each."""
    parts: list[dict[str, tuple[Floats, Floats]]] = []
    for some in np.split(weights, range(PART, len(weights), PART)):
        parts.append({f.name: again(f, likelihood, near.thetas[f.name], some, is_held=True) for f in CENTRAL})
        for _ in some:
            tick()
    law = curve_law(likelihood.data, weights) if near.powers else None
    return Optima(
        weights,
        {f.name: np.concatenate([part[f.name][0] for part in parts]) for f in CENTRAL},
        {f.name: np.concatenate([part[f.name][1] for part in parts]) for f in CENTRAL},
        # A resample without a curve keeps the law of the data.
        {} if law is None else {CURVE_LAW: np.where(np.isnan(law), near.powers[CURVE_LAW], law)},
    )


def _one(likelihood: Likelihood, families: Iterable[Family], *, is_held: bool = False) -> Optima:
    optima = {family.name: maximise(family, likelihood, is_held=is_held) for family in families}
    data = likelihood.data
    law = curve_law(data, data.weight[None])
    return Optima(
        data.weight,
        {name: one.theta for name, one in optima.items()},
        {name: np.array(one.loglik) for name, one in optima.items()},
        {} if law is None or np.isnan(law).any() else {CURVE_LAW: law[0]},
    )


def trust(data: Counts) -> Trust:
    """Which laws predict all draws from a quarter of them better than the middle law does.

    The quarter is the expectation over all subsets, so the result is deterministic. If a quarter has too few draws for
    a curve, no law is trusted. The fits use no prior, which would favour one of the laws.
    """
    kept = data.least // KEPT
    if kept < POWER_LEAST:
        return Trust(False, False)
    fewer = thinned(data, kept)
    values = _one(Likelihood(fewer), CENTRAL).values(fewer, data.least)
    truth = measured(data, [data.least])[0]
    missed = abs(middle(values) - truth)
    return Trust(*(bool(abs(values[law.name] - truth) < missed) for law in (LOGIT_NORMAL, ZERO_INFLATED)))
