"""The checker of countdown: does the expression reach the target with the given numbers?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mull.answers import answer_of
from mull.expression import misses
from mull.types import Cost, Problem, Sample, Score


@dataclass(frozen=True)
class CountdownChecker:
    """Scores 1 for an expression that reaches `given["target"]` using each of `given["numbers"]` at most as often as given.

    Anything else that a model may write scores 0, with the reason. A problem without numbers and a target
    has no score: this checker does not know what to check there.
    """

    @property
    def name(self) -> str:
        return "countdown"

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        """Nothing: it is a few microseconds of arithmetic."""
        return Cost()

    async def score(self, problem: Problem, samples: Sequence[Sample]) -> Sequence[Score]:
        numbers, target = problem.given.get("numbers"), problem.given.get("target")
        if numbers is None or target is None:
            return [Score(None, why="the problem gives no numbers and target to check against")] * len(samples)
        whys = [misses(answer_of(problem, sample), numbers, target) for sample in samples]
        return [Score(0.0 if why else 1.0, why=why) for why in whys]
