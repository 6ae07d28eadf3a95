"""Measures verifiers on draws whose correctness is known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mull.errors import UsageError
from mull.files.recording import Recording
from mull.lab.gap import PASSES, Ceiling, ceiling
from mull.lab.metrics import by_problem
from mull.models.recorded import sample_of
from mull.run.calls import MeteredCalls
from mull.stats.intervals import Interval
from mull.stats.ranking import Floats, auc, calibration_error
from mull.tasks.golds import problem_of
from mull.types import Verifier
from mull.verifiers.combine import LEAST_VERIFIERS, fit_label_model, isotonic

RECORDED = "recorded"
"""The name of the scores that were recorded with the draws."""
COMBINED = "combined without gold"
N_RESAMPLES = 300


@dataclass(frozen=True, slots=True)
class Worth:
    """One verifier's figures; intervals are 95 % over problems, and `None` is unknown.

    `accuracy`: the share of scored draws judged correctly, where a score of .5 or more accepts. `auc`: how likely a
    correct draw scores above a wrong one. `calibration_error`: the mean distance of score and share of correct draws in
    ten bins, unknown unless all scores are in [0, 1]; `calibrated_error`: the same after isotonic calibration on the
    other half of the problems. `best`: the accuracy of best-of-n, `coverage` that of a perfect choice (oracle), both
    at `k` draws per problem, and `gap` their difference: what better verification could gain. `ceiling`: what drawing
    until the verifier accepts converges to.
    """

    verifier: str
    problems: int
    scored: int
    unscored: int
    why_unscored: str
    accuracy: float | None
    accuracy_ci95: Interval | None
    auc: float | None
    auc_ci95: Interval | None
    calibration_error: float | None
    calibrated_error: float | None
    ceiling: Ceiling | None
    k: int
    best: float | None
    coverage: float
    gap: float | None


async def scored(recordings: Sequence[Recording], verifier: Verifier) -> tuple[list[Recording], str]:
    """Recordings with the scores of a verifier instead of their own, and why it could not score the first it missed.

    Raises `UsageError` if the draws have no texts.
    """
    found, why, calls = [], "", MeteredCalls()
    for one in recordings:
        if not one.samples:
            raise UsageError(f"{one.id}: a verifier needs the texts of draws, and their labels or a gold answer")
        problem = problem_of(one, one.kind)
        samples = [sample_of(problem.prompt, s, i) for i, s in enumerate(one.samples)]
        scores = await calls.score(verifier, problem, samples)
        why = why or next((s.why for s in scores if s.value is None and s.why), "")
        found.append(one.with_column("score", tuple(score.value for score in scores)))
    return found, why


def combined(columns: Mapping[str, Sequence[Recording]]) -> list[Recording] | None:
    """The draws with scores of a label model over all verifiers, fitted without gold; `None` for too few."""
    if len(columns) < LEAST_VERIFIERS:
        return None
    scores = np.array(
        [[math.nan if s is None else s for one in column for s in one.scores] for column in columns.values()]
    ).T
    chances = iter(fit_label_model(scores).probability(scores).tolist())
    return [one.with_column("score", tuple(next(chances) for _ in one.scores)) for one in next(iter(columns.values()))]


def worth(name: str, recordings: Sequence[Recording], why: str = "", seed: int = 0) -> Worth:
    """Measures a verifier on these draws."""
    parts = [
        np.array([(s, c) for s, c in zip(one.scores, one.correct, strict=True) if s is not None]).reshape(-1, 2)
        for one in recordings
    ]
    whole = np.concatenate(parts) if parts else np.zeros((0, 2))
    n = sum(one.n for one in recordings)
    k = min(one.n for one in recordings)
    curves = by_problem(recordings, [k], seed)
    best = float(curves["best"].mean()) if "best" in curves else None
    coverage = float(curves["coverage"].mean())
    return Worth(
        name,
        len(recordings),
        len(whole),
        n - len(whole),
        why,
        accuracy(whole),
        resampled(accuracy, parts, seed),
        auc(whole),
        resampled(auc, parts, seed),
        calibration_error(whole),
        calibrated_error(parts),
        ceiling(recordings),
        k,
        best,
        coverage,
        None if best is None else coverage - best,
    )


def accuracy(rows: Floats) -> float | None:
    """The share of rows (score, correct) that are judged correctly."""
    return float(np.mean((rows[:, 0] >= PASSES) == (rows[:, 1] > 0))) if len(rows) else None


def calibrated_error(parts: Sequence[Floats]) -> float | None:
    """The calibration error of scores calibrated on the other half of the problems."""
    halves = [np.concatenate([p for p in parts[i::2] if len(p)] or [np.zeros((0, 2))]) for i in (0, 1)]
    if not all(len(half) for half in halves):
        return None
    done = [
        np.column_stack([isotonic(other[:, 0], other[:, 1])(half[:, 0]), half[:, 1]])
        for half, other in (halves, halves[::-1])
    ]
    return calibration_error(np.concatenate(done))


def resampled(figure: object, parts: Sequence[Floats], seed: int) -> Interval | None:
    """A figure's 95 % interval over problems drawn with replacement; `None` if it is unknown for most resamples."""
    assert callable(figure)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(N_RESAMPLES if parts else 0):
        value = figure(np.concatenate([parts[i] for i in rng.integers(0, len(parts), len(parts))]))
        if value is not None:
            found.append(value)
    if len(found) < N_RESAMPLES // 2:
        return None
    low, high = np.quantile(found, [0.025, 0.975])
    return Interval(float(low), float(high))
