"""Chooses a strategy per problem: by a learned policy, or else from the draws themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from mull import spec
from mull.allocate import policy_file
from mull.allocate.difficulty import Look, features
from mull.allocate.policy import HOPELESS, STOP, Policy
from mull.equal import Answers
from mull.errors import UsageError
from mull.files.recording import mean_logprob
from mull.replies.answers import classes
from mull.run import Run, Strategy
from mull.run.needs import deepest, needs_of
from mull.strategies import pick
from mull.strategies.adaptive import Adaptive
from mull.strategies.outcomes import check_at_least, elected
from mull.types import NO_NEEDS, AnswerKind, Need, Outcome, Problem, Sample, Scaling, Score, Selection, Stopped

BIGGER = "a bigger model is the better buy"
"""Advice in the notes of an outcome for which more draws would help little."""


def look(answer: str | None, sample: Sample, score: Score | None) -> Look:
    """The features of a draw that a policy uses."""
    logprob = mean_logprob(sample.logprobs)
    return Look(answer, None if score is None else score.value, sample.cost.output_tokens, logprob)


def doubt(answers: Sequence[str | None], scores: Sequence[Score], answer: str | None) -> float:
    """Probability that no draw with this answer is right, with scores as independent probabilities."""
    return math.prod(
        1 - s.value for a, s in zip(answers, scores, strict=True) if a == answer is not None and s.value is not None
    )


@dataclass(frozen=True)
class Auto:
    """Chooses the strategy and its compute per problem, by a learned policy or from the draws themselves.

    With a `policy` (`mull train policy`), a few draws estimate the problem's difficulty, and the policy names the
    strategy for it: often none, if those draws are enough or more would not help. `budget` is the mean cost per
    problem in the policy's unit; without it, accuracy comes first, within the run's ceilings. Raises an error for a
    policy learned with another model, verifier or task, unless `force`.

    Without a policy, it draws at most n times until one answer is sure. With a verifier: until the scores of the
    answer's draws, as probabilities, leave a doubt of at most 1 - `level` and outweigh all other answers together; one
    pass of an exact checker is enough. Without one, it is `adaptive:rule=beta`.
    """

    n: int = 64
    level: float = 0.95
    policy: str | None = None
    budget: float | None = None
    force: bool = False

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n)
        if not 0.5 < self.level < 1:
            raise UsageError(f"level must be between 0.5 and 1, not {self.level}")
        if self.policy is not None:
            policy_file.read(self.policy).plan(self.budget)
        elif self.budget is not None:
            raise UsageError("a mean budget needs a policy: auto:policy=FILE,budget=...; ceilings need none")

    @property
    def needs(self) -> frozenset[Need]:
        """The needs of all strategies in its policy, since any of them may be used."""
        if self.policy is None:
            return NO_NEEDS
        verifier = NO_NEEDS if policy_file.read(self.policy).origin.verifier is None else {Need.VERIFIER}
        return frozenset(verifier.union(*(needs_of(option) for option in self._options())))

    def its_verifier(self) -> str | None:
        """Which verifier its policy was learned with, as a sentence; `None` if with none."""
        known = None if self.policy is None else policy_file.read(self.policy).origin.verifier
        return None if known is None else f"the policy {self.policy} was learned with {known}"

    @property
    def draws(self) -> Scaling | None:
        return deepest(self._options())

    @property
    def selects(self) -> Selection:
        return Selection.SCORES

    @property
    def reuses(self) -> bool:
        """Whether it reuses draws: its first draws are plain draws of the question."""
        return self.policy is None or policy_file.read(self.policy).pilot > 0

    def _options(self) -> list[Strategy]:
        if self.policy is None:
            return []
        bins = policy_file.read(self.policy).bins
        return [_option(one.strategy) for bin in bins for one in bin.options if one.strategy != STOP]

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        if self.policy is not None:
            return await self._learned(policy_file.read(self.policy), problem, run)
        if run.verifier is None:
            return _advised(await Adaptive(self.n, "beta", level=self.level)(problem, run))
        return _advised(await self._until_sure(problem, run))

    async def _until_sure(self, problem: Problem, run: Run) -> Outcome:
        samples: list[Sample] = []
        scores: list[Score] = []
        while len(samples) < self.n:
            # Waves grow with the draws so far: few round trips, and at most half as many extra draws as were needed.
            wave = await run.draw(problem.prompt, min(max(1, len(samples) // 2), self.n - len(samples)))
            if not wave:
                break
            samples += wave
            scores += await run.score(problem, wave)
            answers = await classes(problem, samples)
            (answer, tally) = pick.weighted(answers, scores, run.rng)
            outweighs = 2 * sum(weight for _, weight in tally[:1]) > sum(weight for _, weight in tally)
            if outweighs and doubt(answers, scores, answer) <= 1 - self.level:
                early = Stopped.EARLY if len(samples) < self.n else run.stopped
                return _elected(answers, samples, scores, run, early)
        return _elected(await classes(problem, samples), samples, scores, run, run.stopped)

    async def _learned(self, policy: Policy, problem: Problem, run: Run) -> Outcome:
        self._check(policy, problem, run)
        await run.check(self)
        samples = await run.draw(problem.prompt, policy.pilot) if policy.pilot else []
        scores = await run.score(problem, samples) if samples and policy.origin.verifier is not None else []
        answers = await classes(problem, samples)
        looks = [
            look(a, s, scores[i] if scores else None) for i, (a, s) in enumerate(zip(answers, samples, strict=True))
        ]
        chance, bin = policy.place(features(problem.prompt.question, looks))
        option = policy.choose(bin, run.left, self.budget)
        notes: dict[str, float | str | None] = {
            "predicted_pass_at_1": chance,
            "bin": bin + 1.0,
            "option": option.strategy,
            "expected": option.accuracy,
        }
        if policy.best(bin) < HOPELESS:
            notes["advice"] = BIGGER
        run.note("allocated", samples, **notes)
        first = _elected(answers, samples, scores, run, Stopped.EARLY)
        if option.strategy == STOP or len(samples) < policy.pilot:
            outcome = first if len(samples) == policy.pilot else replace(first, stopped=run.stopped)
        else:
            strategy = _option(option.strategy)
            run.hand_back(samples)
            outcome = await strategy(problem, run)
            if outcome.best is None:
                outcome = replace(first, stopped=outcome.stopped)
        return replace(outcome, notes={**outcome.notes, **notes})

    def _check(self, policy: Policy, problem: Problem, run: Run) -> None:
        """Raises an error, before any draw, for a policy learned with another model, verifier or task."""
        come = policy.origin
        verifier = None if run.verifier is None else run.verifier.identity or run.verifier.name
        task, kind, temperature = _family(problem.id), problem.kind, run.params.temperature
        known = sorted({name.partition(":")[0] for name in come.tasks})
        # Only ids of generated problems name their task, and text is the default kind of a prompt without one.
        is_other_task = task in spec.TASKS and task not in known
        is_other_kind = kind is not AnswerKind.TEXT and kind.value not in come.kinds
        differ = [
            ("the model", come.model, run.model.identity, come.model != run.model.identity),
            ("the verifier", come.verifier, verifier, come.verifier != verifier),
            ("the temperature", come.temperature, temperature, come.temperature != temperature),
            ("the task", ", ".join(known), task, is_other_task),
            ("answers of kind", ", ".join(come.kinds), kind.value, is_other_kind),
        ]
        for what, theirs, ours, is_other in differ:
            if is_other and not self.force:
                raise UsageError(
                    f"the policy {self.policy} was learned with {what} {theirs}, not {ours}: learn one with "
                    "`mull train policy`, or set force=true"
                )
        if come.verifier is not None and run.verifier is None:
            raise UsageError(f"the policy {self.policy} needs a verifier, as it was learned with {come.verifier}")


@lru_cache(maxsize=256)
def _option(text: str) -> Strategy:
    """A policy's strategy: one of mull or of an installed package, since a file must not choose what is imported."""
    strategy: Strategy = spec.strategy(text, may_import=False)
    return strategy


def _family(id: str) -> str:
    """The kind of task that a problem's id names, as `chain` in `chain:ops=4/0/7`."""
    return id.partition("/")[0].partition(":")[0] if "/" in id else ""


def _elected(
    answers: Answers, samples: Sequence[Sample], scores: Sequence[Score], run: Run, stopped: Stopped
) -> Outcome:
    """A vote weighted by the scores, or unweighted if no draw has one."""
    ballot = pick.weighted(answers, scores, run.rng) if scores else pick.majority(answers, run.rng)
    if ballot.answer is None:
        ballot = pick.majority(answers, run.rng)
    return elected(ballot, answers, samples, scores, stopped)


def _advised(outcome: Outcome) -> Outcome:
    """Adds the advice to use a bigger model if all draws were made and no answer has half of the vote."""
    if outcome.stopped is Stopped.COMPLETE and (outcome.confidence or 0.0) < 0.5:
        return replace(outcome, notes={**outcome.notes, "advice": BIGGER})
    return outcome
