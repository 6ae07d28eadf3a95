"""Advice on a model from a pilot: one draw, more draws, a bigger model, or nothing; and what each would cost.

Predictions are for problems like the pilot's. Intervals cover the choice of problems and the uncertainty of few draws
per problem; `bench/bench_advise.py` measures how often they contain the truth.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mull import spec
from mull.advice.choice import choose
from mull.advice.forecast import DEFAULT_NS, Forecast, forecasts, is_foretold
from mull.advice.options import BASE, Advice, Facts, Interval90, KnownModel, Option, PilotMeasured, Wish
from mull.advice.pilot import Floats, Pilot
from mull.advice.simulate import REPLICATES, RIGHT, Imagined, imagine
from mull.errors import UsageError
from mull.run.needs import selects_of
from mull.types import Cost, Selection

if TYPE_CHECKING:
    from mull.advice.pilots import Made

LEVEL = 0.90
SCORES = Selection.SCORES
GAIN_ERROR = 0.2
"""The relative error of a predicted gain by votes or scores, added to its interval; set by back-tests."""
DECADE = 10
"""Forecasts go up to this multiple of the pilot's draws per problem."""


def advise(
    pilots: Sequence[Pilot],
    wish: Wish | None = None,
    *,
    measured: Mapping[str, Sequence[PilotMeasured]] | None = None,
    given: Sequence[KnownModel] = (),
    ns: Sequence[int] = DEFAULT_NS,
    on: int | None = None,
    oracle: bool = False,
    seed: int = 0,
    replicates: int = REPLICATES,
) -> Advice:
    """What the first pilot's model should do, among all strategies, pilots and models given.

    `measured` holds, by the model's name, strategies that were run on a pilot's problems. `on`: intervals are for the
    accuracy on this many new problems, each asked once; by default for the accuracy in the long run. `oracle`: a
    checker that never errs is available. Fewer `replicates` are faster but make intervals coarser. Raises `UsageError`
    if a wish concerns an unknown quantity.
    """
    measured = measured or {}
    seen = [
        _foresee(pilot, measured.get(pilot.model, ()), ns, oracle=oracle, seed=seed, replicates=replicates)
        for pilot in pilots
    ]
    return _advice(seen, wish or Wish(), given, on, seed)


def advise_each(made: Sequence[Made], seed: int = 0) -> list[Advice]:
    """The advice for each pilot's model with the others as alternatives: `advise` with each of them as the first."""
    seen = [
        _foresee(one.pilot, one.measured, DEFAULT_NS, oracle=False, seed=seed, replicates=REPLICATES) for one in made
    ]
    return [_advice([seen[i], *seen[:i], *seen[i + 1 :]], Wish(), (), None, seed) for i in range(len(seen))]


class _Foreseen(NamedTuple):
    """A pilot's forecasts: the accuracy of each strategy in each replicate, its cost, and how they are known."""

    model: str
    strategies: list[tuple[str, Floats, Cost, str]]
    base: Floats
    facts: Facts


def _foresee(
    pilot: Pilot, ran: Sequence[PilotMeasured], ns: Sequence[int], *, oracle: bool, seed: int, replicates: int
) -> _Foreseen:
    reach = DECADE * pilot.draws // len(pilot.problems)
    within = [n for n in ns if n <= reach]
    imagined = imagine(pilot, max(within, default=1), seed, replicates)
    checker = pilot.has_checker
    found = forecasts(imagined, ns, votes=pilot.can_vote, checker=checker, oracle=oracle and not pilot.has_scores)
    foretold = {one.strategy for one in ran if one.yields and is_foretold(one.strategy, found)}
    means = {name: imagined.means(one.right) for name, one in found.items()}
    # Model error: in back-tests, predicted gains of votes and scores were this far off.
    tilt = 1 + GAIN_ERROR * np.random.default_rng(seed).standard_normal(replicates)
    for name, one in found.items():
        if not one.is_checked:
            means[name] = np.clip(means[BASE] + tilt * (means[name] - means[BASE]), 0.0, 1.0)
    facts = _facts(pilot, imagined, found, means)
    if checker:
        # If a checker decides which draws pass, drawing stops at a pass: choosing the best of n is never better.
        found = {name: one for name, one in found.items() if one.is_checked or selects_of(one.strategy) != SCORES}
    run = {one.strategy: one for one in ran if one.strategy not in foretold}
    strategies = [
        (name, means[name], _cost(pilot, imagined, one), _known_by(one, foretold, pilot))
        for name, one in found.items()
        if name not in run
    ]
    strategies += [(name, _measured(one, pilot, imagined, seed), one.cost, "measured") for name, one in run.items()]
    return _Foreseen(pilot.model, strategies, means[BASE], facts)


def _known_by(forecast: Forecast, ran: Collection[str], pilot: Pilot) -> str:
    """How an option is known that was not measured as it is: from draws that were made, or beyond them."""
    is_within = forecast.draws.max() <= min(n for n, _ in pilot.counts)
    is_run = spec.describe(spec.STRATEGIES, forecast.strategy) in ran
    return "estimated" if is_within or is_run else "predicted"


def _advice(seen: Sequence[_Foreseen], wish: Wish, given: Sequence[KnownModel], on: int | None, seed: int) -> Advice:
    """The advice for the first of these."""
    if not seen:
        raise UsageError("advice needs at least one pilot")
    base = seen[0].base
    options = [
        option(name, one.model, means, base, cost, known_by, on, seed, wish.accuracy)
        for one in seen
        for name, means, cost, known_by in one.strategies
    ]
    for known in given:
        values = np.full(len(base), known.accuracy)
        options.append(option(BASE, known.model, values, base, known.cost, "given", on, seed, wish.accuracy))
    return choose(options, seen[0].model, wish, seen[0].facts)


def option(
    name: str,
    model: str,
    means: Floats,
    base: Floats,
    cost: Cost,
    known_by: str,
    on: int | None,
    seed: int,
    target: float | None = None,
) -> Option:
    """An option, from its accuracy and that of one draw in each replicate; `target` is the accuracy wished for."""
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    seen, gain = means, means - base
    if on is not None:
        rng = np.random.default_rng(seed)
        seen = rng.binomial(on, np.clip(np.tile(means, 20), 0.0, 1.0)) / on
    low, high = (float(end) for end in np.clip(np.quantile(seen, tails), 0, 1))
    worse, better = (float(end) for end in np.quantile(gain, tails))
    return Option(
        name,
        model,
        float(np.clip(means.mean(), 0, 1)),
        Interval90(low, high),
        cost,
        known_by,
        float(gain.mean()),
        Interval90(worse, better),
        chance=None if target is None else float(np.mean(seen >= target)),
    )


def _cost(pilot: Pilot, imagined: Imagined, forecast: Forecast) -> Cost:
    """The mean cost of a strategy: each problem's first draw, the further draws, and scores if it needs them."""
    parts = {}
    needs_scores = pilot.has_scores and selects_of(forecast.strategy) == SCORES
    for part in (f.name for f in fields(Cost)):
        columns = [
            np.array([math.nan if (v := getattr(cost, part)) is None else v for cost in costs], dtype=np.float64)
            for costs in zip(*pilot.prices, strict=True)
        ]
        first, further, scoring = (column[imagined.problem] for column in columns)
        whole = first + (forecast.draws - 1) * further + (forecast.draws * scoring if needs_scores else 0.0)
        mean = float(imagined.means(whole).mean()) if not np.isnan(whole).any() else math.nan
        parts[part] = None if math.isnan(mean) else mean
    return Cost(**parts)  # type: ignore[arg-type]


def _measured(seen: PilotMeasured, pilot: Pilot, imagined: Imagined, seed: int) -> Floats:
    """The accuracy of a strategy that was run, in each replicate, with its problems weighted as the pilot's are."""
    right = np.array([math.nan if c is None else float(c) for c in seen.correct])
    graded = ~np.isnan(right)
    if len(right) != len(pilot.problems) or not graded.any():
        raise UsageError(f"{seen.strategy} was not graded on the problems of the pilot of {pilot.model}")
    known = right[graded]
    if np.all(known == known[0]):
        # If all outcomes are equal, resampling shows no variation; Jeffreys' interval does.
        rng = np.random.default_rng(seed)
        return rng.beta(known.sum() + 0.5, len(known) - known.sum() + 0.5, imagined.replicates)
    weights = imagined.weights[:, graded]
    means: Floats = weights @ known / weights.sum(axis=1)
    return means


def _facts(pilot: Pilot, imagined: Imagined, found: Mapping[str, Forecast], means: Mapping[str, Floats]) -> Facts:
    def best(how: Selection) -> float | None:
        values = [float(means[name].mean()) for name, one in found.items() if selects_of(one.strategy) == how]
        return max(values, default=None)

    solved = sum(c > 0 for _, c in pilot.counts) / len(pilot.problems)
    covered = float((imagined.answers == RIGHT).any(axis=1).mean())
    return Facts(
        len(pilot.problems),
        pilot.draws,
        float(means[BASE].mean()),
        imagined.draws,
        covered,
        solved,
        best(Selection.VOTES),
        best(SCORES),
        pilot.unscored if pilot.has_scores else 0,
    )
