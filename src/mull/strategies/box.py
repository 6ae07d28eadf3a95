"""Best-of-n that stops when a better score is not worth another draw (Pandora's box, arXiv 2510.01394)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from mull.errors import UsageError
from mull.run import Run
from mull.strategies import pick
from mull.strategies.outcomes import check_at_least, chosen
from mull.types import Need, Outcome, Problem, Sample, Scaling, Score, Selection, Stopped


def expected_gain(scores: Sequence[float], best: float) -> float:
    """An optimistic estimate of E[max(0, X - best)] for the next score X, from those seen, all in [0, 1].

    Above their median m scores are taken as exponential with the mean excess L, plus one standard error: the gain is
    L (exp(-(best - m) / L) - exp(-(1 - m) / L)) / 2, the second part because no score is above 1.
    """
    middle = median(scores)
    above = [score - middle for score in scores if score > middle]
    if not above:
        return 0.0
    scale = fmean(above) * (1 + 1 / math.sqrt(len(above)))
    return scale * (math.exp(-(best - middle) / scale) - math.exp(-(1 - middle) / scale)) / 2


@dataclass(frozen=True)
class BestStop:
    """Best-of-n that stops as soon as the expected gain in score by another draw is below `price`.

    Weitzman's rule for boxes of unknown content, with the law of scores learned on the way, upper bound first (Kalayci
    et al. 2025, arXiv 2510.01394). It draws `warmup` replies, then one `wave` at a time. If all scores are equal it
    stops, since nothing says that another would be better.
    """

    needs = frozenset({Need.VERIFIER})
    draws = Scaling.PARALLEL
    selects = Selection.SCORES
    reuses = True

    n: int = 32
    price: float = 0.005
    warmup: int = 4
    wave: int = 1

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, warmup=self.warmup, wave=self.wave)
        if not self.price > 0:
            raise UsageError(f"price is the score that a draw must gain, above 0, not {self.price:g}")

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        samples, scores, is_enough = list[Sample](), list[Score](), False
        while len(samples) < self.n and not is_enough:
            asked = self.wave if samples else self.warmup
            wave = await run.draw(problem.prompt, min(asked, self.n - len(samples)))
            if not wave:
                break
            samples += wave
            scores += await run.score(problem, wave)
            known = [score.value for score in scores if score.value is not None]
            is_enough = bool(known) and expected_gain(known, max(known)) < self.price
        stopped = Stopped.EARLY if is_enough and len(samples) < self.n else run.stopped
        return await chosen(pick.best(scores, run.rng), problem, samples, scores, stopped)
