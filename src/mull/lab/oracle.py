"""Gold answers as a verifier, for upper bounds on what a strategy can reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mull.types import Calls, Cost, Problem, Sample, Score, Task


@dataclass(frozen=True)
class Oracle:
    """A task's own grade as a score: 1 right, 0 wrong. A caller makes it and hands it to a run; no spec names it.

    What is reached with it is an upper bound and no method: outcomes are marked `oracle` in their notes.
    """

    task: Task
    is_oracle: bool = True

    @property
    def name(self) -> str:
        return "oracle"

    @property
    def identity(self) -> None:
        """Its word is never kept in a bank, where a verifier might find it."""
        return None

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        return Cost()

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> list[Score]:
        grades = [await self.task.grade(problem.id, sample) for sample in samples]
        return [Score(None if g.correct is None else float(g.correct), why=g.why) for g in grades]
