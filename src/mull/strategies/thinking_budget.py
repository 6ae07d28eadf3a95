"""The thinking budget that a server enforces, with a check that it does."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mull.replies import thinking
from mull.replies.answers import answers_of
from mull.run import Run
from mull.strategies.outcomes import check_at_least
from mull.types import Finish, Need, Outcome, Problem, Scaling, Selection

TOLERANCE, SLACK = 1.25, 16
"""A thought exceeds its budget if it has more than `TOLERANCE` times the budget plus `SLACK` tokens: its length is
estimated, and a server may let the thought finish its line.
"""


@dataclass(frozen=True)
class ThinkingBudget:
    """One draw whose thought the server limits to `tokens` tokens by a request parameter.

    It works with servers that cannot continue partial replies, such as hosted models. Raises an error before any draw
    if the probe did not find that the server obeys such a parameter, and warns if a thought is longer anyway. `think`
    names the delimiters of a thought that is part of the text.
    """

    needs = frozenset({Need.THINKING_BUDGET})
    draws = Scaling.SEQUENTIAL
    selects = Selection.NONE

    tokens: int
    think: str = "think"

    def __post_init__(self) -> None:
        check_at_least(0, tokens=self.tokens)
        thinking.delimiters(self.think)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        samples = await run.draw(problem.prompt, 1, replace(run.params, thinking_tokens=self.tokens))
        if not samples:
            return Outcome(None, None, stopped=run.stopped)
        (sample,) = samples
        n_thought = thinking.thinking_tokens(sample, thinking.delimiters(self.think))
        notes: dict[str, float | str | None] = {"thinking_tokens": n_thought}
        if sample.finish is not Finish.ERROR and (n_thought or 0) > TOLERANCE * self.tokens + SLACK:
            notes["warning"] = (
                f"{run.model.name} got a thinking budget of {self.tokens} tokens but thought for about {n_thought}: "
                "its server does not enforce the budget"
            )
        (answer,) = await answers_of(problem, samples)
        return Outcome(sample, answer, (sample,), stopped=run.stopped, notes=notes)
