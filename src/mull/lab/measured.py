"""The figures of a report: strategies measured side by side, and which of them to use for which problems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mull import cost, spec
from mull.files.recording import Recording, Result
from mull.files.spool import draw_counts
from mull.lab.averaged import averaged_each, mean
from mull.lab.gap import Measurement, ScalingLimits, measure
from mull.lab.metrics import Curves
from mull.lab.recorded import Group
from mull.stats import frontier
from mull.stats.frontier import Spent
from mull.stats.intervals import SHARE, Interval, bootstrap
from mull.stats.paired import Paired, paired
from mull.types import Cost

UNITS = {"usd": "dollars", "flops": "FLOPs", "tokens": "tokens", "seconds": "seconds", "calls": "draws"}
"""Units for comparing costs: the first that is known for every strategy, and not zero for all, is used."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One strategy on one group; `correct` is the chance that it solves each problem (`None`: ungraded).

    `is_replayed`: the strategy was not run, but averaged over subsets of the recorded draws. `oracle` is the share of
    problems with a correct draw among those it made, `None` where it was not recorded.
    """

    name: str
    correct: tuple[float | None, ...]
    accuracy: float | None
    ci95: Interval | None
    draws: float
    cost: Cost
    oracle: float | None
    is_replayed: bool

    @property
    def ungraded(self) -> int:
        return self.correct.count(None)


@dataclass(frozen=True, slots=True)
class Study:
    """A group and all its measurements; `curves` and `limits` are `None` if some problem has no draws."""

    group: Group
    curves: Curves | None
    limits: ScalingLimits | None
    strategies: list[Measured]

    @property
    def n_draws(self) -> int:
        return sum(n for n, _ in draw_counts(self.group.recordings))


def study(group: Group, ks: Sequence[int] | None = None, seed: int = 0) -> Study:
    """Measures a group: the strategies that were run, or else those that can be replayed from its draws."""
    recordings = group.recordings
    measured = measure(recordings, ks, seed) if all(n for n, _ in draw_counts(recordings)) else None
    strategies = _ran(recordings, seed)
    if not strategies:
        assert measured is not None  # a problem without results has draws
        strategies = _replayed(recordings, measured, seed)
    curves, limits = (None, None) if measured is None else (measured.curves, measured.limits.told(group.about))
    return Study(group, curves, limits, strategies)


def _ran(recordings: Sequence[Recording], seed: int) -> list[Measured]:
    """The strategies with results, by all draws (`averaged`); a problem without a result is ungraded."""
    ran: dict[str, _Ran] = {}
    for one in recordings:
        for name, result in one.results.items():
            ran.setdefault(name, _Ran()).add(result)
    found = averaged_each(list(ran), recordings, seed) if ran else {}
    return [
        Measured(
            name,
            one.correct,
            one.accuracy,
            one.interval(seed),
            ran[name].draws / ran[name].n,
            ran[name].cost.mean,
            mean(one.covered) if ran[name].knows_covered else None,
            False,
        )
        for name, one in found.items()
    ]


class _Ran:
    """The sums over the results of a strategy."""

    def __init__(self) -> None:
        self.n = self.draws = 0
        self.cost = cost.Ledger()
        self.knows_covered = True

    def add(self, result: Result) -> None:
        self.n += 1
        self.draws += result.draws
        self.cost.add(result.cost)
        self.knows_covered = self.knows_covered and result.covered is not None


def _replayed(recordings: Sequence[Recording], measurement: Measurement, seed: int) -> list[Measured]:
    """One draw, a vote of k and the best scored of k, if the draws allow them, averaged over subsets of the draws."""
    each = [
        None if not t or None in t else sum(n for n in t if n is not None) / len(t)
        for t in (one.tokens for one in recordings)
    ]
    mean = None if None in each else sum(n for n in each if n is not None) / len(each)

    def measured(name: str, k: int, values: Iterable[float]) -> Measured:
        values = tuple(values)
        price = Cost(k, None, None if mean is None else round(k * mean), 0, None, None, None, None)
        value = sum(values) / len(values)
        return Measured(name, values, value, bootstrap(values, seed, SHARE), k, price, None, True)

    found = [measured("single", 1, [c / n for n, c in draw_counts(recordings)])]
    for name in ("majority", "best"):
        if name in measurement.values:
            columns = zip(measurement.ks, measurement.values[name].T, strict=True)
            found += [measured(f"{name}:n={k}", k, column) for k, column in columns if k > 1]
    return found


def amount(spent: Cost, unit: str) -> float | None:
    """A cost in one of the `UNITS`; `None` if it is unknown."""
    return spent.tokens if unit == "tokens" else getattr(spent, unit)


def unit_of(strategies: Sequence[Measured]) -> str:
    """The first unit in which these strategies can be compared."""
    return next(
        (unit for unit in UNITS if all(amount(m.cost, unit) for m in strategies)),
        "calls",
    )


def ahead(strategies: Sequence[Measured], unit: str, seed: int = 0) -> tuple[Measured | None, Paired | None]:
    """The cheapest strategy, and the paired difference of the most accurate one from it.

    The first is `None` if no strategy was graded or no cost is known, the second also if the two are the same.
    """
    known = [m for m in strategies if m.accuracy is not None and amount(m.cost, unit) is not None]
    known.sort(key=lambda m: amount(m.cost, unit) or 0.0)
    if not known:
        return None, None
    base, best = known[0], max(known, key=lambda m: m.accuracy or 0.0)
    return base, None if best is base else paired(best.name, base.name, best.correct, base.correct, seed)


def pareto(strategies: Sequence[Measured], unit: str) -> list[Measured]:
    """The strategies that no other matches in accuracy at the same cost or less, cheapest first."""
    by_name = {m.name: m for m in strategies}
    points = {
        m.name: Spent(spent, m.accuracy)
        for m in strategies
        if m.accuracy is not None and (spent := amount(m.cost, unit)) is not None
    }
    return [by_name[name] for name in frontier.pareto(points)]


def at_equal_cost(strategies: Sequence[Measured], unit: str, most: int) -> tuple[list[float], Mapping[str, list[Any]]]:
    """Budgets, and the accuracy of each kind of strategy within each: its most expensive that fits, or `None`.

    A strategy at several widths is one kind. The budgets are costs of the strategies themselves, at most `most` of
    them, including the cheapest and the most expensive.
    """
    kinds: dict[str, list[Spent]] = {}
    for m in strategies:
        spent = amount(m.cost, unit)
        if m.accuracy is not None and spent is not None:
            kinds.setdefault(spec.head(m.name), []).append(Spent(spent, m.accuracy))
    budgets = sorted({point.cost for points in kinds.values() for point in points})
    if len(budgets) > most:
        budgets = [budgets[round(i * (len(budgets) - 1) / (most - 1))] for i in range(most)]
    return budgets, frontier.at_equal_cost(kinds, budgets)


@dataclass(frozen=True, slots=True)
class Tile:
    """Accuracy in one cell of a heat map; `value` is `None` if nothing was graded, for the reason `empty`."""

    value: float | None
    problems: int
    empty: str = "unknown"


def by_difficulty(study: Study, bins: Sequence[Sequence[int]]) -> Mapping[str, list[Tile]]:
    """Each strategy's accuracy in each bin."""
    return {m.name: [_tile([m.correct[i] for i in bin]) for bin in bins] for m in study.strategies}


def by_group(studies: Sequence[Study]) -> Mapping[str, list[Tile]]:
    """Each strategy's accuracy in each group; a group without it has an empty tile."""
    names = dict.fromkeys(m.name for s in studies for m in s.strategies)
    lookup = [{m.name: m for m in s.strategies} for s in studies]
    return {n: [_tile(group[n].correct if n in group else ()) for group in lookup] for n in names}


def _tile(correct: Sequence[float | None]) -> Tile:
    graded = [c for c in correct if c is not None]
    return Tile(sum(graded) / len(graded) if graded else None, len(graded))
