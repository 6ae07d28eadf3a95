"""Failed draws have no score: their replies are unknown, so no verifier can score them."""

from __future__ import annotations

from collections.abc import Sequence

from mull.types import Finish, Sample, Score

FAILED = Score(None, why="the draw failed")


def but_failed(samples: Sequence[Sample], scores: Sequence[Score]) -> list[Score]:
    """The scores, with those of failed draws replaced by `FAILED`."""
    return [FAILED if s.finish is Finish.ERROR else score for s, score in zip(samples, scores, strict=True)]
