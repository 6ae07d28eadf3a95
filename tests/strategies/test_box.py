"""Best-of-n that stops by scores: its estimate of the gain against an integral, and what stopping pays."""

import asyncio
import math
import random
from collections.abc import Sequence

import numpy as np
import pytest

from mull import Cost, Finish, Problem, Prompt, Run, Sample, Stopped, UsageError
from mull.strategies.box import BestStop, expected_gain
from mull.testing import FakeModel, StubVerifier
from mull.types import Draw, Params


@pytest.mark.parametrize("scores", [(0.2, 0.3, 0.4, 0.5), (0.1, 0.1, 0.1, 0.6, 0.7), (0.0, 0.9), (0.4, 0.5, 0.52)])
def test_the_gain_is_that_of_an_exponential_tail_above_the_median_cut_at_one(scores: Sequence[float]) -> None:
    middle, best = float(np.median(scores)), max(scores)
    above = [score - middle for score in scores if score > middle]
    scale = np.mean(above) * (1 + 1 / math.sqrt(len(above)))
    x = np.linspace(best, 1, 200_001)
    tail = 0.5 * np.exp(-(x - middle) / scale)  # E[max(0, min(X, 1) - best)] is the integral of P(X > x)
    assert expected_gain(scores, best) == pytest.approx(float(np.trapezoid(tail, x)), rel=1e-6)


def test_nothing_is_to_be_gained_on_equal_scores_or_above_the_highest_possible() -> None:
    assert expected_gain([0.5] * 4, 0.5) == 0
    assert expected_gain([0.2, 0.4, 1.0], 1.0) == 0
    gains = [expected_gain([0.2, 0.3, 0.4, 0.5], best) for best in (0.5, 0.7, 0.9, 1.0)]
    assert gains == sorted(gains, reverse=True)


class Numbered(FakeModel):
    def _draw(self, prompt: Prompt, params: Params, draw: Draw) -> Sample:
        return Sample(prompt, f"answer: {draw.number}", Finish.STOP, Cost(1, 1, 2), draw.number, draw.seed)


def solved(strategy: BestStop, scores: Sequence[float | None]):  # type: ignore[no-untyped-def]
    verifier = StubVerifier(lambda reply: scores[int(reply.split()[-1])])
    run = Run(Numbered(), verifier=verifier)
    return asyncio.run(strategy(Problem("p", Prompt.user("q")), run)), run


def test_it_stops_where_the_gain_is_below_the_price_and_not_before() -> None:
    scores = [0.2, 0.3, 0.5, 0.1, 0.4, 0.95, 0.3, 0.2]
    strategy = BestStop(8, price=0.02)
    outcome, run = solved(strategy, scores)
    n = len(outcome.candidates)
    gains = [expected_gain(scores[:m], max(scores[:m])) for m in range(4, 9)]
    assert n == 4 + next(i for i, gain in enumerate(gains) if gain < 0.02) == 6
    assert (outcome.answer, outcome.confidence, outcome.stopped) == ("5", 0.95, Stopped.EARLY)
    assert run.spent.calls == 6


def test_equal_scores_end_it_after_the_warmup_and_missing_ones_do_not_count() -> None:
    outcome, _ = solved(BestStop(16), [0.5] * 16)
    assert (len(outcome.candidates), outcome.stopped) == (4, Stopped.EARLY)
    outcome, _ = solved(BestStop(6), [None] * 6)
    assert (len(outcome.candidates), outcome.answer, outcome.stopped) == (6, None, Stopped.COMPLETE)
    with pytest.raises(UsageError, match="price is the score"):
        BestStop(price=0)


def test_stopping_by_scores_pays_more_than_any_fixed_number_of_draws() -> None:
    """Problems differ in how far their scores spread, so no one number fits all: 4,000 problems, the least difference
    seen is 6 standard errors.
    """
    rng, price, n = random.Random(3), 0.01, 32
    paid, fixed = [], {m: [] for m in (4, 6, 8, 12, 16, 24, 32)}  # type: ignore[var-annotated]
    for _ in range(4000):
        spread, base = rng.choice([0.005, 0.02, 0.2]), rng.uniform(0.1, 0.4)
        scores = [min(1.0, base + rng.expovariate(1 / spread)) for _ in range(n)]
        m = next((m for m in range(4, n) if expected_gain(scores[:m], max(scores[:m])) < price), n)
        paid.append(max(scores[:m]) - price * m)
        for k, values in fixed.items():
            values.append(max(scores[:k]) - price * k)
    for values in fixed.values():
        differences = np.array(paid) - np.array(values)
        assert differences.mean() > 4 * differences.std() / math.sqrt(len(differences))
