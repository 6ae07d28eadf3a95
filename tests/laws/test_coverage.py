"""Laws of whole problem sets: what they predict, how it hangs together, and what bad counts get."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mull.errors import UsageError
from mull.laws import coverage
from mull.laws.backtest import back_test
from mull.laws.counts import counts, measured, thinned
from mull.laws.estimate import CURVE_LAW, INFLATED_PULL, POWER_LAW, Trust, aic_weights, central
from mull.laws.families import BETA_BINOMIAL, LOGIT_NORMAL, ZERO_INFLATED, Likelihood
from mull.laws.fitting import log_prior, maximise
from mull.laws.limits import SAYS, Flag, clopper_pearson
from mull.laws.optima import trust
from mull.stats.estimators import pass_at_ks


def simulated(seed: int = 0, problems: int = 130, n: int = 100) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.binomial(n, rng.beta(0.3, 5, problems))


@pytest.fixture(scope="module")
def law() -> coverage.Law:
    return coverage.fit(100, simulated(), resamples=20)


def test_what_was_measured_is_not_fitted(law: coverage.Law) -> None:
    for k in (1, 10, 100):
        said = law.predict(k)
        assert said.value == pytest.approx(measured(counts(100, simulated()), [k])[0])
        assert said.models is None
        assert said.band.low < said.value < said.band.high


def test_the_prediction_goes_on_from_the_measured_curve(law: coverage.Law) -> None:
    curve = [p.value or 0.0 for p in law.curve([99, 100, 101, 200, 1000, 10_000, 10**6])]
    assert curve == sorted(curve)
    assert curve[2] - curve[1] < 2 * (curve[1] - curve[0]) + 1e-3
    assert curve[-1] < 1


def test_a_value_far_beyond_the_draws_is_flagged(law: coverage.Law) -> None:
    for k, is_far in ((1000, False), (1001, True), (10_000, True)):
        said = law.predict(k)
        assert said.value is not None
        assert said.band.low <= said.value <= said.band.high
        assert (Flag.FAR in law.flags(k)) == is_far


@pytest.mark.parametrize("target", [0.05, 0.5, 0.7, 0.9, 0.97])
def test_the_draws_to_reach_a_coverage_are_the_fewest_that_do(law: coverage.Law, target: float) -> None:
    found = law.reach_of(target)
    for k, share in (
        (found.draws, lambda said: said.value), (found.at_best, lambda said: said.band.high),
        (found.at_worst, lambda said: said.band.low),
    ):  # fmt: skip
        if k is None:
            assert share(law.predict(10**9)) < target
            continue
        assert share(law.predict(k)) >= target
        assert k == 1 or share(law.predict(k - 1)) < target
    assert found.at_best is not None
    assert found.draws is not None
    assert found.at_best <= found.draws <= (found.at_worst or 10**9)
    assert found.at_worst is not None or target > 0.7


def test_a_coverage_that_no_number_of_draws_reaches_is_told(law: coverage.Law) -> None:
    assert law.reach_of(0.999999).at_worst is None
    unsolved = coverage.fit(100, [0] * 30)
    assert unsolved.reach_of(0.5).draws is None
    assert unsolved.reach_of(0.5).at_worst is None
    assert unsolved.reach_of(0.5).at_best is not None, "only an upper bound is known"
    assert unsolved.chance_of(0.5, 10) is None
    for target in (0.0, 1.0, 90.0, float("nan")):
        with pytest.raises(UsageError, match="a share above 0 and below 1"):
            law.reach_of(target)


def test_the_chance_to_reach_a_coverage_is_that_of_resampled_problems() -> None:
    """At measured k it is the share of resamples of the problems whose unbiased coverage is large enough."""
    right = simulated(problems=60)
    found = coverage.fit(100, right, seed=1)
    each = pass_at_ks(np.full(60, 100), right, [10])[:, 0]
    drawn = each[np.random.default_rng(9).integers(0, 60, (20_000, 60))].mean(axis=1)
    for target in np.quantile(drawn, [0.2, 0.5, 0.8]):
        # 200 resamples: three standard errors are .11, exceeded by chance in 3 of 1,000 seeds.
        assert found.chance_of(float(target), 10) == pytest.approx(float(np.mean(drawn >= target)), abs=0.11)
    chances = [found.chance_of(0.8, k) for k in (100, 1000, 10_000)]
    assert chances == sorted(chances)


def test_the_band_holds_every_supported_law_and_the_sampling(law: coverage.Law) -> None:
    said = law.predict(1000)
    least = min(fit.aic for fit in law.fits if fit.aic is not None)
    for fit in law.fits:
        if fit.aic is None or fit.aic < least + 10:
            assert said.band.low <= said.families[fit.family] <= said.band.high
    assert said.sampling is not None
    assert said.band.low <= said.sampling.low < said.sampling.high <= said.band.high


def test_weights_are_akaikes(law: coverage.Law) -> None:
    weights = {fit.family: fit.weight for fit in law.fits if fit.weight is not None}
    assert sum(weights.values()) == pytest.approx(1)
    assert aic_weights(np.array([10.0, 12.0])) == pytest.approx([1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))])
    said = law.predict(1000)
    assert said.aic_average == pytest.approx(sum(w * said.families[name] for name, w in weights.items()))
    for power in (fit for fit in law.fits if fit.family in (POWER_LAW, CURVE_LAW)):
        assert (power.loglik, power.aic, power.weight) == (None, None, None)


def test_the_same_seed_gives_the_same_band() -> None:
    right = simulated(problems=30)
    one, two = (coverage.fit(100, right, resamples=10, seed=3).predict(500) for _ in range(2))
    assert one == two


def test_the_default_is_the_middle_of_the_power_laws_unless_the_counts_say_otherwise() -> None:
    values = {
        BETA_BINOMIAL.name: np.array(0.5), CURVE_LAW: np.array(0.65), ZERO_INFLATED.name: np.array(0.3),
        LOGIT_NORMAL.name: np.array(0.9),
    }  # fmt: skip

    def said(beta: float, inflated: float, normal: float, trusted: tuple[bool, bool] = (True, True)) -> float:
        names = (BETA_BINOMIAL.name, ZERO_INFLATED.name, LOGIT_NORMAL.name)
        logliks = dict(zip(names, map(np.array, (beta, inflated, normal)), strict=True))
        return float(central(values, logliks, Trust(*trusted)))

    assert said(-10, -10, -9) == pytest.approx(0.6)
    half = np.log(2) / INFLATED_PULL
    assert said(-10, -10 + half, -12) == pytest.approx((0.6 + 0.3) / 2)
    assert said(-10, -10, -6.9) == pytest.approx(0.9)
    assert said(-10, -9, -5, (False, False)) == pytest.approx(0.6), "a law that failed its back-test has no say"
    without = {name: value for name, value in values.items() if name != CURVE_LAW}
    level = {name: np.array(-10.0) for name in without}
    assert float(central(without, level, Trust(True, True))) == pytest.approx(0.5)


def test_the_average_of_fewer_draws_is_that_of_many_subsamples() -> None:
    n, c = np.array([40, 40, 25]), np.array([0, 13, 24])
    average = thinned(counts(n, c), 10)
    assert average.weight.sum() == pytest.approx(3)
    rng = np.random.default_rng(0)
    drawn = np.concatenate([rng.hypergeometric(c, n - c, 10) for _ in range(20_000)])
    seen = np.bincount(drawn, minlength=11) / 20_000
    assert seen[average.c] == pytest.approx(average.weight, abs=0.02)
    assert seen.sum() == pytest.approx(seen[average.c].sum(), abs=1e-3)
    assert measured(average, [3])[0] == pytest.approx(measured(counts(n, c), [3])[0]), "the curve is the same"
    with pytest.raises(ValueError, match="cannot subsample 26 draws"):
        thinned(counts(n, c), 26)


def test_a_law_is_trusted_that_predicts_the_draws_in_hand() -> None:
    """Two hundred problems of 100 draws: each law is trusted on its own data, and the logit-normal not on a Beta's."""
    rng = np.random.default_rng(1)
    normal = 1 / (1 + np.exp(4 - 2.5 * rng.normal(size=200)))
    inflated = np.where(rng.random(200) < 0.3, 0.0, rng.beta(0.7, 4, 200))
    beta = rng.beta(0.3, 5, 200)
    assert trust(counts(100, rng.binomial(100, normal))).normal
    assert trust(counts(100, rng.binomial(100, inflated))).inflated
    assert not trust(counts(100, rng.binomial(100, beta))).normal
    assert trust(counts(12, rng.binomial(12, normal))) == Trust(False, False), "a quarter of 12 draws is no curve"


def test_what_is_known_before_decides_only_where_little_was_seen() -> None:
    many, few = simulated(), np.array([3, 1, 1] + [0] * 97)
    for right, is_moved in ((many, False), (few, True)):
        likelihood = Likelihood(counts(100, right))
        free_, mode = (maximise(BETA_BINOMIAL, likelihood, is_held=held).theta for held in (False, True))
        assert (abs(mode[0] - free_[0]) > 0.3) == is_moved
    step = np.array([[1e-4, 0], [-1e-4, 0], [0, 1e-4], [0, -1e-4]])
    heights = BETA_BINOMIAL.log_chances(mode + step, likelihood) @ likelihood.data.weight
    heights += log_prior(BETA_BINOMIAL, mode + step)
    assert heights[0] == pytest.approx(heights[1], abs=1e-4), "level at the mode, in both directions"
    assert heights[2] == pytest.approx(heights[3], abs=1e-4)


def test_impossible_problems_are_seen_in_many_draws() -> None:
    rng = np.random.default_rng(2)
    p = np.where(rng.random(200) < 0.3, 0.0, rng.beta(2, 8, 200))
    found = coverage.fit(200, rng.binomial(200, p), resamples=0)
    pi = next(fit.params["pi"] for fit in found.fits if fit.family == ZERO_INFLATED.name)
    assert pi == pytest.approx(float((p == 0).mean()), abs=0.03)
    assert found.predict(2000).value == pytest.approx(float((p > 0).mean()), abs=0.02)


def test_a_clear_logit_normal_is_believed() -> None:
    rng = np.random.default_rng(5)
    p = 1 / (1 + np.exp(4 - 2.5 * rng.normal(size=400)))
    said = coverage.fit(100, rng.binomial(100, p), resamples=0).predict(10_000)
    assert said.value == pytest.approx(float(np.mean(1 - (1 - p) ** 10_000)), abs=0.02)


@settings(max_examples=5)
@given(st.integers(0, 2**32), st.integers(3, 25), st.integers(4, 40))
def test_any_counts_give_a_rising_curve_of_probabilities(seed: int, problems: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    draws = rng.integers(max(1, n // 2), n + 1, problems)
    found = coverage.fit(draws, rng.binomial(draws, rng.beta(0.5, 2, problems)), resamples=3)
    said = found.curve([1, int(draws.min()), int(draws.max()), 10 * n, 100 * n])
    for one in said:
        assert 0 <= one.band.low <= one.band.high <= 1
        assert one.value is None or -1e-9 <= one.value <= 1 + 1e-9
    values = [one.value for one in said if one.value is not None]
    assert values == pytest.approx(sorted(values), abs=1e-9)


@pytest.mark.parametrize(
    ("n", "c", "flag"),
    [
        (1, [1, 0, 1, 1], Flag.ONE_DRAW), (10, [3], Flag.ONE_PROBLEM), (10, [0, 0, 0], Flag.ALL_WRONG),
        (10, [10, 10, 10], Flag.ALL_RIGHT), (1, [0], Flag.ALL_WRONG), (1, [1], Flag.ALL_RIGHT),
    ],
)  # fmt: skip
def test_where_no_law_can_be_fitted_there_are_bounds_and_words(n: int, c: list[int], flag: Flag) -> None:
    found = coverage.fit(n, c, resamples=5)
    assert found.fits == ()
    assert found.reason is flag
    assert found.flags(100)[0] is flag
    assert "collect" in SAYS[flag]
    said = found.predict(100)
    assert 0 <= said.band.low < said.band.high <= 1
    assert said.value == (1.0 if flag is Flag.ALL_RIGHT else None)
    assert found.predict(1).value == pytest.approx(sum(c) / (n * len(c)))
    assert found.is_identified(100) == (flag is Flag.ALL_RIGHT)
    assert coverage.estimate(n, c, 100) is None


def test_no_success_bounds_coverage_from_above() -> None:
    """None in 3,000 draws: at most 3 in 3,000 with 95 %, and equal problems are then solved in 1,000 with .632."""
    said = coverage.fit(100, [0] * 30).predict(1000)
    assert said.band == pytest.approx((0.0, 1 - 0.05 ** (1000 / 3000)))


def test_one_draw_a_problem_bounds_coverage_by_no_gain_and_by_equal_problems() -> None:
    said = coverage.fit(1, [1] * 20 + [0] * 80).predict(10)
    low, high = clopper_pearson(20, 100)
    assert (low, high) == pytest.approx((0.1267, 0.2918), abs=1e-4)
    assert said.band == pytest.approx((low, 1 - (1 - high) ** 10))


def test_every_problem_solved_is_said_and_bounded_for_new_problems() -> None:
    found = coverage.fit(20, [1, 5, 9, 20, 3, 2], resamples=10)
    assert found.predict(200).value == 1.0
    assert found.predict(200).band.low == pytest.approx(0.05 ** (1 / 6))
    assert Flag.SATURATED in found.flags(200)


def test_unequal_draws_are_fitted_and_the_curve_ends_at_the_smallest() -> None:
    rng = np.random.default_rng(1)
    n = rng.choice([30, 100, 300], 120)
    found = coverage.fit(n, rng.binomial(n, rng.beta(0.3, 5, 120)), resamples=5)
    assert Flag.UNEQUAL in found.flags(100)
    assert found.data.least == 30
    assert found.predict(30).models is None
    assert found.predict(31).models is not None
    assert found.reach == 30


def test_the_reach_is_that_of_unsolved_problems() -> None:
    found = coverage.fit([10, 100, 100, 100], [4, 0, 0, 2], resamples=3)
    assert found.reach == 100
    assert Flag.FAR not in found.flags(1000)
    assert Flag.FAR in found.flags(1001)


def test_few_draws_have_no_power_law_and_say_so() -> None:
    found = coverage.fit(3, [1, 0, 0, 2, 3, 0, 1], resamples=5)
    assert {POWER_LAW, CURVE_LAW}.isdisjoint({fit.family for fit in found.fits})
    assert Flag.NO_POWER_LAW in found.flags(10)


def test_flags_of_counts_that_do_not_identify_a_law() -> None:
    equal = coverage.fit(20, [10] * 30, resamples=3)
    assert Flag.AT_BOUND in equal.flags(100)
    rng = np.random.default_rng(0)
    sparse = coverage.fit(100, rng.binomial(100, rng.beta(0.05, 8, 130)), resamples=3)
    assert {Flag.MOSTLY_UNSOLVED, Flag.DISAGREE} <= set(sparse.flags(10_000))
    assert not sparse.is_identified(10_000)


@pytest.mark.parametrize(
    ("n", "c", "message"),
    [
        (10, [], "at least one problem"), (10, [11], "problem 1 has 11 correct of 10 draws"),
        (10, [3, -1], "problem 2 has -1"), (0, [0], "0 correct of 0"), (10, [0.5], "whole numbers"),
        (10, [float("nan")], "whole numbers"), ([[10]], [[1]], "at least one problem"),
    ],
)  # fmt: skip
def test_counts_that_cannot_be_are_refused(n: object, c: object, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        coverage.fit(n, c)  # type: ignore[arg-type]
    assert message in str(refused.value)


def test_predicting_at_no_draw_is_refused(law: coverage.Law) -> None:
    with pytest.raises(UsageError, match="at least 1 draw, not 0"):
        law.predict(0)


def test_the_back_test_hides_nine_tenths() -> None:
    test = back_test(100, simulated(), repeats=2)
    assert test is not None
    assert (test.draws, test.k, len(test.predicted)) == (10, 100, 2)
    assert test.measured == pytest.approx(85 / 130)
    assert test.error == pytest.approx(np.mean(np.abs(np.array(test.predicted) - test.measured)))
    assert test.error < 0.15
    assert back_test(19, [1, 2, 3]) is None
    assert back_test(100, [0, 0]) is None
