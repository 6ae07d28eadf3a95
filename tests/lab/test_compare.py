"""Intervals cover what they say they do."""

import numpy as np
import pytest

from mull.lab.compare import bootstrap, paired, wilson


def test_wilson_against_known_values() -> None:
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=5e-5)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=5e-5)
    assert wilson(10, 10).high == pytest.approx(1.0)


def test_the_bootstrap_covers_the_mean() -> None:
    """Nominal 95 %, 200 sets of 100 problems: under 176 or over 199 covered with a probability under .001."""
    rng = np.random.default_rng(0)
    covered = sum((i := bootstrap(rng.random(100) < 0.3, seed)).low <= 0.3 <= i.high for seed in range(200))
    assert 176 <= covered <= 199


def test_a_paired_difference_is_sharper_than_two_intervals() -> None:
    rng = np.random.default_rng(3)
    base = rng.random(400) < 0.5
    better = base | (rng.random(400) < 0.1)
    result = paired("a", "b", [bool(x) for x in better], [bool(x) for x in base])
    assert result is not None
    assert 0 < result.ci95.low < result.difference < result.ci95.high < 0.12
    assert wilson(int(better.sum()), 400).low < wilson(int(base.sum()), 400).high, "apart they overlap"


def test_only_problems_that_both_were_graded_on_count() -> None:
    result = paired("a", "b", [True, None, True], [False, True, True])
    assert result is not None
    assert (result.problems, result.difference) == (2, 0.5)
    assert paired("a", "b", [None], [True]) is None
