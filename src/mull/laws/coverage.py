"""Coverage laws of a problem set: fits of every family, predictions with bands, and flags for their limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mull.errors import UsageError
from mull.laws.counts import Counts, Floats, counts, measured, measured_each
from mull.laws.estimate import POWER_LAW, Trust, aic_weights, central
from mull.laws.families import BETA_BINOMIAL, BOUNDS, LOGIT_NORMAL, ZERO_INFLATED, Likelihood, free, natural
from mull.laws.limits import HARMLESS, Band, Flag, bound, lawless, least_solved
from mull.laws.optima import PROTOCOLS, Optima, held, held_again, likeliest, trust
from mull.stats.estimators import bootstrap_t

N_RESAMPLES = 200
DECADE = 10
"""Beyond this multiple of the measured draws a prediction is flagged as far."""

FARTHEST = 10**9
"""The most draws that are looked at for a coverage to reach."""

UNSUPPORTED = 10.0
"""Families whose AIC exceeds the smallest AIC by more than this do not count in the range over families."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted law. The power law (`a`, `b` of exp(a k^b), both negative) has no likelihood: `None` in its fields."""

    family: str
    params: Mapping[str, float]
    loglik: float | None = None
    aic: float | None = None
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """Coverage at k draws. If k exceeds the measured draws, they count as the first of the k.

    `value` is `None` if no law can be fitted. `sampling` is the bootstrap interval over problems, `models` the range
    over families with support, `band` covers both. Where k was measured, `value` is the unbiased estimate and `models`
    is `None`.
    """

    k: int
    value: float | None
    band: Band
    sampling: Band | None
    models: Band | None
    families: Mapping[str, float] = field(default_factory=dict)
    aic_average: float | None = None


class Reach(NamedTuple):
    """The draws per problem at which coverage reaches a target: by the value, and by the ends of the band.

    `None`: not within `FARTHEST` draws.
    """

    target: float
    draws: int | None
    at_best: int | None
    at_worst: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """Coverage laws fitted to counts. `fits` is empty if no law can be fitted; `flags` says why."""

    data: Counts
    fits: tuple[Fit, ...]
    reason: Flag | None
    _best: Optima | None
    _held: Optima | None
    _trusted: Trust
    _resampled: Optima | None
    _weights: Floats

    @property
    def reach(self) -> int:
        """The measured range: the fewest draws of any unsolved problem, or of any problem if all are solved."""
        unsolved = self.data.n[self.data.c == 0]
        return int(unsolved.min()) if len(unsolved) else self.data.least

    def predict(self, k: int) -> Prediction:
        """Coverage at k draws. Raises `UsageError` if k is below 1."""
        if k < 1:
            raise UsageError(f"coverage is predicted for at least 1 draw, not {k}")
        if self.reason is not None:
            return self._bounded(k, self.reason)
        if k <= self.data.least:
            value, sampling = float(measured(self.data, k)[0]), self._sampling(k)
            return Prediction(k, value, sampling or Band(0.0, 1.0), sampling, None)
        assert self._best is not None, "counts without a reason have fits"
        assert self._held is not None, "counts without a reason have fits"
        values = self._best.values(self.data, k)
        value = float(central(self._held.values(self.data, k), self._held.logliks, self._trusted))
        sampling = self._sampling(k)
        models = self._range(values, value)
        ends = [band for band in (sampling, models) if band is not None]
        return Prediction(
            k,
            value,
            Band(min(band.low for band in ends), max(band.high for band in ends)),
            sampling,
            models,
            {name: float(said) for name, said in values.items()},
            sum(fit.weight * float(values[fit.family]) for fit in self.fits if fit.weight is not None),
        )

    def curve(self, ks: Iterable[int]) -> list[Prediction]:
        """`predict` at each k."""
        return [self.predict(k) for k in ks]

    def reach_of(self, target: float) -> Reach:
        """The fewest draws per problem with which coverage reaches `target`.

        Raises `UsageError` unless `target` is above 0 and below 1.
        """
        if not 0 < target < 1:
            raise UsageError(f"coverage to reach is a share above 0 and below 1, not {target:g}")
        seen: dict[int, Prediction] = {}

        def at(k: int) -> Prediction:
            if k not in seen:
                seen[k] = self.predict(k)
            return seen[k]

        def first(share: Callable[[Prediction], float | None]) -> int | None:
            """The smallest k with at least the target, by bisection, since all of them rise with k."""
            if (share(at(FARTHEST)) or 0.0) < target:
                return None
            low, high = 0, FARTHEST
            while high - low > 1:
                middle = max(low + 1, min(high - 1, round((max(low, 1) * high) ** 0.5)))
                low, high = (low, middle) if (share(at(middle)) or 0.0) >= target else (middle, high)
            return high

        return Reach(target, first(lambda p: p.value), first(lambda p: p.band.high), first(lambda p: p.band.low))

    def chance_of(self, target: float, k: int) -> float | None:
        """The share of resampled problem sets whose coverage at k is at least `target`; `None` without resamples."""
        if not len(self._weights) or self.reason is not None:
            return None
        return float(np.mean(self._resampled_at(k) >= target))

    def flags(self, k: int) -> tuple[Flag, ...]:
        """Flags that limit the prediction at k, the most serious first."""
        data, found = self.data, []
        if self.reason is not None:
            found.append(self.reason)
        if self._best is not None:
            params = {fit.family: fit.params for fit in self.fits}
            beta, inflated = params[BETA_BINOMIAL.name], params[ZERO_INFLATED.name]
            values = self._best.values(data, k)
            checks = {
                Flag.DISAGREE: abs(float(values[BETA_BINOMIAL.name] - values[LOGIT_NORMAL.name])) > 0.05,
                Flag.MOSTLY_UNSOLVED: data.unsolved > 0.6,
                Flag.MOSTLY_IMPOSSIBLE: inflated["pi"] > 0.5,
                Flag.AT_BOUND: any(_at_bound(name, value) for name, value in beta.items()),
                Flag.SATURATED: data.unsolved == 0,
                Flag.NO_POWER_LAW: POWER_LAW not in self._best.powers,
            }
            found += [flag for flag, holds in checks.items() if holds]
        if self.reason is None and k > DECADE * self.reach:
            found.append(Flag.FAR)
        if data.least < data.n.max():
            found.append(Flag.UNEQUAL)
        return tuple(found)

    def is_identified(self, k: int) -> bool:
        """Whether the counts determine coverage at k: no serious flag is set."""
        return HARMLESS.issuperset(self.flags(k))

    def _bounded(self, k: int, reason: Flag) -> Prediction:
        band = bound(self.data, reason, k)
        value = 1.0 if reason is Flag.ALL_RIGHT else None
        if k <= self.data.least:
            value = float(measured(self.data, k)[0])
        return Prediction(k, value, band, None, None)

    def _sampling(self, k: int) -> Band | None:
        """The bootstrap interval over problems: bootstrap-t of what was measured, carried on by the laws beyond it.

        Beyond the measured draws coverage leaves out the share at the last of them times what the further draws leave
        out. Percentiles of the resampled laws give that product; its first factor is widened to what bootstrap-t gives
        it, so that the interval does not narrow where the data end. `None` without resamples.
        """
        if not len(self._weights):
            return None
        last = min(k, self.data.least)
        each = measured_each(self.data, last)[:, None]
        band = Band(*bootstrap_t(each, self._weights, self.data.weight, (0.0, 1.0))[0].tolist())
        if k <= self.data.least:
            return band
        drawn = self._resampled_at(k)
        ends, at_last = _percentiles(drawn), _percentiles(self._weights @ each[:, 0] / self._weights.sum(axis=1))
        low, high = (
            1 - (1 - end) * (1 - wide) / (1 - narrow) if narrow < 1 else end
            for end, wide, narrow in zip(ends, band, at_last, strict=True)
        )
        if self.data.unsolved == 0:  # then every problem is solved in every resample too
            low = min(low, least_solved(self.data.problems))
        return Band(low, high)

    def _resampled_at(self, k: int) -> Floats:
        """Coverage at k of each resample, [resamples]."""
        if k <= self.data.least:
            shares: Floats = self._weights @ measured_each(self.data, k) / self._weights.sum(axis=1)
            return shares
        assert self._resampled is not None, "counts without a reason have resamples"
        return central(self._resampled.values(self.data, k), self._resampled.logliks, self._trusted)

    def _range(self, values: Mapping[str, Floats], value: float) -> Band:
        aics = {fit.family: fit.aic for fit in self.fits if fit.aic is not None}
        least = min(aics.values())
        said = [float(v) for name, v in values.items() if aics.get(name, least) - least <= UNSUPPORTED]
        return Band(min(*said, value), max(*said, value))


def fit(
    n: ArrayLike,
    c: ArrayLike,
    *,
    resamples: int = N_RESAMPLES,
    seed: int = 0,
    tick: Callable[[], object] = lambda: None,
) -> Law:
    """Fits every law to the draws `n` and correct draws `c` of each problem, shape [problems].

    `tick` is called after each of the `resamples`. With `resamples=0` there is no sampling interval, and bands show
    only the range over families. Raises `UsageError` for invalid counts.
    """
    data = counts(n, c)
    weights = _resampled_weights(data, resamples, seed)
    reason = lawless(data)
    if reason is not None:
        return Law(data, (), reason, None, None, Trust(False, False), None, weights)
    likelihood = Likelihood(data)
    best, middle = likeliest(likelihood), held(likelihood)
    resampled = held_again(likelihood, middle, weights, tick) if resamples else None
    return Law(data, _fits(best), None, best, middle, trust(data), resampled, weights)


def estimate(n: ArrayLike, c: ArrayLike, k: int) -> float | None:
    """The default estimate of coverage at any k, without bands; `None` if no law can be fitted."""
    data = counts(n, c)
    if lawless(data) is not None:
        return None
    found = held(Likelihood(data))
    return float(central(found.values(data, k), found.logliks, trust(data)))


def _resampled_weights(data: Counts, resamples: int, seed: int) -> Floats:
    """How often each pair is drawn when problems are drawn with replacement, shape [resamples, pairs].

    Resamples in which no draw is correct, or every draw, do not identify a law: they are drawn again.
    """
    rng = np.random.default_rng(seed)
    is_lawful = lawless(data) is None
    rows: list[Floats] = []
    while len(rows) < resamples:
        row = rng.multinomial(data.problems, data.weight / data.weight.sum()).astype(np.float64)
        right = row @ data.c
        if not is_lawful or 0 < right < row @ data.n:
            rows.append(row)
    return np.array(rows).reshape(resamples, len(data.n))


def _percentiles(drawn: Floats) -> tuple[float, float]:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def _fits(best: Optima) -> tuple[Fit, ...]:
    aics = np.array([2 * len(best.thetas[name]) - 2 * float(loglik) for name, loglik in best.logliks.items()])
    fits = [
        Fit(
            name,
            {p: natural(p, x) for p, x in zip(PROTOCOLS[name].parameters, best.thetas[name], strict=True)},
            float(loglik),
            float(aic),
            float(weight),
        )
        for (name, loglik), aic, weight in zip(best.logliks.items(), aics, aic_weights(aics), strict=True)
    ]
    fits += [Fit(name, {"a": float(law[0]), "b": float(law[1])}) for name, law in best.powers.items()]
    return tuple(fits)


def _at_bound(name: str, value: float) -> bool:
    return min(abs(free(name, value) - free(name, end)) for end in BOUNDS[name]) < 1e-3
