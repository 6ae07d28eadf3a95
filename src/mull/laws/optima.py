"""The laws behind the default estimate, fitted to the counts and to resamples of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from mull.laws.counts import Counts, Floats, measured, thinned
from mull.laws.estimate import POWER_LAW, Trust, anchored, middle
from mull.laws.families import BETA_BINOMIAL, FAMILIES, LOGIT_NORMAL, ZERO_INFLATED, Family, Likelihood
from mull.laws.fitting import POWER_LEAST, Optimum, again, maximise, power_law, power_misses

CENTRAL: tuple[Family, ...] = (BETA_BINOMIAL, ZERO_INFLATED, LOGIT_NORMAL)
"""The families of the default estimate, besides the power law."""

KEPT = 4
"""A law is trusted if it predicts all draws from one in this many of them."""

PROTOCOLS = {family.name: family for family in FAMILIES}


@dataclass(frozen=True, slots=True, eq=False)
class Optima:
    """The laws at one or many sets of weights [..., pairs]: `thetas` are [..., parameters], `logliks` [...]."""

    weight: Floats
    thetas: Mapping[str, Floats]
    logliks: Mapping[str, Floats]
    power: Floats | None

    def values(self, data: Counts, k: int) -> dict[str, Floats]:
        """Each law's coverage at k, anchored to the data; shape [...]."""
        said = {
            name: anchored(data, self.weight, lambda ks, n=name, t=theta: PROTOCOLS[n].misses(t, ks), k)  # type: ignore[misc]
            for name, theta in self.thetas.items()
        }
        if (power := self.power) is not None:
            said[POWER_LAW] = anchored(data, self.weight, lambda ks: power_misses(power[..., 0], power[..., 1], ks), k)
        return said


def likeliest(likelihood: Likelihood, families: Iterable[Family] = FAMILIES) -> Optima:
    """Families by maximum likelihood, and the power law."""
    return _one(likelihood, {family.name: maximise(family, likelihood) for family in families})


def held(likelihood: Likelihood) -> Optima:
    """The families of the estimate at their posterior modes, and the power law."""
    return _one(likelihood, {family.name: maximise(family, likelihood, is_held=True) for family in CENTRAL})


def held_again(likelihood: Likelihood, near: Optima, weights: Iterable[Floats], tick: Callable[[], object]) -> Optima:
    """`held` for each of many weights, each search started at `near`; `tick` is called after each."""
    weights = list(weights)
    data, rows, powers = likelihood.data, [], []
    for weight in weights:
        rows.append({f.name: again(f, likelihood, near.thetas[f.name], weight, is_held=True) for f in CENTRAL})
        if near.power is not None:
            start = (float(near.power[0]), float(near.power[1]))
            powers.append(power_law(data.reweighted(weight), start) or start)
        tick()
    return Optima(
        np.array(weights),
        {f.name: np.array([row[f.name].theta for row in rows]) for f in CENTRAL},
        {f.name: np.array([row[f.name].loglik for row in rows]) for f in CENTRAL},
        np.array(powers) if powers else None,
    )


def _one(likelihood: Likelihood, optima: Mapping[str, Optimum]) -> Optima:
    power = power_law(likelihood.data)
    return Optima(
        likelihood.data.weight,
        {name: one.theta for name, one in optima.items()},
        {name: np.array(one.loglik) for name, one in optima.items()},
        None if power is None else np.array(power),
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
    values = likeliest(Likelihood(fewer), CENTRAL).values(fewer, data.least)
    truth = measured(data, [data.least])[0]
    missed = abs(middle(values) - truth)
    return Trust(*(bool(abs(values[law.name] - truth) < missed) for law in (LOGIT_NORMAL, ZERO_INFLATED)))
