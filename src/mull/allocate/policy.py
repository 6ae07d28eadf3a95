"""Compute-optimal allocation: the strategy that suits a problem's difficulty and a budget, learned from a sweep.

After Snell et al. 2024 (arXiv 2408.03314), who choose a strategy in each bin of difficulty, and Damani et al. 2024
(arXiv 2410.04707), who spend the next unit where it buys most.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mull.allocate.difficulty import Calibration, Difficulty, Features, bin_of
from mull.errors import UsageError
from mull.types import Budget

STOP = "stop"
"""The option of making no more draws than it took to see how hard the problem is."""
UNITS = ("tokens", "flops", "usd")
"""What options are priced in."""
HOPELESS = 0.2
"""Where even the best strategy solves a smaller share than this, a bigger model is the better buy."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a policy was learned from; it is used for nothing else unless it is forced to.

    `tasks` are their names, `kinds` the kinds of answers, `draws` how many were made in all for the sweep.
    """

    model: str
    verifier: str | None
    tasks: tuple[str, ...]
    kinds: tuple[str, ...]
    temperature: float
    problems: int
    draws: int
    date: str


@dataclass(frozen=True, slots=True)
class BinOption:
    """What a strategy reached in a bin, and its mean cost a problem in each unit, the first look counted."""

    strategy: str
    accuracy: float
    cost: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Bin:
    """Problems of like difficulty: how many were learned from, their pass@1, and the options, cheapest first.

    `look` is what it costs on the mean to see that a problem is of them.
    """

    problems: int
    pass_at_1: float
    look: Mapping[str, float | None]
    options: tuple[BinOption, ...]


@dataclass(frozen=True, slots=True)
class BinPlan:
    """A strategy for each bin, the easiest first, and what they cost and reach on the mean over all problems."""

    cost: float
    accuracy: float
    strategies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the policy reached at a budget on problems it was not learned on, beside the best uniform strategy.

    Both were chosen on one half of the problems and measured on the other (two folds). Costs and budget are means.
    """

    budget: float
    accuracy: float
    cost: float
    uniform_accuracy: float
    uniform_cost: float


@dataclass(frozen=True, slots=True)
class Policy:
    """Which strategy a problem gets: its question and `pilot` draws tell its bin, a plan has the strategy of each bin.

    `plans` go from the cheapest to the most accurate; each costs at most what a budget of the mean problem allows.
    """

    origin: Origin
    unit: str
    pilot: int
    difficulty: Difficulty
    edges: tuple[float, ...]
    bins: tuple[Bin, ...]
    plans: tuple[BinPlan, ...]
    calibration: Calibration | None = None
    evidence: tuple[Evidence, ...] = field(default=())

    def place(self, seen: Features) -> tuple[float, int]:
        """Predicted pass@1 of a problem and its bin, 0 the easiest."""
        chance = self.difficulty.predict(seen)
        return chance, bin_of(chance, self.edges)

    def plan(self, mean: float | None = None) -> BinPlan:
        """The plan for a mean budget a problem, in `unit`; without one the most accurate plan.

        Raises `UsageError` for a budget that does not even pay for the look at a problem.
        """
        if mean is None:
            return self.plans[-1]
        n = bisect_right([plan.cost for plan in self.plans], mean)
        if n == 0:
            raise UsageError(
                f"a budget of {mean:,.0f} {self.unit} a problem is below {self.plans[0].cost:,.0f}, what the policy's "
                f"cheapest plan costs, {self.pilot} draws to look at a problem counted"
            )
        return self.plans[n - 1]

    def choose(self, bin: int, left: Budget, mean: float | None = None) -> BinOption:
        """The option for a problem of this bin, of which `left` is still allowed after the look at it.

        It is the plan's, or where its mean cost is more than what is left, the most accurate that is not.
        """
        options, look = self.bins[bin].options, self.bins[bin].look
        named = self.plan(mean).strategies[bin]
        planned = next(option for option in options if option.strategy == named)
        if _fits(planned, look, left):
            return planned
        cheaper = [o for o in options if o.accuracy <= planned.accuracy and _fits(o, look, left)]
        return max(cheaper, key=lambda o: o.accuracy, default=options[0])

    def best(self, bin: int) -> float:
        """What the most accurate option of a bin reached."""
        return max(option.accuracy for option in self.bins[bin].options)


def _fits(option: BinOption, look: Mapping[str, float | None], left: Budget) -> bool:
    """Whether the mean cost of an option beyond the look is within what is left."""
    for unit in UNITS:
        top, cost, looked = getattr(left, unit), option.cost.get(unit), look.get(unit)
        if top is not None and cost is not None and looked is not None and cost - looked > top:
            return False
    return True


class Step(NamedTuple):
    """A place on a curve of what can be had for how much: the `place` of the option it stands for."""

    cost: float
    value: float
    place: int


def hull(costs: Sequence[float], values: Sequence[float]) -> list[Step]:
    """The options that some price makes the best, cheapest first: the concave front over cost.

    The first is the cheapest option, the better one of several that cost the same.
    """
    ranked = sorted((Step(c, v, i) for i, (c, v) in enumerate(zip(costs, values, strict=True))), key=_cheapest)
    front: list[Step] = []
    for step in ranked:
        if front and step.value <= max(s.value for s in front):
            continue
        while len(front) > 1 and _slope(front[-2], front[-1]) <= _slope(front[-1], step):
            front.pop()
        front.append(step)
    return front


def _cheapest(step: Step) -> tuple[float, float]:
    return step.cost, -step.value


def _slope(low: Step, high: Step) -> float:
    return (high.value - low.value) / (high.cost - low.cost) if high.cost > low.cost else float("inf")


def greedy(hulls: Sequence[Sequence[Step]], weights: Sequence[float], budget: float | None = None) -> list[list[int]]:
    """Which option each group takes, one more expensive choice after the other, where it buys most for its cost.

    `hulls` are concave, so that what was left behind is never the better buy. It ends before the first choice that
    the weighted sum of costs would exceed `budget` with. Damani et al. 2024, arXiv 2410.04707.
    """
    upgrades = [
        (-_slope(front[i], front[i + 1]), group, i + 1)
        for group, front in enumerate(hulls)
        for i in range(len(front) - 1)
    ]
    at = [0] * len(hulls)
    taken = [list(at)]
    for _, group, i in sorted(upgrades):
        at[group] = i
        cost = sum(w * hulls[g][k].cost for g, (w, k) in enumerate(zip(weights, at, strict=True)))
        if budget is not None and cost > budget * (1 + 1e-12):
            break
        taken.append(list(at))
    return taken
