"""How the lengths of replies to one prompt vary, and how length relates to correctness."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mull.files.recording import Recording
from mull.stats.intervals import DIFFERENCE, Interval, bootstrap


@dataclass(frozen=True, slots=True)
class LengthStats:
    """How much the length of replies to one prompt varies, and how length relates to correctness.

    `mean`, `sd` and `p95` are averages over problems of the figures of each problem's draws; `sd_when_solved` is the
    same over problems whose draws are all correct. `correlation` is within problems, averaged over those that have
    both right and wrong draws.
    """

    mean: float
    sd: float
    p95: float
    sd_when_solved: float | None
    correlation: float | None
    ci95: Interval | None
    problems: int


def tokens(recordings: Iterable[Recording], seed: int = 0) -> LengthStats | None:
    """How output lengths vary for one prompt; `None` if the lengths are unknown for every problem."""
    found = Lengths()
    for one in recordings:
        found.add(one)
    return found.stats(seed)


class Lengths:
    """How long the replies to each problem are, problem after problem."""

    def __init__(self) -> None:
        self._each: list[tuple[float, float, float]] = []
        """The mean, the standard deviation and the 95th percentile of each problem's lengths."""
        self._solved: list[float] = []
        self._related: list[float] = []

    def add(self, one: Recording) -> None:
        known = np.array(one.tokens or (None,) * len(one.correct), dtype=np.float64)
        is_known = ~np.isnan(known)
        t, c = known[is_known], np.array(one.correct, dtype=np.float64)[is_known]
        if len(t) < 2:
            return
        mean, share = t.mean(), c.mean()
        off = t - mean
        square = float(off @ off)
        sd = math.sqrt(square / (len(t) - 1))
        place, part = divmod(0.95 * (len(t) - 1), 1.0)  # as `np.quantile`, which takes far longer
        low, high = np.sort(t)[[int(place), min(int(place) + 1, len(t) - 1)]].tolist()
        self._each.append((float(mean), sd, low + part * (high - low)))
        if share == 1:
            self._solved.append(sd)
        if 0 < share < 1 and square > 0:
            self._related.append(float(off @ c) / math.sqrt(square * len(t) * share * (1 - share)))

    def stats(self, seed: int = 0) -> LengthStats | None:
        """The averages over problems; `None` if the lengths are unknown for every problem."""
        if not self._each:
            return None
        mean, sd, p95 = (float(np.mean(column)) for column in zip(*self._each, strict=True))
        return LengthStats(
            mean,
            sd,
            p95,
            float(np.mean(self._solved)) if self._solved else None,
            float(np.mean(self._related)) if self._related else None,
            bootstrap(self._related, seed, DIFFERENCE) if self._related else None,
            len(self._each),
        )
