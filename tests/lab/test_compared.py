"""Comparisons of many: bands that hold together, rankings, reliability, and what would settle the rest."""

import itertools
import json
import math
import random
import statistics
from pathlib import Path

import numpy as np
import pytest

from mull.errors import UnknownNameError, UsageError
from mull.files.recording import Recording, of_columns, of_counts
from mull.lab.compared import chances, comparison, failures
from mull.lab.reliability import reliability
from mull.stats.bands import band, compare_curves
from mull.stats.estimators import g_pass_at_k, mean_g_pass_at_k, pass_at_k, pass_at_ks
from mull.stats.intervals import DIFFERENCE, bootstraps
from mull.stats.paired import settling
from mull.stats.ranks import rank


def subsets(n: int, c: int, k: int) -> list[int]:
    """The number of right draws in each subset of k of n draws, c of which are right."""
    return [sum(chosen) for chosen in itertools.combinations([1] * c + [0] * (n - c), k)]


@pytest.mark.parametrize(("n", "c"), [(5, 0), (5, 5), (6, 2), (8, 5), (9, 8)])
def test_reliability_is_counted_over_all_subsets(n: int, c: int) -> None:
    for k in range(1, n + 1):
        right = subsets(n, c, k)
        for share in (0.25, 0.5, 0.75, 1.0):
            expected = statistics.fmean(r >= math.ceil(share * k) for r in right)
            assert g_pass_at_k(n, c, k, share) == pytest.approx(expected)
        assert g_pass_at_k(n, c, k, 1 / k) == pytest.approx(pass_at_k(n, c, k))
        above = range(math.ceil(k / 2) + 1, k + 1)
        expected = 2 / k * sum(statistics.fmean(r >= i for r in right) for i in above)
        assert mean_g_pass_at_k(n, c, k) == pytest.approx(expected)
    with pytest.raises(ValueError, match="G-Pass@k needs"):
        g_pass_at_k(n, c, n + 1, 0.5)


def test_reliability_of_a_group_is_at_the_draws_that_all_have() -> None:
    found = reliability([of_counts("a", 8, 8), of_counts("b", 4, 2)])
    assert found is not None
    assert found.k == 4
    assert (found.any.value, found.half.value, found.all.value) == (1.0, 1.0, 0.5)
    assert found.three_quarters.value == 0.5
    assert reliability([of_counts("a", 1, 1)]) is None


def test_a_band_is_wider_than_the_interval_at_one_k_and_holds_all_k_together() -> None:
    """Nominal 95 %, 100 studies of 60 problems, 8 draws. Were the coverage 93 %, fewer than 83 would be seen in .02 %;
    the intervals at each k together hold less often."""
    ks, population = [1, 2, 4, 8], np.random.default_rng(9).beta(1.0, 2.0, 200_000)
    second = population**0.7
    truth = [float(((1 - population) ** k - (1 - second) ** k).mean()) for k in ks]
    together = pointwise = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        places = rng.integers(0, len(population), 60)
        right = rng.binomial(8, np.array([population[places], second[places]]))
        first_values, second_values = (pass_at_ks([8] * 60, row, ks) for row in right)
        found = compare_curves("second", "first", ks, second_values, first_values, seed)
        single = bootstraps(second_values - first_values, seed, DIFFERENCE)
        together += all(low <= t <= high for low, t, high in zip(found.low, truth, found.high, strict=True))
        pointwise += all(i.low <= t <= i.high for i, t in zip(single, truth, strict=True))
    assert together >= 83
    assert together > pointwise


def test_a_band_of_few_differing_problems_allows_for_those_that_were_not_seen() -> None:
    values = np.zeros((40, 2))
    values[:2, 0] = 1.0
    (low, high), (none_low, none_high) = band(values, DIFFERENCE)
    assert low < 0 < 0.05 + 0.05 < high
    assert none_low == -none_high < 0


def test_where_one_curve_is_better_and_where_it_is_not() -> None:
    """The first is better at one draw on every problem, and at eight draws both solve all."""
    a, b = np.array([[0.9, 1.0]] * 30), np.array([[0.1, 1.0]] * 30)
    a[:, 0] += np.linspace(-0.05, 0.05, 30)
    found = compare_curves("a", "b", [1, 8], a, b)
    assert (found.better, found.worse, found.is_open) == ((1,), (), False)
    assert compare_curves("b", "a", [1, 8], b, a).worse == (1,)
    assert compare_curves("a", "a", [1, 8], a, a).is_open


def test_a_ranking_is_by_wins_over_paired_problems() -> None:
    """Strength against the direct solution for two: 12 wins to 3, and half a win each beforehand: odds 12.5 / 3.5."""
    correct = np.array([[1.0, 0.0]] * 12 + [[0.0, 1.0]] * 3 + [[1.0, 1.0]] * 20)
    strong, weak = rank(["strong", "weak"], correct)
    assert (strong.name, strong.rank, weak.rank) == ("strong", 1, 2)
    odds = strong.strength / (1 - strong.strength)
    assert odds**2 == pytest.approx(12.5 / 3.5, rel=1e-3)
    assert strong.first + weak.first == pytest.approx(1.0)
    assert strong.first > 0.97
    assert strong.ci95.low < strong.strength < strong.ci95.high


def test_what_is_alike_shares_the_first_rank() -> None:
    correct = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]] * 10)
    found = {one.name: one for one in rank(["a", "b", "c"], correct)}
    assert found["a"].first == pytest.approx(0.5)
    assert found["c"].first == 0
    assert found["a"].ranks == found["b"].ranks


def test_what_would_settle_a_comparison() -> None:
    """All noise is in the draws: p = .5 and .6 on every problem. 40 problems of 10 draws are 400 draws of each; a
    difference of .1 takes (1.96 + .84)^2 (.25 + .24) / .01 = 385 draws of each, so 10 of 40 problems."""
    a, b = [0.6] * 40, [0.5] * 40
    noise = [0.1, -0.1] * 20
    told = settling([x + e for x, e in zip(a, noise, strict=True)], b, [10] * 40, [10] * 40)
    assert told.draws == pytest.approx(10, abs=3)
    assert settling([1.0, 0.0] * 10 + [1.0], [0.0, 1.0] * 10 + [0.0], [9] * 21, [9] * 21).draws is None
    assert settling([0.5] * 5, [0.5] * 5, [4] * 5, [4] * 5) == settling([0.5] * 5, [0.5] * 5, [4] * 5, [4] * 5)
    assert settling([0.5] * 5, [0.5] * 5, [4] * 5, [4] * 5).problems is None


def model(name: str, rate: float, n: int = 30) -> list[Recording]:
    rng = random.Random(name)
    rows = [[rng.random() < rate for _ in range(8)] for _ in range(n)]
    return [of_columns(str(i), row, ["a" if right else "b" for right in row]) for i, row in enumerate(rows)]


def test_models_are_compared_on_the_problems_that_both_have() -> None:
    found = comparison({"weak": model("weak", 0.2), "strong": model("strong", 0.8, 25)})
    assert found.problems == 25
    assert found.ranking[0].name == "majority:n=8 on strong"
    curves = {one.curve: one.found for one in found.curves}
    assert set(curves) == {"pass@k", "majority", "pass^k"}
    assert 1 in curves["pass@k"].better
    assert found.open == []
    alike = comparison({"one": model("one", 0.5), "other": model("other", 0.5)})
    assert [(one.a, one.b) for one in alike.open] == [("other", "one")]


def test_what_cannot_be_paired_is_told() -> None:
    with pytest.raises(UsageError, match="no graded problem in common"):
        comparison({"a": [of_counts("1", 4, 1)], "b": [of_counts("2", 4, 1)]})
    with pytest.raises(UsageError, match="needs another model or strategy"):
        comparison({"a": [of_counts("1", 1, 1)]})
    with pytest.raises(UsageError, match="two problems have the same id"):
        chances({"a": [of_counts("1", 4, 1), of_counts("1", 4, 1)]})


def test_checks_fail_below_a_limit_and_where_it_is_worse_beyond_chance() -> None:
    now, before = chances({"m": model("now", 0.3)}), chances({"m": model("before", 0.7)})
    assert failures(now, 0.01, None) == []
    assert len(failures(now, 0.99, None)) == len(now)
    assert "single on m is right on" in failures(now, 0.5, None)[0]
    assert all("is worse than before by" in line for line in failures(now, None, before))
    assert failures(before, None, now) == []
    assert failures(now, None, now) == []
    with pytest.raises(UnknownNameError, match="unknown row of the earlier file 'single on m'"):
        failures(now, None, {"single on n": now["single on m"]})


def test_the_command_ranks_and_exits_for_continuous_integration(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from mull.cli.app import app

    paths = {}
    for name, rate in (("weak", 0.2), ("strong", 0.8)):
        paths[name] = str(tmp_path / f"{name}.jsonl")
        rows = [
            {"problem_id": one.id, "model": name, "samples": [{"text": a, "correct": a == "a"} for a in one.answers]}
            for one in model(name, rate)
        ]
        Path(paths[name]).write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = CliRunner().invoke(app, ["compare", *paths.values(), "--json"])
    assert run.exit_code == 0, run.output
    told = json.loads(run.stdout)
    assert told["ranking"][0]["name"].endswith("on strong")
    assert told["failures"] == []
    run = CliRunner().invoke(app, ["compare", *paths.values(), "--fail-under", ".5"])
    assert run.exit_code == 1
    assert "single on weak is right on" in run.stderr
    assert "chance to be first" in run.stdout
    run = CliRunner().invoke(app, ["compare", paths["weak"], "--compare-to", paths["weak"]])
    assert run.exit_code == 0, run.output
