"""Parallel draws and a selection: single draw, majority vote, best-of-n and variants."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mull.errors import UsageError
from mull.replies.answers import answers_of, classes
from mull.run import Run
from mull.strategies import pick
from mull.strategies.outcomes import check_at_least, chosen, elected, turnout
from mull.types import NO_NEEDS, Need, Outcome, Problem, Sample, Scaling, Score, Selection, Stopped


@dataclass(frozen=True)
class Single:
    """One draw, the baseline."""

    needs = NO_NEEDS
    draws = Scaling.PARALLEL
    selects = Selection.NONE
    reuses = True

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        samples = await run.draw(problem.prompt)
        best = samples[0] if samples else None
        answer = (await answers_of(problem, samples[:1]))[0] if best else None
        return Outcome(best, answer, tuple(samples), stopped=run.stopped)


@dataclass(frozen=True)
class Majority:
    """Majority vote: the most frequent answer of n draws (self-consistency, Wang et al. 2022, arXiv 2203.11171)."""

    needs = NO_NEEDS
    draws = Scaling.PARALLEL
    selects = Selection.VOTES
    reuses = True

    n: int = 16

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        samples = await run.draw(problem.prompt, self.n)
        answers = await classes(problem, samples)
        return elected(pick.majority(answers, run.rng), answers, samples, (), run.stopped)


@dataclass(frozen=True)
class Best:
    """Best-of-n: the best scored of n draws."""

    needs = frozenset({Need.VERIFIER})
    draws = Scaling.PARALLEL
    selects = Selection.SCORES
    reuses = True

    n: int = 16

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        samples = await run.draw(problem.prompt, self.n)
        scores = await run.score(problem, samples)
        return await chosen(pick.best(scores, run.rng), problem, samples, scores, run.stopped)


@dataclass(frozen=True)
class Weighted:
    """Best-of-n weighted: the answer with the greatest sum of scores over n draws (Snell et al. 2024)."""

    needs = frozenset({Need.VERIFIER})
    draws = Scaling.PARALLEL
    selects = Selection.SCORES
    reuses = True

    n: int = 16

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        samples = await run.draw(problem.prompt, self.n)
        scores = await run.score(problem, samples)
        answers = await classes(problem, samples)
        return elected(pick.weighted(answers, scores, run.rng), answers, samples, scores, run.stopped)


@dataclass(frozen=True)
class BestOfMajority:
    """The best scored among the answers that at least a share `alpha` of n draws gave (arXiv 2510.03199)."""

    needs = frozenset({Need.VERIFIER})
    draws = Scaling.PARALLEL
    selects = Selection.SCORES
    reuses = True

    n: int = 16
    alpha: float = 0.1

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n)
        if not 0 <= self.alpha <= 1:
            raise UsageError(f"alpha is a share of the draws, between 0 and 1, not {self.alpha}")

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        samples = await run.draw(problem.prompt, self.n)
        scores = await run.score(problem, samples)
        answers = await classes(problem, samples)
        answer = pick.best_of_majority(answers, scores, self.alpha, run.rng)
        place = pick.representative(answer, answers, scores)
        tally = pick.majority(answers, run.rng).tally
        confidence = None if place is None else scores[place].value
        best = None if place is None else samples[place]
        notes = turnout(answers)
        return Outcome(best, answer, tuple(samples), tuple(scores), tally, confidence, run.stopped, notes)


@dataclass(frozen=True)
class MajorityOfBests:
    """The answer that best-of-m chooses most often over bootstraps of n scored draws (arXiv 2511.18630).

    Best-of-n follows a single score, however wrong; this asks which choice is stable. `m` is the size of a bootstrap:
    1 is the majority of the scored draws, a large one best-of-n; by default the square root of n. Computed exactly.
    """

    needs = frozenset({Need.VERIFIER})
    draws = Scaling.PARALLEL
    selects = Selection.SCORES
    reuses = True

    n: int = 16
    m: int | None = None

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, **({} if self.m is None else {"m": self.m}))

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        samples = await run.draw(problem.prompt, self.n)
        scores = await run.score(problem, samples)
        answers = await classes(problem, samples)
        ballot = pick.bests_of_subsets(answers, scores, self.m or round(math.sqrt(self.n)), run.rng)
        return elected(ballot, answers, samples, scores, run.stopped)


@dataclass(frozen=True)
class UntilPass:
    """Draws in waves until the verifier scores one at least `bar`; at most n draws.

    Without a pass, returns the best scored draw. With a checker that errs, accuracy converges to the checker's
    precision, not to 1 (arXiv 2411.17501).
    """

    needs = frozenset({Need.VERIFIER})
    draws = Scaling.PARALLEL
    selects = Selection.SCORES
    reuses = True

    n: int = 64
    wave: int = 4
    bar: float = 1.0

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, wave=self.wave)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        samples: list[Sample] = []
        scores: list[Score] = []
        while len(samples) < self.n:
            wave = await run.draw(problem.prompt, min(self.wave, self.n - len(samples)))
            if not wave:
                break
            samples += wave
            scores += await run.score(problem, wave)
            passed = [i for i, s in enumerate(scores) if s.value is not None and s.value >= self.bar]
            if passed:
                return await chosen(passed[0], problem, samples, scores, Stopped.EARLY)
        return await chosen(pick.best(scores, run.rng), problem, samples, scores, run.stopped)
