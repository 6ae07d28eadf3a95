"""A written check of each step: what is asked of it, what its verdicts become, and what it costs."""

import math
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

import pytest

from mull import Cost, Draw, Finish, Params, Problem, Prompt, Sample, UsageError, spec
from mull.run.calls import MeteredCalls
from mull.types import Purse
from mull.verifiers.genprm import FIRST, GenPRM

PROBLEM = Problem("p", Prompt.user("What is 2 + 3 * 4?"))
RIGHT, WRONG = "First 3 * 4 = 12.", "Then 2 + 12 = 15."
REPLY = f"{RIGHT}\n\n{WRONG}"


@dataclass
class Checker:
    """A model that finds the step wrong that ends in 15, with a chance of its own for each step."""

    chances: dict[str, float] = field(default_factory=lambda: {RIGHT: 0.9, WRONG: 0.2})
    asked: list[str] = field(default_factory=list)
    silent_about: str = "\0"

    name = "checker"
    identity = "checker"

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        return None

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        return Cost(1, 100, params.max_tokens)

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        # The step to check is the last one of the solution that is quoted.
        step = max(self.chances, key=prompt.question.rfind)
        for draw in draws:
            self.asked.append(prompt.question)
            p = self.chances[step]
            word = "Yes" if p > 0.5 else "No"
            text = "Hm." if self.silent_about == step else f"I did it again.\nIs the step correct (Yes/No)? {word}"
            tops = ((("Yes", math.log(p)), ("No", math.log(1 - p))),)
            yield Sample(prompt, text, Finish.STOP, Cost(1, 100, 1), draw.number, draw.seed, alternatives=tops)


def sample(text: str) -> Sample:
    return Sample(PROBLEM.prompt, text, Finish.STOP)


async def test_each_step_is_checked_after_those_before_it() -> None:
    model = Checker()
    (score,) = await GenPRM(model).score(PROBLEM, [sample(REPLY)], MeteredCalls())
    assert score.steps == pytest.approx((0.9, 0.2))
    assert score.value == pytest.approx(0.2), "a reply is as good as its worst step"
    first, second = sorted(model.asked, key=lambda text: WRONG in text)
    assert FIRST in first
    assert WRONG not in first, "later steps are not shown"
    assert "answer A" not in second, "what is quoted is named: the steps before, and the step"
    assert second.index(RIGHT) < second.index(WRONG)


@pytest.mark.parametrize(("fold", "value"), [("min", 0.2), ("last", 0.2), ("prod", 0.18), ("mean", 0.55)])
async def test_the_fold_of_the_steps(fold: str, value: float) -> None:
    checker = spec.build("verifier", spec.VERIFIERS, f"genprm:model=nano,fold={fold}")
    (score,) = await GenPRM(Checker(), fold=checker.fold).score(PROBLEM, [sample(REPLY)], MeteredCalls())
    assert score.value == pytest.approx(value)


async def test_a_shared_beginning_is_checked_and_paid_for_once() -> None:
    model = Checker({RIGHT: 0.9, WRONG: 0.2, "So 14.": 0.8})
    scores = await GenPRM(model).score(PROBLEM, [sample(REPLY), sample(f"{RIGHT}\n\nSo 14.")], MeteredCalls())
    assert [score.value for score in scores] == pytest.approx([0.2, 0.8])
    assert len(model.asked) == 3
    assert [score.drawn.calls for score in scores] == [2, 1]


async def test_a_step_without_a_verdict_leaves_the_reply_without_a_score() -> None:
    (score,) = await GenPRM(Checker(silent_about=WRONG)).score(PROBLEM, [sample(REPLY)], MeteredCalls())
    assert score.value is None
    assert score.steps == ()
    assert score.why.startswith("step 2: the judge gave no verdict")


def test_options_are_checked() -> None:
    with pytest.raises(UsageError, match="fold"):
        GenPRM(Checker(), fold="most")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="separator"):
        GenPRM(Checker(), split="")
