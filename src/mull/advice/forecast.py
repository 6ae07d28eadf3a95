"""Evaluates strategies on simulated draws: whether the outcome is right, and how many draws it took."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mull import spec
from mull.advice.pilot import Floats, Ints
from mull.advice.simulate import N_NAMES, RIGHT, UNANSWERED, Imagined
from mull.allocate.stop import beta_lead
from mull.run import Strategy
from mull.strategies.adaptive import Adaptive
from mull.strategies.parallel import Best, Majority, Single, UntilPass, Weighted

DEFAULT_NS = (4, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class Forecast:
    """One strategy on simulated problems: how right its outcome is, and how many draws it took, [sequences] each.

    `is_checked`: a checker decides which draw is right, so the forecast does not depend on a law of answers or scores.
    """

    strategy: Strategy
    right: Floats
    draws: Floats
    is_checked: bool = False


def forecasts(
    imagined: Imagined, ns: Sequence[int] = DEFAULT_NS, *, votes: bool, checker: bool, oracle: bool = False
) -> dict[str, Forecast]:
    """Forecasts by spec: `single`, and for each n votes, choices by score, and stopping rules, as far as they apply.

    `votes`: answers are known. `checker`: scores are verdicts, which `until-pass` needs. `oracle`: there are no
    scores, and a checker that never errs is assumed.
    """
    ns = sorted({n for n in ns if 1 < n <= imagined.draws})
    size = len(imagined.problem)
    is_right = imagined.answers == RIGHT
    found = [Forecast(Single(), is_right[:, 0].astype(np.float64), np.ones(size), is_checked=True)]
    if votes:
        found += _votes(imagined, ns)
    best = _best(imagined, ns) if imagined.scores.size else {}
    weighted = _weighted(imagined, ns) if imagined.scores.size and votes else {}
    found += [by_n[n] for n in ns for by_n in (best, weighted) if n in by_n]
    if checker or oracle:
        passes = is_right if oracle else imagined.scores >= UntilPass().bar
        found += _until(imagined, passes, ns, best)
    return {spec.describe(spec.STRATEGIES, one.strategy): one for one in found}


def is_foretold(text: str, found: Mapping[str, Forecast]) -> bool:
    """Whether strategies of this kind, at any n and without other options, are among these forecasts."""
    strategy: Any = spec.named(text)
    kind: Any = type(strategy)
    if kind not in {type(one.strategy) for one in found.values()}:
        return False
    return bool(strategy == (kind(strategy.n) if hasattr(strategy, "n") else kind()))


def _fixed(strategy: Strategy, right: Floats, n: int) -> Forecast:
    return Forecast(strategy, right, np.full(len(right), float(n)))


class _Tally:
    """The running votes of each sequence. An answer that occurs once is a separate candidate with one vote."""

    def __init__(self, rows: int) -> None:
        self.weight = np.zeros((N_NAMES + 1, rows))
        """Of each name; what votes name together is beside each other, since the same few names win most votes."""
        self.lone = np.zeros(rows)
        """The largest weight of an answer that occurred once."""
        self.n_lone = np.zeros(rows)
        """How many answers have that weight."""
        self._rows = np.arange(rows)

    def add(self, names: Ints, weight: Floats) -> None:
        """Adds one draw to each sequence; a weight of nan does not vote."""
        weight = np.where((names == UNANSWERED) | np.isnan(weight), 0.0, weight)
        is_lone = names == N_NAMES
        self.weight[names, self._rows] += np.where(is_lone, 0.0, weight)
        some = np.flatnonzero(is_lone & (weight > 0))
        new, old = weight[some], self.lone[some]
        self.n_lone[some] = np.where(new > old, 0, self.n_lone[some]) + (new >= old)
        self.lone[some] = np.maximum(old, new)

    def right(self) -> Floats:
        """How right the winner is: its share among the leading answers."""
        named = self.weight[:N_NAMES]
        top = np.maximum(named.max(axis=0), self.lone)
        leads = np.abs(named - top) <= 1e-12 * top
        n_leads = leads.sum(axis=0) + np.where(self.lone == top, self.n_lone, 0)
        return np.where(top > 0, leads[RIGHT] / np.maximum(n_leads, 1), 0.0)


def _votes(imagined: Imagined, ns: Sequence[int]) -> list[Forecast]:
    """Majority votes, and votes that stop once the result is nearly certain."""
    rows, ones = len(imagined.problem), np.ones(len(imagined.problem))
    found: list[Forecast] = []
    tally = _Tally(rows)
    first, second, leader = np.zeros(rows), np.zeros(rows), np.full(rows, -1)
    at = {n: np.zeros(rows) for n in ns}
    went_right = {n: np.zeros(rows) for n in ns}
    rule = Adaptive()
    sure = _sure(imagined.draws, rule.level)
    index = np.arange(rows)
    for k in range(max(ns, default=0)):
        names = imagined.answers[:, k]
        tally.add(names, ones)
        votes = np.where(names == N_NAMES, 1.0, tally.weight[names, index]) * (names != UNANSWERED)
        leads = votes > first
        overtakes = leads & ((names != leader) | (names == N_NAMES))
        second = np.where(overtakes, first, np.where(leads | (names == leader), second, np.maximum(second, votes)))
        first = np.where(leads, votes, first)
        leader = np.where(leads, names, leader)
        is_sure = sure[first.astype(np.int64), second.astype(np.int64)]
        for n in (n for n in ns if n > k + 1):
            stops = (at[n] == 0) & (is_sure | (first - second > n - (k + 1)))  # curtailed: it cannot be overtaken
            at[n] = np.where(stops, k + 1, at[n])
            went_right[n] = np.where(stops, leader == RIGHT, went_right[n])
        if k + 1 in ns:
            n, right = k + 1, tally.right()
            stopped = np.where(at[n] > 0, went_right[n], right), np.where(at[n] > 0, at[n], float(n))
            found += [_fixed(Majority(n), right, n), Forecast(Adaptive(n), *stopped)]
    return found


def _sure(n: int, level: float) -> NDArray[np.bool_]:
    """Whether the Adaptive-Consistency rule stops at these counts of the first and the second answer."""
    table = np.zeros((n + 1, n + 1), dtype=bool)
    for first in range(1, n + 1):
        for second in range(n + 1 - first):
            table[first, second] = first > second and beta_lead(first, second) >= level
    return table


def _weighted(imagined: Imagined, ns: Sequence[int]) -> dict[int, Forecast]:
    """Votes of n draws weighted by scores, by n."""
    tally, found = _Tally(len(imagined.problem)), {}
    for k in range(max(ns, default=0)):
        tally.add(imagined.answers[:, k], imagined.scores[:, k])
        if k + 1 in ns:
            found[k + 1] = _fixed(Weighted(k + 1), tally.right(), k + 1)
    return found


def _best(imagined: Imagined, ns: Sequence[int]) -> dict[int, Forecast]:
    """The best scored of n draws, by n."""
    rows, found = len(imagined.problem), {}
    top, n_top, n_right = np.full(rows, -math.inf), np.zeros(rows), np.zeros(rows)
    for k in range(max(ns, default=0)):
        score, right = imagined.scores[:, k], imagined.answers[:, k] == RIGHT
        better, equal = score > top, score == top
        n_top = np.where(better, 1, n_top + equal)
        n_right = np.where(better, right, n_right + (equal & right))
        top = np.where(better, score, top)
        if k + 1 in ns:
            found[k + 1] = _fixed(Best(k + 1), n_right / np.maximum(n_top, 1), k + 1)
    return found


def _until(
    imagined: Imagined, passes: NDArray[np.bool_], ns: Sequence[int], best: Mapping[int, Forecast]
) -> list[Forecast]:
    """Draws in waves until one passes; if none passes, the best scored one."""
    wave, until = UntilPass().wave, []
    first = np.where(passes.any(axis=1), passes.argmax(axis=1), imagined.draws)
    right = imagined.answers[np.arange(len(first)), np.minimum(first, imagined.draws - 1)] == RIGHT
    for n in ns:
        passed = first < n
        used = np.where(passed, np.minimum((first // wave + 1) * wave, n), n)
        rest = best[n].right if n in best else np.zeros(len(first))
        right_of_n = np.where(passed, right, rest)
        until.append(Forecast(UntilPass(n), right_of_n, used.astype(np.float64), is_checked=True))
    return until
