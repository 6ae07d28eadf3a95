"""Majority vote that stops when more draws would not help; `mull.allocate.stop` has the stopping rules."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from mull.allocate.stop import Evidence, beta, certified, curtail, eprocess, top_two, window
from mull.equal import Answers
from mull.errors import UnknownNameError, UsageError
from mull.replies.answers import classes
from mull.run import Run
from mull.strategies import pick
from mull.strategies.outcomes import check_at_least, elected
from mull.types import NO_NEEDS, Outcome, Problem, Sample, Scaling, Selection, Stopped

if TYPE_CHECKING:
    from mull.allocate.optimal import StopPolicy
    from mull.allocate.prior import Prior

Rule = Literal["curtail", "beta", "window", "eprocess", "guarantee", "learned"]
SHIPPED = "default"
"""The name of the prior that comes with mull."""


def state(answers: Sequence[str | None]) -> tuple[int, int, int, int]:
    """The state that a learned stop uses: votes of the leader, votes of the runner-up, all votes, all draws."""
    return *top_two(answers), len(answers) - answers.count(None), len(answers)


def decided_after(answers: Sequence[str | None], n: int) -> int:
    """The least number of the n draws after which the leader cannot be overtaken."""
    first, second = top_two(answers)
    return max(1, (n - len(answers) - (first - second)) // 2 + 1)


@dataclass(frozen=True)
class Adaptive:
    """Adaptive self-consistency: majority of at most n draws, made in waves until a stopping rule is met.

    `learned`: another draw would reduce the probability that the full vote elects another answer by less than `price`,
    on average over problems as in the file `prior` of `mull train stop`; the default prior is fitted on recorded draws
    of six models. `beta`: the leader leads with probability `level`. `window`: `width` consecutive draws agree.
    `guarantee`: the answer differs from the full vote's with probability at most `delta`, for any model. `eprocess`:
    it differs from the model's most likely answer with probability at most `delta`, if there are at most `classes`
    answers. `curtail`: the leader cannot be overtaken; every other rule stops then too.

    Each wave is the smallest after which the rule could stop if all its draws were for the leader, so no draw is
    wasted; `wave` sets a minimum size, for models whose round trips cost more than draws.
    """

    needs = NO_NEEDS
    draws = Scaling.PARALLEL
    selects = Selection.VOTES
    reuses = True

    n: int = 64
    rule: Rule = "beta"
    wave: int = 1
    level: float = 0.95
    width: int = 5
    delta: float = 0.05
    classes: int = 10
    evidence: Evidence = "mixture"
    price: float = 0.0075
    prior: str = SHIPPED

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, wave=self.wave, width=self.width, classes=self.classes)
        if self.rule not in get_args(Rule):
            raise UnknownNameError("rule", self.rule, get_args(Rule))
        if self.evidence not in get_args(Evidence):
            raise UnknownNameError("evidence", self.evidence, get_args(Evidence))
        if not 0.5 < self.level < 1:
            raise UsageError(f"level must be between 0.5 and 1, not {self.level}")
        if not 0 < self.delta < 1:
            raise UsageError(f"delta must be between 0 and 1, not {self.delta}")
        if not 0 < self.price < 1:
            raise UsageError(f"price must be between 0 and 1, not {self.price}")
        if self.prior != SHIPPED and self.rule != "learned":
            raise UsageError(f"rule={self.rule} uses no prior: set rule=learned, or remove prior=")
        if self.rule == "learned":
            self._prior  # noqa: B018 - an invalid file raises an error before any draw

    @cached_property
    def _prior(self) -> Prior:
        from mull.allocate import prior

        return prior.read(prior.DEFAULT if self.prior == SHIPPED else Path(self.prior))

    @property
    def _policy(self) -> StopPolicy:
        from mull.allocate.optimal import policy

        return policy(self._prior, self.n, self.price)

    def is_enough(self, answers: Sequence[str | None]) -> bool:
        """Whether the rule is met after these answers."""
        if curtail(answers, self.n):
            return True
        if self.rule == "learned":
            return self._policy.is_enough(*state(answers))
        if self.rule == "beta":
            return beta(answers, self.level)
        if self.rule == "window":
            return window(answers, self.width)
        if self.rule == "guarantee":
            return certified(answers, self.n, self.delta)
        if self.rule == "eprocess":
            return eprocess(answers, self.delta, self.classes, self.evidence)
        return False

    def next_wave(self, answers: Sequence[str | None]) -> int:
        """The fewest draws after which the rule can stop, at least `wave` and at most the rest of n."""
        left = self.n - len(answers)
        if self.rule == "learned":
            # It may also stop because a close vote is not worth more draws: then not all of them are for the leader.
            fewest = min(self._policy.next_stop(*state(answers)), decided_after(answers, self.n))
        else:
            leaders = [a for a, _ in Counter(a for a in answers if a is not None).most_common()] or [""]
            if self.rule == "guarantee":
                # Evidence counts from an answer's first draw on: a new answer may reach certainty before the leader.
                leaders.append("\n")
            else:
                leaders = leaders[:1]
            fewest = min(
                1 + bisect_left(range(1, left), True, key=lambda k: self.is_enough([*answers, *[leader] * k]))
                for leader in leaders
            )
        return min(max(fewest, self.wave), left)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        samples: list[Sample] = []
        answers = Answers()
        stopped = Stopped.COMPLETE
        while len(samples) < self.n:
            wave = await run.draw(problem.prompt, self.next_wave(answers))
            if not wave:
                break
            samples += wave
            answers = await classes(problem, samples)
            if len(samples) < self.n and self.is_enough(answers):
                stopped = Stopped.EARLY
                break
        stopped = stopped if stopped is Stopped.EARLY else run.stopped
        return elected(pick.majority(answers, run.rng), answers, samples, (), stopped)
