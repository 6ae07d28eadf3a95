"""The figures of a study: each model on each task at each level."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mull.files.recording import Recording
from mull.lab.averaged import averaged
from mull.stats.estimators import pass_at_k
from mull.stats.intervals import SHARE, Interval, bootstrap

Groups = Mapping[str, Mapping[str, Sequence[Recording]]]
"""The draws of a study by task, then model."""
RunChances = Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]
"""Chances to be right by task, model, strategy and problem."""


class StudyRow(NamedTuple):
    """One model on one task at one level; `best` is the most accurate strategy, `coverage` is at all draws (oracle).

    `problems` are those with a whole draw, and `single` is the share of right draws. `None`: no draws are known.
    """

    task: str
    model: str
    problems: int
    single: float | None
    single_ci95: Interval | None
    best: str | None
    accuracy: float | None
    draws: int
    coverage: float | None
    tokens: float | None

    @property
    def is_unsolved(self) -> bool:
        """Whether no draw is right on any problem."""
        return self.coverage == 0


def run_chances(groups: Groups, seed: int = 0) -> RunChances:
    """The chance that each strategy that was run solves each graded problem, by all draws that the problem has."""
    return {
        task: {model: _chances(recordings, seed) for model, recordings in models.items()}
        for task, models in groups.items()
    }


def _chances(recordings: Sequence[Recording], seed: int) -> dict[str, dict[str, float]]:
    names = list(dict.fromkeys(name for one in recordings for name in one.results))
    found = {}
    for name in names:
        pairs = zip(recordings, averaged(name, recordings, seed).correct, strict=True)
        found[name] = {one.id: chance for one, chance in pairs if chance is not None}
    return found


def summary(groups: Groups, seed: int = 0, found: RunChances | None = None) -> list[StudyRow]:
    """A row for each model on each task; `found` is `run_chances` of them, where it is known."""
    found = run_chances(groups, seed) if found is None else found
    return [
        _row(task, model, recordings, found[task][model], seed)
        for task, models in groups.items()
        for model, recordings in models.items()
    ]


def _row(
    task: str, model: str, recordings: Sequence[Recording], found: Mapping[str, Mapping[str, float]], seed: int
) -> StudyRow:
    shares = {name: math.fsum(each.values()) / len(each) for name, each in found.items() if each}
    best = max(shares, key=lambda name: shares[name], default=None)
    drawn = [one for one in recordings if one.n]
    n = min((one.n for one in drawn), default=0)
    lengths = [t for one in recordings for t in one.tokens if t is not None]
    rates = [one.n_correct / one.n for one in drawn]
    return StudyRow(
        task,
        model,
        len(drawn or recordings),
        sum(rates) / len(rates) if rates else None,
        bootstrap(rates, seed, SHARE) if rates else None,
        best,
        None if best is None else shares[best],
        n,
        sum(pass_at_k(one.n, one.n_correct, n) for one in drawn) / len(drawn) if drawn else None,
        sum(lengths) / len(lengths) if lengths else None,
    )


def unsolved(rows: Sequence[StudyRow]) -> list[str]:
    """The tasks of which no model solved any problem with any draw."""
    tasks = dict.fromkeys(row.task for row in rows)
    return [task for task in tasks if all(row.is_unsolved for row in rows if row.task == task)]
