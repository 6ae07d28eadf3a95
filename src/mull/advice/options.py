"""The parts of advice: options with their accuracy and cost, wishes, and the recommendation."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from mull.errors import UsageError
from mull.shown import html_table
from mull.types import Cost

BASE = "single"
"""The spec of the baseline: one draw."""
HOPELESS = 0.05
"""If at most this share of problems is covered, the problems are out of reach."""


class Interval90(NamedTuple):
    """The ends of a 90 % interval."""

    low: float
    high: float


class Recommendation(StrEnum):
    """The recommendation in one word."""

    SCALE = "scale"
    DO_NOT = "do not scale"
    BIGGER = "bigger model"
    MORE_DATA = "need more data"


class Route(StrEnum):
    """Scenarios of test-time scaling: where compute should go."""

    PARALLEL = "parallel"
    SEQUENTIAL = "sequential"
    TREE = "tree"
    BOTH = "both"
    BIGGER = "bigger model"
    NOTHING = "nothing"
    BETTER = "better model"
    UNKNOWN = "unknown"
    """A strategy that was run is best, and it does not declare how it draws."""


@dataclass(frozen=True, slots=True)
class Option:
    """One strategy on one model; `cost` is the mean per question, with `None` for unknown parts.

    `known_by`: `measured` on the pilot's problems, `estimated` from draws that it made, `predicted` beyond them, or
    `given`. `gain` is the accuracy above
    one draw of the first model, with its interval. `fixed` is a cost in dollars before the first question. `chance` is
    the chance that the accuracy is at least the one that is wished for; `None` without a wish.
    """

    strategy: str
    model: str
    accuracy: float
    ci90: Interval90
    cost: Cost
    known_by: str
    gain: float
    gain_ci90: Interval90
    fixed: float = 0.0
    why: str = ""
    chance: float | None = None

    @property
    def name(self) -> str:
        return f"{self.strategy} on {self.model}"

    @property
    def is_base(self) -> bool:
        """Whether it is one draw."""
        return self.strategy == BASE


@dataclass(frozen=True, slots=True)
class PilotMeasured:
    """A strategy that was run on the pilot's problems: right or not on each (`None`: ungraded), and its mean cost.

    `yields`: if the pilot's draws allow a forecast of the strategy, it is used instead, since it is more precise.
    """

    strategy: str
    correct: tuple[bool | None, ...]
    cost: Cost
    yields: bool = False


@dataclass(frozen=True, slots=True)
class KnownModel:
    """One pass of a model whose accuracy is known from elsewhere."""

    model: str
    accuracy: float
    cost: Cost


@dataclass(frozen=True, slots=True)
class Wish:
    """The user's requirements; `None` is no requirement.

    `accuracy` is a minimum; `usd` and `seconds` are maxima per question; `queries` is the number per month. `worth` is
    the value of a right answer in dollars. `outlay` is the cost of switching to a bigger model, paid off in a month.
    """

    accuracy: float | None = None
    usd: float | None = None
    seconds: float | None = None
    queries: int | None = None
    worth: float | None = None
    outlay: float = 0.0

    def __post_init__(self) -> None:
        if self.accuracy is not None and not 0 < self.accuracy <= 1:
            raise UsageError(f"an accuracy is above 0 and at most 1, not {self.accuracy:g}")
        for name in ("usd", "seconds", "queries", "worth", "outlay"):
            value = getattr(self, name)
            if value is not None and (value < 0 or (name in ("seconds", "queries") and value == 0)):
                raise UsageError(f"{name} cannot be {value:g}")
        if self.outlay and self.queries is None:
            raise UsageError("an outlay is paid off by queries: give the number of queries per month")


@dataclass(frozen=True, slots=True)
class Facts:
    """Figures of the first model's pilot, predicted where it did not measure them.

    `coverage` is the share of problems solved by some draw of the widest option, which only an oracle can select;
    `solved` is the share of the pilot's own problems with a right draw. `voted` and `scored` are the accuracies of the
    best vote and the best choice by scores, `None` if there are no answers or no scores. `unscored` is the number of
    problems without a score where others have one: there strategies that choose by scores answer nothing.
    """

    problems: int
    draws: int
    single: float
    n: int
    coverage: float
    solved: float
    voted: float | None
    scored: float | None
    unscored: int = 0

    @property
    def headroom(self) -> float:
        return self.coverage - self.single

    @property
    def is_hopeless(self) -> bool:
        """Whether hardly any problem is solved by any draw, so that more draws cannot help."""
        return self.solved == 0 or self.coverage < HOPELESS


@dataclass(frozen=True, slots=True)
class Advice:
    """The recommendation with all options, cheapest first, and its basis.

    `more` is how many problems would decide it if data are insufficient. `reasons` say why scaling does not help.
    """

    verdict: Recommendation
    route: Route
    recommendation: Option
    base: Option
    options: tuple[Option, ...]
    unit: str
    facts: Facts
    meets: bool
    more: int | None
    reasons: tuple[str, ...] = field(default=())

    def _repr_html_(self) -> str:
        """The advice as a notebook shows it: the recommendation, why, and all options."""
        one, why = self.recommendation, "".join(f"; {reason}" for reason in self.reasons)
        told = f"{self.verdict.value}: {one.name}, {100 * one.gain:+.1f} points{why}"
        return html_table(
            ("strategy", "model", "accuracy", "90 % interval", "usd", "known"), map(_row, self.options), told
        )


def _row(option: Option) -> tuple[object, ...]:
    low, high = option.ci90
    usd = "?" if option.cost.usd is None else f"{option.cost.usd:.3g}"
    ends = f"[{100 * low:.1f}, {100 * high:.1f}]"
    return option.strategy, option.model, f"{100 * option.accuracy:.1f} %", ends, usd, option.known_by
