"""Intervals cover what they say they do."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaln

from mull.stats.estimators import bootstrap_t, pass_at_ks
from mull.stats.frontier import Spent, at_equal_cost, pareto
from mull.stats.intervals import DIFFERENCE, SHARE, bootstrap, resamples, wilson
from mull.stats.paired import compare, holm, paired, permutation_test, power


def test_wilson_against_known_values() -> None:
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=5e-5)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=5e-5)
    assert wilson(10, 10).high == pytest.approx(1.0)


def test_the_bootstrap_of_coverage_covers_it() -> None:
    """Nominal 95 %, three laws, 300 sets of 30 problems with 100 draws each, three k.

    Were each covered in 95.5 %, a share outside .935 to .975 of all would be seen in under .5 % even if the k counted
    as one; a single count under 268 in under .01 %. Percentiles of the means hold 92.4 %.
    """
    ks, covered = np.array([1, 10, 100]), []
    for a, b in ((0.3, 5.0), (1.0, 20.0), (0.2, 2.0)):
        truth = 1 - np.exp(betaln(a, b + ks) - betaln(a, b))
        held = np.zeros(len(ks))
        for seed in range(300):
            rng = np.random.default_rng(seed)
            right = rng.binomial(100, rng.beta(a, b, 30))
            values = pass_at_ks(np.full(30, 100), right, ks.tolist())
            ends = bootstrap_t(values, resamples(30, seed, 400), bounds=SHARE)
            held += (ends[:, 0] <= truth) & (truth <= ends[:, 1])
        covered.append(held)
    assert np.min(covered) >= 268, covered
    assert 0.935 < np.mean(covered) / 300 < 0.975, covered


def test_ends_stay_within_what_a_value_can_be() -> None:
    rng = np.random.default_rng(0)
    for n in (2, 3, 5, 30):
        for end in (0.0, 1.0):
            values = abs(end - rng.beta(0.1, 5, n))
            interval = bootstrap(values, bounds=SHARE)
            assert 0 <= interval.low <= values.mean() <= interval.high <= 1
    assert bootstrap([0.4], bounds=SHARE).high > 0.9, "one problem says next to nothing of others"


def test_problems_that_are_all_alike_do_not_make_certainty() -> None:
    """20 of 20 solved: at least .05^(1/20) = .861 of such problems are. None differs: at most .139 do."""
    assert bootstrap([1.0] * 20, bounds=SHARE) == pytest.approx((0.05 ** (1 / 20), 1.0))
    assert bootstrap([0.0] * 20, bounds=DIFFERENCE) == pytest.approx((0.05 ** (1 / 20) - 1, 1 - 0.05 ** (1 / 20)))
    assert bootstrap([0.0] * 20) == (0.0, 0.0), "without bounds: equal by construction"


def test_power_says_what_so_many_problems_can_tell() -> None:
    """30 % discordant: a difference of 10 points takes 234 problems."""
    found = power(0.1, 0.3, 234)
    assert (found.problems, found.needed) == (234, 234)
    assert found.shown == pytest.approx(0.1, abs=2e-4)
    assert power(0.0, 0.0, 50).shown is None
    assert power(0.0, 0.3, 50).needed is None, "what is not there cannot be shown by any number"
    assert power(0.3, 0.09, 10).shown is not None, "the same difference on every problem"
    chances = power(0.02, 0.005, 100)
    assert chances.needed == pytest.approx(2.8**2 * 0.005 / 0.02**2, rel=0.05), "(1.96 + .84)^2 variances"
    assert chances.shown == pytest.approx(2.8 * (0.005 / 100) ** 0.5, rel=0.05)


def test_weights_are_repeats() -> None:
    values, weight = np.array([[0.1, 0.0], [0.7, 1.0], [0.2, 0.5]]), np.array([5.0, 2.0, 3.0])
    repeated = np.repeat(values, weight.astype(int), axis=0)
    rows = list(resamples(10, 0, 200))
    grouped = [np.array([row[:5].sum(), row[5:7].sum(), row[7:].sum()]) for row in rows]
    assert bootstrap_t(values, grouped, weight) == pytest.approx(bootstrap_t(repeated, rows))


def test_a_paired_difference_is_sharper_than_two_intervals() -> None:
    rng = np.random.default_rng(3)
    base = rng.random(400) < 0.5
    better = base | (rng.random(400) < 0.1)
    result = paired("a", "b", [bool(x) for x in better], [bool(x) for x in base])
    assert result is not None
    assert 0 < result.ci95.low < result.difference < result.ci95.high < 0.12
    assert wilson(int(better.sum()), 400).low < wilson(int(base.sum()), 400).high, "apart they overlap"


def test_a_p_value_is_a_probability_also_where_gains_and_losses_are_equal() -> None:
    for n_ties in (0, 1, 8, 40):
        result = paired(
            "a", "b", [True, False, True, False] + [True] * n_ties, [False, True, False, True] + [True] * n_ties
        )
        assert result is not None
        assert (result.difference, result.p_value, result.p_adjusted) == (0.0, 1.0, 1.0)


def test_only_problems_that_both_were_graded_on_count() -> None:
    result = paired("a", "b", [True, None, True], [False, True, True])
    assert result is not None
    assert (result.problems, result.difference) == (2, 0.5)
    assert paired("a", "b", [None], [True]) is None


def test_the_permutation_test_is_mcnemars_where_differences_are_of_one_size() -> None:
    """10 to 2 of 12 discordant problems: twice the binomial tail, 2 * 79 / 4096."""
    differences = [1.0] * 10 + [-1.0] * 2 + [0.0] * 50
    assert permutation_test(differences) == pytest.approx(2 * 79 / 4096)
    assert permutation_test([0.0] * 5) == 1.0
    assert permutation_test([1.0, -1.0]) == 1.0


def test_random_signs_give_what_all_signs_give() -> None:
    """Against the exact enumeration of 2 ** 10 sign vectors; 20,000 random ones are within .015 (4 deviations)."""
    rng = np.random.default_rng(2)
    differences = rng.normal(0.3, 1, 10)
    signs = np.array(list(itertools.product((-1, 1), repeat=10)))
    exact = float(np.mean(abs(signs @ differences) >= abs(differences.sum()) - 1e-12))
    assert permutation_test(list(differences)) == pytest.approx(exact, abs=0.015)


def test_the_permutation_test_keeps_its_level() -> None:
    """400 tests without a difference at level .05: 8 to 34 alarms unless with a probability under .002."""
    rng = np.random.default_rng(5)
    alarms = sum(permutation_test(list(rng.choice((-1.0, -0.5, 0.0, 0.5, 1.0), 40))) < 0.05 for _ in range(400))
    assert 8 <= alarms <= 34


def test_holm_against_a_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_comparisons_are_with_the_first_and_adjusted() -> None:
    base = [0.0] * 20
    pairs = compare({"base": base, "better": [1.0] * 12 + [0.0] * 8, "same": base, "unknown": [None] * 20})
    assert [(p.a, p.b, p.difference) for p in pairs] == [("better", "base", 0.6), ("same", "base", 0.0)]
    assert pairs[0].p_value == pytest.approx(2 / 2**12)
    assert pairs[0].p_adjusted == pytest.approx(4 / 2**12)


def _differences(rng: np.random.Generator) -> list[float]:
    """Differences of few problems, of the kinds that strategies give: verdicts, or chances by all draws."""
    n, size = int(rng.integers(2, 40)), rng.choice((1.0, 0.5, 0.125))
    return (size * rng.choice((-1, 0, 1), n, p=rng.dirichlet((1, 2, 1.5)))).tolist()


def test_interval_and_test_never_contradict_each_other() -> None:
    """Without 0 in the interval p is below .05, with it p is not; the ends are on both sides of the difference."""
    rng = np.random.default_rng(0)
    for seed in range(150):
        differences = _differences(rng)
        found = paired("a", "b", differences, [0.0] * len(differences), seed)
        assert found is not None
        assert (found.p_value < 0.05) == (not found.ci95.low <= 0 <= found.ci95.high), differences
        assert found.ci95.low <= found.difference <= found.ci95.high
        assert found.p_value >= permutation_test(differences, seed)


def test_five_of_twenty_are_no_difference_that_chance_excludes() -> None:
    """All 5 discordant problems for one: McNemar's exact p is 2 / 2^5 = .0625."""
    found = paired("a", "b", [1.0] * 5 + [0.0] * 15, [0.0] * 20)
    assert found is not None
    assert found.p_value == pytest.approx(0.0625)
    assert found.ci95.low <= 0 < found.ci95.high


def test_several_comparisons_are_one_statement() -> None:
    """Of ten comparisons the one of p = .02 is not shown: neither by its adjusted p nor by its interval."""
    base = [0.0] * 40
    better = [1.0] * 10 + [-1.0] * 2 + [0.0] * 28
    alone = compare({"base": base, "better": better})[0]
    assert alone.p_value == pytest.approx(2 * 79 / 4096)
    assert alone.ci95.low > 0
    among = compare({"base": base, "better": better, **{str(i): base for i in range(9)}})[0]
    assert among.p_value == alone.p_value
    assert among.p_adjusted == pytest.approx(10 * among.p_value)
    assert among.ci95.low <= 0


def test_the_order_of_problems_moves_no_end() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.random(30), rng.random(30)
    order = rng.permutation(30)
    assert paired("a", "b", a.tolist(), b.tolist()) == paired("a", "b", a[order].tolist(), b[order].tolist())
    assert bootstrap(a, 0, SHARE) == bootstrap(a[order], 0, SHARE)


def test_as_many_problems_as_needed_show_the_difference() -> None:
    """Connor's formula by hand for d = .1, 30 % discordant: ((1.959964 sqrt .3 + .841621 sqrt .29) / .1)^2 = 233.2."""
    told = power(0.1, 0.3, 234)
    assert told.needed == 234
    assert told.shown == pytest.approx(0.1, abs=2e-4)
    assert power(0.1, 0.3, 3).shown is None


def test_the_power_is_what_it_says() -> None:
    """Simulated McNemar tests at the computed size: 80 % of 500, less .07 for the exact test's caution, +- .05."""
    n = power(0.1, 0.3, 0).needed or 0
    rng = np.random.default_rng(11)
    shown = 0
    for _ in range(500):
        d = rng.choice((1.0, -1.0, 0.0), n, p=(0.2, 0.1, 0.7))
        shown += permutation_test(list(d)) < 0.05
    assert 0.70 <= shown / 500 <= 0.86


def test_equal_cost_takes_measured_points_only() -> None:
    curves = {"a": [Spent(10, 0.5), Spent(100, 0.8)], "b": [Spent(50, 0.7)]}
    assert at_equal_cost(curves, [5, 50, 1000]) == {"a": [None, 0.5, 0.8], "b": [None, 0.7, 0.7]}


@given(st.dictionaries(st.text(max_size=3), st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8))
def test_the_pareto_front_is_what_nobody_beats(raw: dict[str, tuple[int, int]]) -> None:
    points = {name: Spent(cost, value) for name, (cost, value) in raw.items()}
    front = pareto(points)
    for name, point in points.items():
        is_beaten = any(o.cost <= point.cost and o.value >= point.value and o != point for o in points.values())
        twins = [n for n in front if points[n] == point]
        assert len(twins) == (0 if is_beaten else 1), name
