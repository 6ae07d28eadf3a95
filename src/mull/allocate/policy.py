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
"""The option of no draws beyond those that estimated the difficulty."""
UNITS = ("tokens", "flops", "usd")
"""Units of cost."""
HOPELESS = 0.2
"""If the best strategy solves less than this share of problems, a bigger model is advised."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a policy was learned from; using it on anything else raises an error unless forced.

    `tasks` are the task names, `kinds` the kinds of answers, `draws` the total number of draws in the sweep.
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
    """A strategy's accuracy in a bin, and its mean cost per problem in each unit, pilot draws included."""

    strategy: str
    accuracy: float
    cost: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Bin:
    """Problems of similar difficulty: their number in the sweep, their pass@1, and the options, cheapest first.

    `look` is the mean cost of the pilot draws that place a problem in the bin.
    """

    problems: int
    pass_at_1: float
    look: Mapping[str, float | None]
    options: tuple[BinOption, ...]


@dataclass(frozen=True, slots=True)
class BinPlan:
    """A strategy for each bin, the easiest first, and their mean cost and accuracy over all problems."""

    cost: float
    accuracy: float
    strategies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The policy's held-out accuracy at a budget, compared with the best uniform strategy.

    Both were chosen on one half of the problems and measured on the other (two folds). Costs and budget are means.
    """

    budget: float
    accuracy: float
    cost: float
    uniform_accuracy: float
    uniform_cost: float


@dataclass(frozen=True, slots=True)
class Policy:
    """Chooses a strategy per problem: its question and `pilot` draws give its bin, a plan has a strategy for each bin.

    `plans` go from the cheapest to the most accurate; each has a mean cost per problem within its budget.
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
        """The plan for a mean budget per problem, in `unit`; without one, the most accurate plan.

        Raises `UsageError` for a budget below the cost of the cheapest plan.
        """
        if mean is None:
            return self.plans[-1]
        n = bisect_right([plan.cost for plan in self.plans], mean)
        if n == 0:
            raise UsageError(
                f"a budget of {mean:,.0f} {self.unit} per problem is below the cost of the policy's cheapest plan, "
                f"{self.plans[0].cost:,.0f}, which includes {self.pilot} pilot draws"
            )
        return self.plans[n - 1]

    def choose(self, bin: int, left: Budget, mean: float | None = None) -> BinOption:
        """The option for a problem of this bin, with the budget `left` after the pilot draws.

        It is the plan's or, if the mean cost of that exceeds what is left, the most accurate affordable one.
        """
        options, look = self.bins[bin].options, self.bins[bin].look
        named = self.plan(mean).strategies[bin]
        planned = next(option for option in options if option.strategy == named)
        if _fits(planned, look, left):
            return planned
        cheaper = [o for o in options if o.accuracy <= planned.accuracy and _fits(o, look, left)]
        return max(cheaper, key=lambda o: o.accuracy, default=options[0])

    def best(self, bin: int) -> float:
        """The accuracy of a bin's most accurate option."""
        return max(option.accuracy for option in self.bins[bin].options)


def _fits(option: BinOption, look: Mapping[str, float | None], left: Budget) -> bool:
    """Whether the mean cost of an option beyond the pilot draws is within what is left."""
    for unit in UNITS:
        top, cost, looked = getattr(left, unit), option.cost.get(unit), look.get(unit)
        if top is not None and cost is not None and looked is not None and cost - looked > top:
            return False
    return True


class Step(NamedTuple):
    """A point on a curve of value over cost; `place` is the index of its option."""

    cost: float
    value: float
    place: int


def hull(costs: Sequence[float], values: Sequence[float]) -> list[Step]:
    """The upper concave hull of options over cost, cheapest first: those that are optimal at some price.

    The first is the cheapest option, the better one of several with the same cost.
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
    """Which option each group takes: greedily upgrades the group with the largest gain per cost.

    `hulls` are concave, so greedy is optimal at each step. Stops before the first upgrade whose weighted sum of costs
    would exceed `budget` (Damani et al. 2024, arXiv 2410.04707).
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
