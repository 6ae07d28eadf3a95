"""Measures the gain from longer thinking: one chain of thought at several budgets, on the same problems.

Control, Scaling and Performance are those of s1 (Muennighoff et al. 2025, arXiv 2501.19393, section 3.2).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mull.errors import UsageError
from mull.files.recording import Recording, Result
from mull.lab.recorded import Group
from mull.lab.windows import Floats
from mull.stats.frontier import Spent
from mull.stats.intervals import SHARE, Interval, bootstrap, resamples, wilson
from mull.stats.paired import Paired, paired

BUDGETS = ("wait", "at_least", "at_most")
"""Options that set the length of a chain of thought."""
FEWEST_RESAMPLED = 0.95
"""The share of resamples that must have a slope for an interval."""


def control(lengths: Sequence[float], least: float | None = None, most: float | None = None) -> float:
    """The share of thoughts whose length is within the requested bounds."""
    kept = sum((least is None or n >= least) and (most is None or n <= most) for n in lengths)
    return kept / len(lengths)


def scaling(points: Sequence[Spent]) -> float | None:
    """Accuracy per additional token: the mean slope over all pairs of budgets; `None` if no two differ in cost.

    A pair of budgets with the same number of tokens has no slope and is left out.
    """
    slopes = [(b.value - a.value) / (b.cost - a.cost) for a, b in itertools.combinations(points, 2) if a.cost != b.cost]
    return sum(slopes) / len(slopes) if slopes else None


def performance(points: Sequence[Spent]) -> float:
    """The accuracy of the best budget."""
    return max(point.value for point in points)


class Round(NamedTuple):
    """The state of a chain of thought at this length."""

    tokens: float
    correct: bool


def share_to_first_right(rounds: Sequence[Round]) -> float:
    """The tokens up to the first right answer as a share of all, 1 if none was right; `rounds` ascend by length."""
    found = next((r.tokens for r in rounds if r.correct), rounds[-1].tokens)
    return found / rounds[-1].tokens if rounds[-1].tokens else 1.0


def underthinking(chains: Sequence[Sequence[Round]]) -> float | None:
    """How much wrong chains wasted after having been right once: the mean of 1 - `share_to_first_right`.

    From Wang et al. 2025 (arXiv 2501.18585). `None` if no chain ended wrong.
    """
    wasted = [1 - share_to_first_right(rounds) for rounds in chains if not rounds[-1].correct]
    return sum(wasted) / len(wasted) if wasted else None


@dataclass(frozen=True, slots=True)
class Share:
    """A mean over `problems` problems; `value` is `None` if there are none."""

    value: float | None
    ci95: Interval | None
    problems: int


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """One budget; `gain` is its accuracy minus that of the previous budget, on the same problems.

    `mended` counts problems that were wrong at the previous budget and are right at this one, `broken` the reverse;
    both are `None` if the two are not the same chain. `control` is `None` if the budget sets no bounds.
    """

    strategy: str
    tokens: float
    accuracy: float
    ci95: Interval
    problems: int
    control: float | None
    gain: Paired | None
    mended: int | None
    broken: int | None


@dataclass(frozen=True, slots=True)
class Thinking:
    """One method at several budgets, the shortest first.

    `unit` is `thinking tokens` or, if some outcome does not report those, `output tokens`; `scaling` is accuracy per
    token. As shares of a chain's tokens: `first_right` is the part up to the first right answer, over problems ever
    right; `overthinking` is what right chains spent after it, and `underthinking` what wrong ones did. These three
    use only budgets that continue the same chain, since budgets with a token limit are other draws.
    """

    name: str
    unit: str
    budgets: list[BudgetRow]
    control: float | None
    scaling: float | None
    scaling_ci95: Interval | None
    performance: float
    performance_ci95: Interval
    first_right: Share
    overthinking: Share
    underthinking: Share


def measure(group: Group, seed: int = 0) -> list[Thinking]:
    """Each method of a group that was run at several budgets. Raises `UsageError` if there is none."""
    methods: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for one in group.recordings for name in one.results):
        methods.setdefault(method_of(name), []).append(name)
    found = [_thinking(method, names, group.recordings, seed) for method, names in methods.items() if len(names) > 1]
    if not found:
        raise UsageError(
            f"{group.name}: no method was run at two or more budgets. Make such a file with, for example, "
            "mull sweep chain:ops=6 -m nano-think -s force:wait=0 -s force:wait=1 -s force:wait=2 --out FILE"
        )
    return found


def method_of(strategy: str) -> str:
    """A strategy without its budget: its name, and the options that make it a different method."""
    name, options = _taken_apart(strategy)
    kept = [f"{option}={value}" for option, value in options.items() if option not in (*BUDGETS, "n")]
    return name + (":" + ",".join(kept) if kept else "")


def is_of_one_chain(strategy: str) -> bool:
    """Whether larger budgets continue the draws of smaller ones: forcing without a limit on tokens.

    A limit on tokens is part of the question, and a different question has different draws.
    """
    name, options = _taken_apart(strategy)
    return name == "force" and "at_most" not in options


def _taken_apart(strategy: str) -> tuple[str, dict[str, str]]:
    name, _, rest = strategy.partition(":")
    parts = (part.partition("=") for part in re.split(r",(?![^()]*\))", rest) if part)
    return name, {option: value for option, _, value in parts}


class _BudgetRun(NamedTuple):
    """A budget, on the problems that were graded at all budgets of its method."""

    strategy: str
    tokens: Floats
    correct: Floats
    results: list[Result]

    @property
    def point(self) -> Spent:
        return Spent(float(self.tokens.mean()), float(self.correct.mean()))


def _thinking(method: str, names: Sequence[str], recordings: Sequence[Recording], seed: int) -> Thinking:
    graded = [
        one
        for one in recordings
        if all(name in one.results and one.results[name].correct is not None for name in names)
    ]
    if not graded:
        raise UsageError(f"no problem was graded at all budgets of {method}")
    results = {name: [one.results[name] for one in graded] for name in names}
    unit, lengths = _lengths(method, results)
    runs = [
        _BudgetRun(name, np.array(lengths[name]), np.array([t.correct is True for t in rows], dtype=float), rows)
        for name, rows in results.items()
    ]
    runs.sort(key=lambda run: float(run.tokens.mean()))
    points = [run.point for run in runs]
    best = max(runs, key=lambda run: run.point.value)
    budgets = [_budget(before, run, seed) for before, run in zip([None, *runs[:-1]], runs, strict=True)]
    asked = [budget.control for budget in budgets if budget.control is not None]
    chains = _chains(runs)
    found = [[r.tokens for r in chain if r.correct] for chain in chains]
    wasted = [1 - share_to_first_right(chain) for chain in chains]
    is_right = [chain[-1].correct for chain in chains]
    return Thinking(
        method,
        unit,
        budgets,
        sum(asked) / len(asked) if asked else None,
        scaling(points),
        _slopes(runs, seed),
        performance(points),
        wilson(int(best.correct.sum()), len(graded)),
        _share([tokens[0] for tokens in found if tokens], seed),
        _share(list(itertools.compress(wasted, is_right)), seed, SHARE),
        _share([w for w, right in zip(wasted, is_right, strict=True) if not right], seed, SHARE),
    )


def _lengths(method: str, results: Mapping[str, Sequence[Result]]) -> tuple[str, dict[str, list[float]]]:
    """Tokens of each outcome; those of the thought alone if all outcomes report them."""
    thought = {name: [row.notes.get("thinking_tokens") for row in rows] for name, rows in results.items()}
    written = {name: [row.cost.output_tokens for row in rows] for name, rows in results.items()}
    for unit, found in (("thinking tokens", thought), ("output tokens", written)):
        known = {name: [float(n) for n in row if n is not None] for name, row in found.items()}
        if all(len(known[name]) == len(found[name]) for name in found):
            return unit, known
    raise UsageError(f"the outcomes of {method} do not report their numbers of tokens")


def _budget(before: _BudgetRun | None, run: _BudgetRun, seed: int) -> BudgetRow:
    n = len(run.correct)
    gain = mended = broken = None
    if before is not None:
        gain = paired(run.strategy, before.strategy, run.correct.tolist(), before.correct.tolist(), seed)
        if is_of_one_chain(before.strategy) and is_of_one_chain(run.strategy):
            mended = int((run.correct > before.correct).sum())
            broken = int((run.correct < before.correct).sum())
    interval = wilson(int(run.correct.sum()), n)
    return BudgetRow(run.strategy, run.point.cost, run.point.value, interval, n, _control(run), gain, mended, broken)


def _control(run: _BudgetRun) -> float | None:
    """The share of outcomes that met everything the budget requests: token limits, and rounds of further thinking."""
    _, options = _taken_apart(run.strategy)
    asked = {name: float(options[name]) for name in BUDGETS if name in options}
    if not any(name in asked for name in BUDGETS):
        return None
    kept = [
        row.notes.get("rounds", 0) >= asked.get("wait", 0) and control([n], asked.get("at_least"), asked.get("at_most"))
        for n, row in zip(run.tokens, run.results, strict=True)
    ]
    return sum(kept) / len(kept)


def _chains(runs: Sequence[_BudgetRun]) -> list[list[Round]]:
    """Each problem's chain, as it stood at each budget; empty without two budgets of the same chain."""
    one = [run for run in runs if is_of_one_chain(run.strategy)]
    if len(one) < 2:
        return []
    tokens, correct = np.array([run.tokens for run in one]).T, np.array([run.correct for run in one]).T
    return [sorted(map(Round, row.tolist(), (right > 0).tolist())) for row, right in zip(tokens, correct, strict=True)]


def _slopes(runs: Sequence[_BudgetRun], seed: int) -> Interval | None:
    """The interval of `scaling` over problems; `None` if too many resamples have no slope."""
    tokens, correct = np.array([run.tokens for run in runs]).T, np.array([run.correct for run in runs]).T
    found = []
    for counts in resamples(len(tokens), seed):
        points = map(Spent, (counts @ tokens / counts.sum()).tolist(), (counts @ correct / counts.sum()).tolist())
        found.append(scaling(list(points)))
    slopes = [slope for slope in found if slope is not None]
    if len(slopes) < FEWEST_RESAMPLED * len(found):
        return None
    low, high = np.percentile(slopes, [2.5, 97.5])
    return Interval(float(low), float(high))


def _share(values: Sequence[float], seed: int, bounds: tuple[float, float] | None = None) -> Share:
    if not values:
        return Share(None, None, 0)
    return Share(sum(values) / len(values), bootstrap(values, seed, bounds), len(values))
