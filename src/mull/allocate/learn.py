"""Learns a policy from a sweep: difficulty, bins and their options; evaluates it by two-fold cross-validation."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mull import spec
from mull.allocate.difficulty import Calibration, Look, bin_of, features
from mull.allocate.difficulty_fit import calibration, edges, fit, logistic, ordinal_bins
from mull.allocate.policy import STOP, UNITS, Bin, BinOption, BinPlan, Evidence, Origin, Policy, Step, greedy, hull
from mull.cost import PRICED_BY
from mull.errors import UsageError
from mull.files.recording import Recording
from mull.run.needs import reuses, selects_of
from mull.types import Cost, Selection

Floats = NDArray[np.float64]

WORTH = 0.01
"""Minimum gain in accuracy over a cheaper option; options with less are dropped."""
LEAST_IN_BIN = 8
"""Minimum number of problems per bin in each of the two folds."""
PILOTS = (0, 1, 2, 4)
"""Candidate numbers of pilot draws."""
N_BUDGETS = 8
"""Number of budgets in the evidence."""


@dataclass(frozen=True, slots=True)
class _OptionTable:
    """Problems by options; the first option stops after the pilot draws, if there are any.

    `costs` include the pilot draws, `alone` is each strategy's own cost, `all_costs` is `costs` in every unit.
    """

    names: list[str]
    has_look: bool
    correct: Floats
    costs: Floats
    alone: Floats
    all_costs: Mapping[str, Floats]
    shares: Floats
    """Right draws among those after the pilot draws."""
    seen: list[dict[str, float | None]]

    @property
    def options(self) -> list[int]:
        return list(range(0 if self.has_look else 1, len(self.names)))


def learn(
    lessons: Sequence[Recording],
    origin: Origin,
    *,
    pilot: int | None = None,
    bins: int = 5,
    unit: str = "tokens",
    seed: int = 0,
) -> Policy:
    """Learns the best policy from a sweep, with evidence from two-fold cross-validation.

    `pilot` is the number of pilot draws; by default cross-validation chooses it among `PILOTS`. `bins` are of equal
    size by predicted pass@1. Raises `UsageError` if the sweep is too small or has no costs in `unit`.
    """
    names = [name for name in lessons[0].results if all(name in one.results for one in lessons)] if lessons else []
    _check(lessons, names, pilot or 0, bins, unit)
    pilots = [k for k in PILOTS if all(len(one.samples) > k for one in lessons)] if pilot is None else [pilot]
    tried = [(_table(lessons, names, k, unit), k) for k in pilots]
    order = np.random.default_rng(seed).permutation(len(lessons))
    halves = np.sort(order[::2]), np.sort(order[1::2])
    found = []
    for table, k in tried:
        folds = [(_learned(table, here, origin, k, bins, unit), here, there) for here, there in (halves, halves[::-1])]
        found.append((table, k, folds))
    # Compares all at budgets that each of them can afford.
    least = max(policy.plans[0].cost for _, _, folds in found for policy, _, _ in folds)
    most = max(float(table.alone.mean(axis=0).max()) for table, _, _ in found)
    budgets = [float(b) for b in np.geomspace(least, max(least, most), N_BUDGETS)]
    told = [_evidence(table, folds, budgets) for table, _, folds in found]
    best = max(range(len(found)), key=lambda i: sum(row.accuracy for row in told[i]))
    table, k, folds = found[best]
    policy = _learned(table, np.arange(len(lessons)), origin, k, bins, unit)
    return replace(policy, calibration=_calibration(table, folds), evidence=tuple(told[best]))


def _check(lessons: Sequence[Recording], names: Sequence[str], pilot: int, bins: int, unit: str) -> None:
    if pilot < 0 or bins < 1:
        raise UsageError(f"a policy needs at least 0 pilot draws and at least one bin, not {pilot} and {bins}")
    if unit not in UNITS:
        raise UsageError(f"a policy is priced in {', '.join(UNITS)}, not {unit!r}")
    least = 2 * bins * LEAST_IN_BIN
    if len(lessons) < least:
        raise UsageError(
            f"{len(lessons)} problems are too few to learn a policy from: {bins} bins of {LEAST_IN_BIN} problems in "
            f"each of two folds need {least}; sweep more problems or take fewer bins"
        )
    short = [lesson for lesson in lessons if len(lesson.samples) <= pilot]
    if short:
        raise UsageError(
            f"{len(short)} problems have at most {pilot} draws, but {pilot} are pilot draws and the draws after them "
            "measure difficulty; add a strategy such as majority:n=16 to the sweep"
        )
    for name in names:
        unknown = sum(_spent(lesson.results[name].cost, unit) is None for lesson in lessons)
        if unknown:
            needed = PRICED_BY.get(unit)
            remedy = f"give {needed} of the model in mull.toml and sweep again, or " if needed else ""
            raise UsageError(
                f"the sweep does not record the cost of {name} in {unit} on {unknown} of {len(lessons)} problems: "
                f"{remedy}take another --unit"
            )


def _table(lessons: Sequence[Recording], names: Sequence[str], pilot: int, unit: str) -> _OptionTable:
    all_costs = {}
    for part in UNITS:
        rows = [[_look_cost(one, pilot, part), *(_cost(one, name, pilot, part) for name in names)] for one in lessons]
        all_costs[part] = np.array(rows)
    right = [[_elected(one, pilot), *(one.results[name].correct is True for name in names)] for one in lessons]
    shares = np.array([np.mean(one.correct[pilot:]) for one in lessons])
    seen = [features(one.prompt or "", looks(one, pilot)) for one in lessons]
    costs = [[_spent(one.results[name].cost, unit) for name in names] for one in lessons]
    alone = [[_look_cost(one, pilot, unit), *row] for one, row in zip(lessons, costs, strict=True)]
    correct = np.array(right, dtype=np.float64)
    return _OptionTable([STOP, *names], pilot > 0, correct, all_costs[unit], np.array(alone), all_costs, shares, seen)


def looks(lesson: Recording, n: int) -> list[Look]:
    """The observations of the first n draws of a problem."""
    return [
        Look(answer, sample.score, sample.output_tokens, sample.logprob)
        for answer, sample in zip(lesson.answers[:n], lesson.samples, strict=False)
    ]


def _spent(cost: Cost, unit: str) -> float | None:
    """A cost in one of `UNITS`; `None` is unknown."""
    return {"tokens": cost.tokens, "flops": cost.flops, "usd": cost.usd}[unit]


def _look_cost(lesson: Recording, pilot: int, unit: str) -> float:
    """The cost of the pilot draws with their scores, from the most expensive strategy that made exactly these draws."""
    same = [result.cost for result in lesson.results.values() if result.draws == lesson.n and lesson.n]
    dearest = max(same, key=lambda cost: cost.tokens or 0, default=None)
    spent = None if dearest is None else _spent(dearest, unit)
    return math.nan if spent is None else pilot * (spent / lesson.n)


def _cost(lesson: Recording, name: str, pilot: int, unit: str) -> float:
    """A strategy's cost including the pilot draws, which are either its own first draws or an addition."""
    own, look = _spent(lesson.results[name].cost, unit), _look_cost(lesson, pilot, unit)
    if own is None:
        return math.nan
    is_scored = any(score is not None for score in lesson.scores)
    return max(own, look) if includes_look(name, is_scored=is_scored) else own + look


def includes_look(name: str, *, is_scored: bool) -> bool:
    """Whether a strategy begins with the pilot draws, and scores them if they were scored."""
    strategy = spec.named(name)
    return reuses(strategy) and (not is_scored or selects_of(strategy) == Selection.SCORES)


def _elected(lesson: Recording, pilot: int) -> bool:
    """Whether the pilot draws alone elect the right answer, by weighted vote, or by majority without scores."""
    weights: defaultdict[str, float] = defaultdict(float)
    seen = looks(lesson, pilot)
    any_score = any(look.score is not None for look in seen)
    for look in seen:
        if look.answer is not None:
            weights[look.answer] += (look.score or 0.0) if any_score else 1.0
    if not weights:
        return False
    winner = max(weights, key=lambda answer: weights[answer])
    return next(c for look, c in zip(seen, lesson.correct, strict=False) if look.answer == winner)


def _learned(table: _OptionTable, rows: NDArray[np.intp], origin: Origin, pilot: int, bins: int, unit: str) -> Policy:
    """The policy learned from some of the problems."""
    difficulty = fit([table.seen[i] for i in rows], table.shares[rows])
    chances = [difficulty.predict(table.seen[i]) for i in rows]
    placed = np.array(ordinal_bins(chances, bins))
    groups = [rows[placed == b] for b in range(bins)]
    smooth = _smoothed(table, rows, chances)
    fronts = [_front(table, group, smooth[placed == b].mean(axis=0)) for b, group in enumerate(groups)]
    weights = [len(group) / len(rows) for group in groups]
    plans = []
    for at in greedy(fronts, weights):
        steps = [front[k] for front, k in zip(fronts, at, strict=True)]
        cost = sum(w * step.cost for w, step in zip(weights, steps, strict=True))
        value = sum(w * step.value for w, step in zip(weights, steps, strict=True))
        plans.append(BinPlan(cost, value, tuple(table.names[step.place] for step in steps)))
    made = [_bin(table, group, front) for group, front in zip(groups, fronts, strict=True)]
    return Policy(origin, unit, pilot, difficulty, edges(chances, bins), tuple(made), tuple(plans))


def _smoothed(table: _OptionTable, rows: NDArray[np.intp], chances: Sequence[float]) -> Floats:
    """Each option's accuracy on each of the problems, smoothed over difficulty by a logistic curve.

    A bin alone has a few dozen problems, on which the best of twenty options appears better than it is.
    """
    x = np.log(np.clip(chances, 1e-3, 1 - 1e-3)) - np.log1p(-np.clip(chances, 1e-3, 1 - 1e-3))
    x = (x - x.mean()) / max(1e-9, float(x.std()))
    design = np.stack([np.ones(len(x)), x], axis=1)
    columns = [1 / (1 + np.exp(-design @ logistic(design, table.correct[rows, k]))) for k in range(len(table.names))]
    return np.stack(columns, axis=1)


def _front(table: _OptionTable, group: NDArray[np.intp], values: Floats) -> list[Step]:
    """The concave hull of a bin's options, each better than the one before by more than `WORTH`."""
    costs, places = table.costs[group].mean(axis=0), list(table.options)
    while True:
        front = [Step(s.cost, s.value, places[s.place]) for s in hull(costs[places].tolist(), values[places].tolist())]
        small = [high.place for low, high in itertools.pairwise(front) if high.value - low.value < WORTH]
        if not small:
            return front
        places.remove(small[-1])


def _mean_costs(table: _OptionTable, group: NDArray[np.intp], place: int) -> dict[str, float | None]:
    means = {unit: float(costs[group, place].mean()) for unit, costs in table.all_costs.items()}
    return {unit: None if math.isnan(mean) else mean for unit, mean in means.items()}


def _bin(table: _OptionTable, group: NDArray[np.intp], front: Sequence[Step]) -> Bin:
    look, options = _mean_costs(table, group, 0), []
    for step in front:
        known = _mean_costs(table, group, step.place)
        options.append(BinOption(table.names[step.place], step.value, known))
    return Bin(len(group), float(table.shares[group].mean()), look, tuple(options))


Fold = tuple[Policy, NDArray[np.intp], NDArray[np.intp]]
"""A policy, the problems it was learned from, and the problems it is measured on."""


def _calibration(table: _OptionTable, folds: Sequence[Fold]) -> Calibration:
    predicted = np.full(len(table.shares), np.nan)
    for policy, _, there in folds:
        predicted[there] = [policy.difficulty.predict(table.seen[i]) for i in there]
    return calibration(predicted, table.shares)


def _evidence(table: _OptionTable, folds: Sequence[Fold], budgets: Sequence[float]) -> list[Evidence]:
    means, found = table.alone.mean(axis=0), []
    for budget in budgets:
        mine, uniform = [], []
        for policy, here, there in folds:
            chosen = {name: table.names.index(name) for name in policy.plan(budget).strategies}
            for i in there:
                bin = bin_of(policy.difficulty.predict(table.seen[i]), policy.edges)
                place = chosen[policy.plan(budget).strategies[bin]]
                mine.append((table.correct[i, place], table.costs[i, place]))
            affordable = [k for k in table.options if table.alone[here, k].mean() <= budget]
            cheapest = min(table.options, key=lambda k: means[k])
            best = max(affordable, key=lambda k: table.correct[here, k].mean(), default=cheapest)
            uniform += [(table.correct[i, best], table.alone[i, best]) for i in there]
        (accuracy, cost), (flat, flat_cost) = np.mean(mine, axis=0), np.mean(uniform, axis=0)
        found.append(Evidence(budget, float(accuracy), float(cost), float(flat), float(flat_cost)))
    return found
