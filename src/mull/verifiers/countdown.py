"""The countdown checker: whether an expression reaches the target with the given numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mull.replies.answers import answers_of
from mull.replies.expression import misses
from mull.types import AnswerKind, Calls, Cost, Problem, Prompt, Sample, Score
from mull.verifiers.contract import Contract
from mull.verifiers.failed import but_failed

_PROMPT = re.compile(r"\s*reach ([0-9]{1,9}) with ((?:[0-9]{1,9} ?)+)\s*")

NO_TARGET = "the problem gives no numbers and target to check against: those of the task countdown do"


@dataclass(frozen=True)
class CountdownChecker:
    """Scores 1 for an expression that reaches the target using each number at most as often as given, else 0.

    The numbers and the target are `given["numbers"]` and `given["target"]`, or stated in the prompt as
    `reach 88 with 3 4 7 25`. A score of 0 has a reason. Replies to a problem without numbers and a target have no
    score.
    """

    @property
    def name(self) -> str:
        return "countdown"

    @property
    def contract(self) -> Contract:
        """A countdown problem with a right and a wrong reply."""
        problem = Problem("countdown", Prompt.user("reach 11 with 3 10 2"), AnswerKind.EXPRESSION)
        return Contract(problem, "answer: (10+3)-2", "answer: 10+3")

    @property
    def identity(self) -> None:
        """`None`, not banked: checking again is cheaper than a lookup."""
        return None

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        """No cost: a few microseconds of arithmetic."""
        return Cost()

    def lacks(self, problem: Problem) -> str:
        """What this verifier needs and the problem does not give; empty if it can be scored."""
        return "" if _asked(problem) else NO_TARGET

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        asked = _asked(problem)
        if asked is None:
            return [Score(None, why=NO_TARGET)] * len(samples)
        numbers, target = asked
        answers = await answers_of(problem, samples)
        whys = [misses(answer, numbers, target) for answer in answers]
        return but_failed(samples, [Score(0.0 if why else 1.0, why=why) for why in whys])


def _asked(problem: Problem) -> tuple[Sequence[int], int] | None:
    """The numbers and the target of a problem; `None` if it has none."""
    if "numbers" in problem.given and "target" in problem.given:
        return problem.given["numbers"], problem.given["target"]
    told = _PROMPT.fullmatch(problem.prompt.question)
    return (tuple(map(int, told[2].split())), int(told[1])) if told else None
