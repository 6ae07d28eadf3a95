"""A preset's answers to questions of which the right answers are known."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mull.bank import Bank
from mull.run.together import together
from mull.run.wallet import Wallet
from mull.serve.answering import answers
from mull.serve.confidence import LabelledAnswer
from mull.serve.live import Live
from mull.serve.plans import ChatPlan
from mull.types import Params, Problem, Task

N_AT_ONCE = 16
"""Questions in progress at the same time."""


async def answered(
    plan: ChatPlan, task: Task, problems: Sequence[Problem], *, seed: int = 0, bank: Bank | None = None
) -> list[LabelledAnswer]:
    """The preset's answers, those without a confidence, a grade or all their draws left out.

    Raises what `answers` raises.
    """
    params = Params(plan.temperature, plan.max_tokens)
    at_once = asyncio.Semaphore(N_AT_ONCE)

    async def one(problem: Problem) -> LabelledAnswer | None:
        async with at_once:
            live = Live("", plan)
            wallet = Wallet(plan.budget)
            (answer,) = await answers(plan, problem.prompt, params, wallet, seed=seed, bank=bank, begin=live.begin)
        grade = await task.grade(problem.id, answer.best)
        confidence = answer.outcome.confidence
        if confidence is None or grade.correct is None or answer.is_incomplete:
            return None
        return LabelledAnswer(answer.chosen_by, confidence, grade.correct)

    return [row for row in await together([one(problem) for problem in problems]) if row is not None]
