"""Validation of the scores and log-probabilities in files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mull.errors import FileFormatError
from mull.files.columns import Named
from mull.files.recording import LEAST_LOGPROB, RecordedSample, Recording
from mull.files.spool import Spool


def sound(
    path: Path, recordings: Sequence[Recording], layout: Named, *, needs_scores: bool
) -> tuple[Sequence[Recording], list[str]]:
    """The recordings with scores mapped to [0, 1] and invalid values as `None`, and notes on what was changed.

    Raises `FileFormatError` for scores outside [0, 1] if they are needed and the layout gives no range.
    """
    notes = []
    span = layout.range
    low, high = span or (0.0, 1.0)
    n_scores = n_outside = n_clamped = 0
    for one in recordings:
        scores = [sample.score for sample in one.samples if sample.score is not None]
        n_scores += len(scores)
        n_outside += sum(not low <= score <= high for score in scores)
        n_clamped += sum(s.logprob is not None and not s.logprob > LEAST_LOGPROB for s in one.samples)
    if n_outside and needs_scores and span is None:
        raise _undeclared(path, recordings)
    if n_outside:
        notes.append(f"{path.name}: {n_outside} of {n_scores} scores are outside {low:g} to {high:g}: unscored")
    if n_clamped:
        notes.append(f"{path.name}: {n_clamped} log-probabilities are clamped or not numbers: taken as unknown")
    if span is None and not n_clamped and not n_outside:
        return recordings, notes

    def mended(sample: RecordedSample) -> RecordedSample:
        score, logprob = sample.score, sample.logprob
        return sample._replace(
            score=(score - low) / (high - low) if score is not None and low <= score <= high else None,
            logprob=logprob if logprob is not None and logprob > LEAST_LOGPROB else None,
        )

    return Spool(replace(one, samples=tuple(map(mended, one.samples))) for one in recordings).done(), notes


def _undeclared(path: Path, recordings: Sequence[Recording]) -> FileFormatError:
    """The error for scores outside [0, 1]."""
    one, place, score = next(
        (one, i, sample.score)
        for one in recordings
        for i, sample in enumerate(one.samples)
        if sample.score is not None and not 0 <= sample.score <= 1
    )
    known = [math.inf, -math.inf]
    for each in recordings:
        finite = [s.score for s in each.samples if s.score is not None and math.isfinite(s.score)]
        known = [min([known[0], *finite]), max([known[1], *finite])]
    run = f" (they run from {known[0]:g} to {known[1]:g})" if known[0] <= known[1] else ""
    return FileFormatError(
        path,
        one.line,
        f"sample {place}: the score {score:g} is not in [0, 1]{run}: declare their range with --score-range LOW,HIGH, "
        "scores outside it count as missing",
    )
