"""Gold answers as a verifier, for upper bounds on what a strategy can reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mull.types import Calls, Cost, Problem, Sample, Score, Task


@dataclass(frozen=True)
class Oracle:
    """A task's own grade as a score: 1 right, 0 wrong. It is passed to a run in code; no spec names it.

    Results reached with it are upper bounds: outcomes are marked `oracle` in their notes.
    """

    task: Task
    is_oracle: bool = True

    @property
    def name(self) -> str:
        return "oracle"

    @property
    def identity(self) -> None:
        """Always `None`: its scores are never banked, so no verifier can replay them."""
        return None

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        return Cost()

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> list[Score]:
        grades = [await self.task.grade(problem.id, sample) for sample in samples]
        return [Score(None if g.correct is None else float(g.correct), why=g.why) for g in grades]
