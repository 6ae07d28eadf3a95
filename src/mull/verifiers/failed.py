"""A draw that failed has nothing in it to be scored: what it would have said is unknown, and so is its score."""

from __future__ import annotations

from collections.abc import Sequence

from mull.types import Finish, Sample, Score

FAILED = Score(None, why="the draw failed")


def but_failed(samples: Sequence[Sample], scores: Sequence[Score]) -> list[Score]:
    """The scores, without those of draws that failed."""
    return [FAILED if s.finish is Finish.ERROR else score for s, score in zip(samples, scores, strict=True)]
