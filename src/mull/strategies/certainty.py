"""A vote weighted by the rank of each reply's self-certainty (Kang et al. 2025, arXiv 2502.18581)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mull.errors import UsageError
from mull.replies.answers import classes
from mull.run import Run
from mull.strategies import confidence, pick
from mull.strategies.outcomes import check_at_least, elected
from mull.types import NO_NEEDS, Finish, Outcome, Problem, Scaling, Score, Selection


@dataclass(frozen=True)
class SelfCertainty:
    """Borda vote by self-certainty: the reply of rank r among n weighs (n - r + 1)^p (arXiv 2502.18581).

    Self-certainty is the mean divergence of a reply's token distributions from the uniform one, here over the `top`
    likeliest tokens, since servers report no more. With p = 0 this is the majority vote; the larger p, the more the
    most certain replies count. Where no two answers are equal, as for open text, the most certain reply wins.
    """

    needs = NO_NEEDS
    draws = Scaling.PARALLEL
    selects = Selection.VOTES

    n: int = 16
    p: float = 0.5
    top: int = 20

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, top=self.top)
        if not self.p >= 0:
            raise UsageError(f"p is the power of a rank, 0 or more, not {self.p:g}")

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        samples = await run.draw(problem.prompt, self.n, replace(run.params, logprobs=self.top))
        answers = await classes(problem, samples)
        told = [sample.finish is not Finish.ERROR and bool(sample.alternatives) for sample in samples]
        certainties = [
            confidence.measured(confidence.of_tokens(sample, "top", self.top), 1, "mean")
            for sample, is_told in zip(samples, told, strict=True)
            if is_told
        ]
        weights = iter(pick.borda(certainties, self.p))
        scores = [Score(next(weights)) if is_told else Score(None, why="no log-probabilities") for is_told in told]
        # Ranks weight votes; they are no scores of the replies.
        outcome = elected(pick.weighted(answers, scores, run.rng), answers, samples, scores, run.stopped)
        return replace(outcome, scores=(), notes={**outcome.notes, "unweighted": told.count(False)})
