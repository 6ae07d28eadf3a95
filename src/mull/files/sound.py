"""Validation of the scores and log-probabilities in files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from mull.errors import FileFormatError
from mull.files.columns import Named
from mull.files.recording import LEAST_LOGPROB, Recording
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
        scores = [score for score in one.scores if score is not None]
        n_scores += len(scores)
        if scores and not (low <= min(scores) <= max(scores) <= high and not math.isnan(sum(scores))):
            n_outside += sum(not low <= score <= high for score in scores)
        if any(logprobs := one.column("logprob")):
            n_clamped += sum(each is not None and not each > LEAST_LOGPROB for each in logprobs)
    if n_outside and needs_scores and span is None:
        raise _undeclared(path, recordings)
    if n_outside:
        notes.append(f"{path.name}: {n_outside} of {n_scores} scores are outside {low:g} to {high:g}: unscored")
    if n_clamped:
        notes.append(f"{path.name}: {n_clamped} log-probabilities are clamped or not numbers: taken as unknown")
    if span is None and not n_clamped and not n_outside:
        return recordings, notes

    def mended(one: Recording) -> Recording:
        logprobs = (each if each is not None and each > LEAST_LOGPROB else None for each in one.column("logprob"))
        inside = (
            (score - low) / (high - low) if score is not None and low <= score <= high else None for score in one.scores
        )
        return one.with_column("score", tuple(inside)).with_column("logprob", tuple(logprobs))

    return Spool(map(mended, recordings)).done(), notes


def _undeclared(path: Path, recordings: Sequence[Recording]) -> FileFormatError:
    """The error for scores outside [0, 1]."""
    one, place, score = next(
        (one, i, score)
        for one in recordings
        for i, score in enumerate(one.scores)
        if score is not None and not 0 <= score <= 1
    )
    known = [math.inf, -math.inf]
    for each in recordings:
        finite = [score for score in each.scores if score is not None and math.isfinite(score)]
        known = [min([known[0], *finite]), max([known[1], *finite])]
    run = f" (they run from {known[0]:g} to {known[1]:g})" if known[0] <= known[1] else ""
    return FileFormatError(
        path,
        one.line,
        f"sample {place}: the score {score:g} is not in [0, 1]{run}: declare their range with --score-range LOW,HIGH, "
        "scores outside it count as missing",
    )
