"""Combining verifiers without gold, and calibrating one with it."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from mull import Cost, Finish, Problem, Prompt, Sample, Score, UsageError
from mull.run.calls import MeteredCalls
from mull.types import Calls
from mull.verifiers.combine import Calibrated, Combined, Isotonic, fit_label_model, isotonic, naive_bayes

N = 3000


def test_naive_bayes_lets_one_good_verifier_outvote_two_poor_ones() -> None:
    assert naive_bayes([True, False, False], [0.9, 0.6, 0.6]) == pytest.approx(0.8)
    assert naive_bayes([True, None, None], [0.9, 0.6, 0.6]) == pytest.approx(0.9)
    assert naive_bayes([None], [0.9], prior=0.3) == pytest.approx(0.3)
    assert 0.98 < naive_bayes([True], [1.0]) < 1


def simulated(hits: Sequence[float], alarms: Sequence[float], prior: float = 0.4, seed: int = 0):  # type: ignore[no-untyped-def]
    """Truth, and scores of verifiers that are independent given it."""
    rng = np.random.default_rng(seed)
    truth = rng.random(N) < prior
    rates = np.where(truth[:, None], hits, alarms)
    accepts = rng.random(rates.shape) < rates
    return truth, np.where(accepts, 0.5, 0.0) + rng.random(rates.shape) / 2


def right(truth: np.ndarray, chances: np.ndarray) -> float:
    return float(np.mean((chances >= 0.5) == truth))


def test_how_often_each_is_right_is_learnt_without_gold() -> None:
    """Within 0.05 of the truth, over three standard errors of the rates at this size."""
    hits, alarms = [0.9, 0.8, 0.7, 0.75, 0.6], [0.1, 0.3, 0.2, 0.35, 0.4]
    truth, scores = simulated(hits, alarms)
    model = fit_label_model(scores > 0.5)
    assert model.hits == pytest.approx(hits, abs=0.05)
    assert model.false_alarms == pytest.approx(alarms, abs=0.05)
    assert model.prior == pytest.approx(0.4, abs=0.05)
    votes = (scores > 0.5).mean(axis=1)
    assert right(truth, model.probability(scores > 0.5)) > right(truth, votes) + 0.02
    assert right(truth, model.probability(scores > 0.5)) >= right(truth, scores[:, 0]) - 0.005


def test_near_duplicates_share_one_voice() -> None:
    """Six copies of a poor verifier, one in twenty of whose verdicts differ, do not outvote four better ones."""
    truth, scores = simulated([0.8, 0.8, 0.8, 0.8, 0.6], [0.2, 0.2, 0.2, 0.2, 0.4])
    rng = np.random.default_rng(1)
    copies = [np.where(rng.random(N) < 0.05, 1 - scores[:, 4], scores[:, 4]) for _ in range(5)]
    crowded = np.column_stack([scores, *copies]) > 0.5
    model = fit_label_model(crowded)
    assert sum(model.weights[4:]) < 2.2
    assert min(model.weights[:4]) > 0.8
    accuracy = right(truth, model.probability(crowded))
    assert accuracy > 0.85
    assert accuracy > right(truth, crowded.mean(axis=1)) + 0.1
    assert accuracy > right(truth, fit_label_model(scores > 0.5).probability(scores > 0.5)) - 0.03


def test_what_says_the_same_of_everything_is_dropped_and_what_is_missing_is_left_out() -> None:
    truth, scores = simulated([0.9, 0.8, 0.8], [0.1, 0.2, 0.2])
    scores[np.random.default_rng(2).random(scores.shape) < 0.2] = math.nan
    model = fit_label_model(np.column_stack([scores, np.ones(N), np.full(N, math.nan)]))
    assert model.weights[3:] == (0.0, 0.0)
    assert math.isnan(model.cuts[3])
    assert right(truth, model.probability(np.column_stack([scores, np.ones(N), np.ones(N)]))) > 0.85


def test_scores_of_any_scale_are_cut_at_their_mean() -> None:
    _, scores = simulated([0.9, 0.8, 0.8], [0.1, 0.2, 0.2])
    plain, scaled = fit_label_model(scores), fit_label_model(scores * [1, 100, 0.001] + [0, -30, 5])
    assert scaled.hits == pytest.approx(plain.hits)


def test_two_verifiers_tell_nothing_about_each_other() -> None:
    with pytest.raises(UsageError, match=r"at least 3 verifiers .* not 2"):
        fit_label_model(np.random.default_rng(0).random((50, 2)))


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_isotonic_calibration_is_the_nearest_rising_curve(rows: list[tuple[float, bool]]) -> None:
    scores, labels = [s for s, _ in rows], [float(c) for _, c in rows]
    curve = isotonic(scores, labels)
    assert list(curve.values) == sorted(curve.values)
    levels, inverse, n = np.unique(scores, return_inverse=True, return_counts=True)
    means = np.bincount(inverse, weights=labels) / n
    assert curve(levels) == pytest.approx(isotonic_regression(means, weights=n).x)


@dataclass(frozen=True)
class Fixed:
    """Scores a reply by a table."""

    name: str
    table: tuple[tuple[str, float | None], ...]

    @property
    def identity(self) -> str:
        return self.name

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        return Cost(len(samples))

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        found = dict(self.table)
        return [Score(found[s.text], cost=Cost(1), why="" if found[s.text] is not None else "down") for s in samples]


def test_combined_and_calibrated_verifiers_are_verifiers() -> None:
    problem = Problem("p", Prompt.user("q"))
    samples = [Sample(problem.prompt, text, Finish.STOP) for text in "abc"]
    rows = {"x": (0.9, 0.1, None), "y": (0.8, 0.2, None), "z": (0.7, None, None)}
    verifiers = tuple(Fixed(name, tuple(zip("abc", row, strict=True))) for name, row in rows.items())
    _, scores = simulated([0.9, 0.8, 0.8], [0.1, 0.2, 0.2])
    both = Combined(verifiers, fit_label_model(scores))
    high, low, none = asyncio.run(both.score(problem, samples, MeteredCalls()))
    assert high.value is not None
    assert low.value is not None
    assert high.value > 0.9
    assert low.value < 0.2
    assert (none.value, none.why, none.drawn.calls) == (None, "down", 3)
    assert both.quote(problem, samples) == Cost(), "its verifiers are held for by themselves"
    assert both.name == "x+y+z"
    calm = Calibrated(verifiers[0], Isotonic((0.0, 0.5), (0.25, 0.75)))
    assert [s.value for s in asyncio.run(calm.score(problem, samples, MeteredCalls()))] == [0.75, 0.25, None]
    assert calm.identity != verifiers[0].identity
