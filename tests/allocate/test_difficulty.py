"""Difficulty from a few draws: the features, the calibrated prediction, and bins that ties do not empty."""

import math
from collections import Counter

import numpy as np
import pytest
from scipy.optimize import minimize

from mull.allocate.difficulty import Look, bin_of, certainty, features
from mull.allocate.difficulty_fit import RIDGE, calibration, edges, fit, ordinal_bins
from mull.errors import UsageError


def test_certainty_is_one_minus_the_entropy_of_the_vote() -> None:
    assert certainty("AAAB") == pytest.approx(0.59436, abs=5e-6)
    assert certainty("AAAA") == 1
    assert certainty("ABCD") == pytest.approx(0)
    assert certainty("A") is None, "one draw agrees with nobody"


def test_draws_without_an_answer_agree_with_no_other() -> None:
    assert certainty([None, None]) == pytest.approx(0)
    assert certainty(["A", "A", None, None]) == pytest.approx(certainty("AABC"))


def test_what_is_unknown_is_no_feature() -> None:
    seen = features("?", [Look("A", 0.9, 10), Look(None, None, 30)])
    assert seen["mean_score"] == seen["max_score"] == 0.9
    assert seen["answered"] == 0.5
    assert seen["log_tokens"] == pytest.approx(math.log(20))
    assert seen["logprob"] is None


def test_ties_do_not_empty_a_bin() -> None:
    """Quantile edges would put six of these ten in one bin and none in two."""
    bins = ordinal_bins([0, 0, 0, 0, 0, 0, 0.1, 0.2, 0.5, 1], 5)
    assert [Counter(bins)[b] for b in range(5)] == [2, 2, 2, 2, 2]
    assert bins[-2:] == [0, 0], "the greatest are the easiest"


@pytest.mark.parametrize(("n", "bins"), [(10, 5), (23, 5), (7, 2), (40, 1), (9, 9)])
def test_a_value_falls_in_the_bin_that_it_was_ranked_in(n: int, bins: int) -> None:
    values = np.random.default_rng(n).permutation(n) / n
    assert [bin_of(v, edges(values, bins)) for v in values] == ordinal_bins(values, bins)


def simulated(n: int, seed: int) -> tuple[list[dict[str, float | None]], list[float]]:
    """Problems of all chances; two looks each, whose scores tell right from wrong roughly; shares of 14 other draws."""
    rng = np.random.default_rng(seed)
    seen, shares = [], []
    for p in rng.beta(0.7, 0.7, n):
        right = rng.random(2) < p
        looks = [
            Look(
                "yes" if r else f"no{rng.integers(3)}", float(rng.beta(4, 2) if r else rng.beta(2, 4)), 40 - int(20 * p)
            )
            for r in right
        ]
        seen.append(features("?", looks))
        shares.append(float((rng.random(14) < p).mean()))
    return seen, shares


def test_predictions_are_calibrated_on_problems_that_were_not_fitted() -> None:
    """Twenty seeds: the error is within .05 of the noise floor of bins of 80, and beats the mean by half in each."""
    for seed in range(20):
        difficulty = fit(*simulated(300, seed))
        seen, shares = simulated(400, 1000 + seed)
        told = calibration([difficulty.predict(one) for one in seen], shares)
        assert told.error < 0.08
        assert told.brier < 0.5 * told.brier_of_mean


def test_the_fit_is_the_penalised_likelihoods_maximum() -> None:
    """Against a general optimiser on the same objective."""
    seen, shares = simulated(60, 5)
    difficulty = fit(seen, shares)
    parts = list(zip(difficulty.names, difficulty.means, difficulty.scales, strict=True))
    table = np.array([[(float(one[n] or 0) - m) / s for n, m, s in parts] for one in seen])
    target = np.array(shares)

    def loss(weights: np.ndarray) -> float:
        logits = weights[0] + table @ weights[1:]
        penalty = 0.5 * RIDGE * (weights[1:] @ weights[1:]) + 0.5e-3 * weights[0] ** 2
        return float(np.logaddexp(0, logits).sum() - target @ logits + penalty)

    best = minimize(loss, np.zeros(len(difficulty.names) + 1), options={"gtol": 1e-8}).x
    assert (difficulty.offset, *difficulty.weights) == pytest.approx(best, abs=1e-4)


def test_an_unknown_feature_counts_as_the_mean() -> None:
    difficulty = fit(*simulated(100, 1))
    seen = simulated(1, 2)[0][0]
    at_mean = {**seen, "mean_score": difficulty.means[difficulty.names.index("mean_score")]}
    assert difficulty.predict({**seen, "mean_score": None}) == pytest.approx(difficulty.predict(at_mean))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_problems_that_all_or_none_are_solved_leave_the_fit_finite(share: float) -> None:
    seen, _ = simulated(30, 3)
    difficulty = fit(seen, [share] * 30)
    assert abs(difficulty.predict(seen[0]) - share) < 0.05


def test_features_that_tell_nothing_are_left_out() -> None:
    seen = [{**one, "mean_score": None, "answered": 1.0} for one in simulated(50, 4)[0]]
    assert "mean_score" not in fit(seen, [0.5] * 50).names
    assert "answered" not in fit(seen, [0.5] * 50).names
    with pytest.raises(UsageError, match="at least one problem"):
        fit([], [])
