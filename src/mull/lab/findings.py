"""The figures of a study: each model on each task at each level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mull.files.recording import Recording
from mull.lab.averaged import averaged
from mull.stats.estimators import pass_at_k
from mull.stats.intervals import SHARE, Interval, bootstrap

Groups = Mapping[str, Mapping[str, Sequence[Recording]]]
"""The draws of a study by task, then model."""


class StudyRow(NamedTuple):
    """One model on one task at one level; `best` is the most accurate strategy, `coverage` is at all draws (oracle).

    `single` is the share of right draws. `None`: no draws are known.
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


def summary(groups: Groups, seed: int = 0) -> list[StudyRow]:
    """A row for each model on each task."""
    return [_row(task, model, found, seed) for task, models in groups.items() for model, found in models.items()]


def _row(task: str, model: str, recordings: Sequence[Recording], seed: int) -> StudyRow:
    names = list(dict.fromkeys(name for one in recordings for name in one.results))
    shares = {name: share for name in names if (share := averaged(name, recordings, seed).accuracy) is not None}
    best = max(shares, key=lambda name: shares[name], default=None)
    n = min(one.n for one in recordings)
    lengths = [t for one in recordings for t in one.tokens if t is not None]
    rates = [one.n_correct / one.n for one in recordings] if n else []
    return StudyRow(
        task,
        model,
        len(recordings),
        sum(rates) / len(rates) if rates else None,
        bootstrap(rates, seed, SHARE) if rates else None,
        best,
        None if best is None else shares[best],
        n,
        sum(pass_at_k(one.n, one.n_correct, n) for one in recordings) / len(recordings) if n else None,
        sum(lengths) / len(lengths) if lengths else None,
    )


def unsolved(rows: Sequence[StudyRow]) -> list[str]:
    """The tasks of which no model solved any problem with any draw."""
    tasks = dict.fromkeys(row.task for row in rows)
    return [task for task in tasks if all(row.is_unsolved for row in rows if row.task == task)]
