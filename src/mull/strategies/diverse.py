"""Ideas first, then an answer under each, so that draws differ in what they try (arXiv 2510.03777)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import get_args

from mull.errors import UnknownNameError
from mull.replies.answers import classes
from mull.run import Run
from mull.strategies import pick
from mull.strategies.compose import Choice
from mull.strategies.outcomes import check_at_least, chosen, elected
from mull.strategies.quoting import check_reads, quoting, said
from mull.types import NO_NEEDS, Ask, Need, Outcome, Problem, Prompt, Scaling, Selection

ASK = (
    "{question}\n\nDo not do this yet. Name {n} ideas of how to do it that differ as much as possible, each in one or "
    "two sentences, and each on a line of its own that begins with its number, as in `1. ...`."
)
FOLLOW = (
    "Do the task by this idea; if it turns out wrong, say why and go another way. Write a reply that is complete in "
    "itself and in the form that the task asks for."
)
MOST_SHOWN = 1000
"""Most characters of one idea in a prompt."""
_NUMBERED = re.compile(r"^[ \t>*_#-]{0,6}\d{1,2}[.):][*_ \t]*(?=\S)", re.MULTILINE)


def ideas_in(reply: str) -> list[str]:
    """The distinct items of a numbered list, each with the lines that follow it."""
    items = [item.strip()[:MOST_SHOWN] for item in _NUMBERED.split(reply)[1:]]
    return list(dict.fromkeys(filter(None, items)))


@dataclass(frozen=True)
class Diverse:
    """Guided draws: the model names ideas, and n draws follow them, each idea as often (GuidedSampling).

    Repeated draws of one prompt try one approach again and again; where it fails, more draws do not help. `pick` is as
    in `repeat`: the `majority` of the answers, `weighted` by the verifier's scores, or the `best` scored. A reply
    without a list of ideas leaves n plain draws, with a warning (arXiv 2510.03777).
    """

    draws = Scaling.SEQUENTIAL

    n: int = 16
    ideas: int = 4
    pick: Choice = "majority"

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, ideas=self.ideas)
        if self.pick not in get_args(Choice):
            raise UnknownNameError("pick", self.pick, get_args(Choice))

    @property
    def needs(self) -> frozenset[Need]:
        return NO_NEEDS if self.pick == "majority" else frozenset({Need.VERIFIER})

    @property
    def selects(self) -> Selection:
        return Selection.VOTES if self.pick == "majority" else Selection.SCORES

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        await check_reads(problem, run, FOLLOW)
        with run.reserve(problem.prompt):  # ideas alone are no answer
            told = await run.draw(self._ask(problem))
        ideas = [idea for sample in told for idea in ideas_in(said(sample))][: self.ideas]
        prompts = [quoting(problem, [("idea", idea)], FOLLOW, run.seed) for idea in ideas] or [problem.prompt]
        numbers = [len(range(i, self.n, len(prompts))) for i in range(len(prompts))]
        asks = [Ask(prompt, n, run.params) for prompt, n in zip(prompts, numbers, strict=True) if n]
        samples = [sample for drawn in await run.draw_each(asks) for sample in drawn]
        scores = [] if self.pick == "majority" else await run.score(problem, samples)
        if self.pick == "best":
            outcome = await chosen(pick.best(scores, run.rng), problem, samples, scores, run.stopped)
        else:
            answers = await classes(problem, samples)
            weighted = pick.weighted(answers, scores, run.rng) if scores else pick.majority(answers, run.rng)
            outcome = elected(weighted, answers, samples, scores, run.stopped)
        warning = {} if ideas or not told else {"warning": "the model listed no ideas: these are plain draws"}
        return replace(outcome, notes={**outcome.notes, "ideas": len(ideas), **warning})

    def _ask(self, problem: Problem) -> Prompt:
        """The question about ideas, in place of the problem's own last message."""
        *before, last = problem.prompt.messages
        if not isinstance(last.content, str) or last.role != "user":
            return quoting(problem, [], ASK.format(question="The task is above.", n=self.ideas), 0)
        asked = replace(last, content=ASK.format(question=last.content, n=self.ideas))
        return replace(problem.prompt, messages=(*before, asked), prefix="")
