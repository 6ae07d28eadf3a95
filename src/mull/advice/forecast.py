"""What strategies would make of imagined draws: right or not, and how many draws each took."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mull.advice.pilot import Floats, Ints
from mull.advice.simulate import N_NAMES, RIGHT, UNANSWERED, Imagined
from mull.allocate.stop import beta_lead
from mull.strategies.adaptive import Adaptive
from mull.strategies.parallel import UntilPass

DEFAULT_NS = (4, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class Forecast:
    """One strategy on imagined problems: how right its outcome is and how many draws it took, [sequences] each."""

    right: Floats
    draws: Floats


def forecasts(
    imagined: Imagined, ns: Sequence[int] = DEFAULT_NS, *, votes: bool, checker: bool, oracle: bool = False
) -> dict[str, Forecast]:
    """Every strategy that can be foretold, by its spec: `single`, and at each n votes, choices by score, stops.

    `votes`: answers are known. `checker`: scores are verdicts, so that `until-pass` means something. `oracle`: there
    are no scores, and a checker that never errs is taken to be at hand.
    """
    ns = sorted({n for n in ns if 1 < n <= imagined.draws})
    size = len(imagined.problem)
    is_right = imagined.answers == RIGHT
    found = {"single": Forecast(is_right[:, 0].astype(np.float64), np.ones(size))}
    if votes:
        found |= _votes(imagined, ns)
    if imagined.scores.size:
        found |= _chosen(imagined, ns, votes=votes)
    if checker or oracle:
        passes = is_right if oracle else imagined.scores >= UntilPass().bar
        found |= _until(imagined, passes, ns, found)
    return found


def _fixed(right: Floats, n: int) -> Forecast:
    return Forecast(right, np.full(len(right), float(n)))


class _Tally:
    """The votes of each sequence so far. An answer that comes once is a candidate of its own with one vote."""

    def __init__(self, rows: int) -> None:
        self.weight = np.zeros((rows, N_NAMES + 1))
        self.lone = np.zeros(rows)
        """The heaviest answer that came once."""
        self.n_lone = np.zeros(rows)
        """How many of that weight there are."""
        self._rows = np.arange(rows)

    def add(self, names: Ints, weight: Floats) -> None:
        """One more draw of each; a weight of nan is no vote."""
        weight = np.where((names == UNANSWERED) | np.isnan(weight), 0.0, weight)
        is_lone = names == N_NAMES
        self.weight[self._rows, names] += np.where(is_lone, 0.0, weight)
        heavy = is_lone & (weight > 0)
        self.n_lone = np.where(heavy & (weight > self.lone), 0, self.n_lone)
        self.n_lone += heavy & (weight >= self.lone)
        self.lone = np.where(heavy, np.maximum(self.lone, weight), self.lone)

    def right(self) -> Floats:
        """How right the winner is: its share among those that lead."""
        top = np.maximum(self.weight[:, :N_NAMES].max(axis=1), self.lone)
        leads = np.isclose(self.weight[:, :N_NAMES], top[:, None], rtol=1e-12, atol=0)
        n_leads = leads.sum(axis=1) + np.where(self.lone == top, self.n_lone, 0)
        return np.where(top > 0, leads[:, RIGHT] / np.maximum(n_leads, 1), 0.0)


def _votes(imagined: Imagined, ns: Sequence[int]) -> dict[str, Forecast]:
    """Majority votes, and those that stop when the vote is as good as decided."""
    rows, found, ones = len(imagined.problem), {}, np.ones(len(imagined.problem))
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
        votes = np.where(names == N_NAMES, 1.0, tally.weight[index, names]) * (names != UNANSWERED)
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
            found[f"majority:n={n}"] = _fixed(right, n)
            found[f"adaptive:n={n}"] = Forecast(
                np.where(at[n] > 0, went_right[n], right), np.where(at[n] > 0, at[n], float(n))
            )
    return found


def _sure(n: int, level: float) -> NDArray[np.bool_]:
    """Whether the rule of Adaptive-Consistency stops at these counts of the first and the second answer."""
    table = np.zeros((n + 1, n + 1), dtype=bool)
    for first in range(1, n + 1):
        for second in range(n + 1 - first):
            table[first, second] = first > second and beta_lead(first, second) >= level
    return table


def _chosen(imagined: Imagined, ns: Sequence[int], *, votes: bool) -> dict[str, Forecast]:
    """The best scored draw, and votes weighed by scores."""
    rows, found = len(imagined.problem), {}
    tally = _Tally(rows)
    top, n_top, n_right = np.full(rows, -math.inf), np.zeros(rows), np.zeros(rows)
    for k in range(max(ns, default=0)):
        score, right = imagined.scores[:, k], imagined.answers[:, k] == RIGHT
        better, equal = score > top, score == top
        n_top = np.where(better, 1, n_top + equal)
        n_right = np.where(better, right, n_right + (equal & right))
        top = np.where(better, score, top)
        if votes:
            tally.add(imagined.answers[:, k], score)
        if k + 1 in ns:
            found[f"best:n={k + 1}"] = _fixed(n_right / np.maximum(n_top, 1), k + 1)
            if votes:
                found[f"weighted:n={k + 1}"] = _fixed(tally.right(), k + 1)
    return found


def _until(
    imagined: Imagined, passes: NDArray[np.bool_], ns: Sequence[int], found: Mapping[str, Forecast]
) -> dict[str, Forecast]:
    """Draws in waves until one passes; without a pass the best scored one."""
    wave, until = UntilPass().wave, {}
    first = np.where(passes.any(axis=1), passes.argmax(axis=1), imagined.draws)
    right = imagined.answers[np.arange(len(first)), np.minimum(first, imagined.draws - 1)] == RIGHT
    for n in ns:
        passed = first < n
        used = np.where(passed, np.minimum((first // wave + 1) * wave, n), n)
        rest = found[f"best:n={n}"].right if f"best:n={n}" in found else np.zeros(len(first))
        until[f"until-pass:n={n}"] = Forecast(np.where(passed, right, rest), used.astype(np.float64))
    return until
