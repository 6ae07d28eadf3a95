"""The families against independent values: closed forms, a fixture fitted elsewhere, and what every law must obey."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from mull.laws.counts import Counts, counts, log_grid, measured
from mull.laws.families import (
    BETA_BINOMIAL,
    BOUNDS,
    FAMILIES,
    KUMARASWAMY,
    LOGIT_NORMAL,
    WIDEST_STEP,
    ZERO_INFLATED,
    Family,
    Likelihood,
    free,
    natural,
)
from mull.laws.fitting import again, curve_law, log_prior, maximise, power_law, power_law_of, power_misses
from mull.stats.estimators import pass_at_ks

KS = np.array([1, 10, 100, 1000, 10_000])


def beta_counts(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.binomial(100, rng.beta(0.3, 5, 130))


@pytest.mark.parametrize(
    ("a", "b", "curve"),
    [
        (0.3, 5, [0.056604, 0.290931, 0.606866, 0.800539, 0.899907]),
        (0.2, 2, [0.090909, 0.325182, 0.562755, 0.723328, 0.825382]),
        (0.5, 10, [0.047619, 0.297296, 0.701894, 0.901720, 0.968785]),
    ],
)
def test_beta_coverage(a: float, b: float, curve: list[float]) -> None:
    assert 1 - BETA_BINOMIAL.misses(np.log([a, b]), KS) == pytest.approx(curve, abs=1e-6)


def test_the_tail_of_a_beta_is_a_power_of_its_a() -> None:
    """1 - c(k) goes to Gamma(a + b) / Gamma(b) k^-a: 1.58658 * 10000^-.3 = .100107 for Beta(.3, 5)."""
    misses = BETA_BINOMIAL.misses(np.log([0.3, 5.0]), np.array([1000, 10_000, 100_000]))
    assert misses[1] == pytest.approx(0.100107, rel=2e-4)
    assert -np.log(1 - misses[1]) == pytest.approx(0.105463, abs=1e-5)
    assert np.log10(misses[1] / misses[2]) == pytest.approx(0.3, abs=1e-3)
    whole = 1 - BETA_BINOMIAL.misses(np.log([0.3, 5.0]), np.array([1000, 10_000]))
    assert np.log10(np.log(whole[0]) / np.log(whole[1])) == pytest.approx(0.3242, abs=1e-3)


def test_maximum_likelihood_of_the_fixture() -> None:
    right = beta_counts()
    assert (int((right == 0).sum()), int(right.sum())) == (45, 979)
    likelihood = Likelihood(counts(100, right))
    best = maximise(BETA_BINOMIAL, likelihood)
    assert np.exp(best.theta) == pytest.approx([0.3139, 3.8554], abs=2e-4)
    data = likelihood.data
    assert data.weight @ likelihood.log_choose - best.loglik == pytest.approx(2644.897, abs=1e-3)
    assert 1 - float(BETA_BINOMIAL.misses(best.theta, np.array([10_000]))[0]) == pytest.approx(0.91758, abs=2e-5)


def test_the_power_law_of_the_fixture() -> None:
    fitted = power_law(counts(100, beta_counts()))
    assert fitted == pytest.approx((-2.7184, -0.4064), abs=2e-4)
    assert fitted is not None
    a, b = fitted
    assert 1 - power_misses(np.array(a), np.array(b), np.array([10_000]))[0] == pytest.approx(0.93765, abs=2e-5)


@pytest.mark.parametrize(
    ("last", "a", "b", "far"), [(100, -3.0484, -0.3944, 0.92254), (10_000, -2.8874, -0.3744, 0.91230)]
)
def test_the_power_law_is_biased_on_an_exact_beta_curve(last: int, a: float, b: float, far: float) -> None:
    """The truth at 10,000 is .89991: the law is not the Beta's, whatever the data."""
    ks = log_grid(last)
    fitted = power_law_of(ks, 1 - BETA_BINOMIAL.misses(np.log([0.3, 5.0]), ks))
    assert fitted == pytest.approx((a, b), abs=2e-4)
    assert np.exp(fitted[0] * 10_000 ** fitted[1]) == pytest.approx(far, abs=2e-5)


def test_beta_exponents_of_simulated_counts() -> None:
    """a = .3 in 130 problems of 100 draws: quartiles of .270 and .330, so that [.16, .46] is wide."""
    for seed in range(3):
        best = maximise(BETA_BINOMIAL, Likelihood(counts(100, beta_counts(seed))))
        assert 0.16 < np.exp(best.theta[0]) < 0.46


def test_zero_inflation_mixes_in_what_is_never_solved() -> None:
    theta = np.append(np.log([0.5, 4.0]), free("pi", 0.2))
    inner = 1 - BETA_BINOMIAL.misses(theta[:2], KS)
    assert 1 - ZERO_INFLATED.misses(theta, KS) == pytest.approx(0.8 * inner)


def test_the_logit_normal_against_simulated_rates() -> None:
    p = 1 / (1 + np.exp(4 - 2.5 * np.random.default_rng(0).normal(size=400_000)))
    got = LOGIT_NORMAL.misses(np.array([-4.0, np.log(2.5)]), KS)
    assert got == pytest.approx([np.mean((1 - p) ** k) for k in KS], abs=3e-3)


def test_the_scaled_kumaraswamy_against_simulated_rates() -> None:
    """On (0, .1) with a = .3, b = 3 the coverage at 10,000 is .701 (population)."""
    u = np.random.default_rng(0).random(400_000)
    p = 0.1 * (1 - (1 - u) ** (1 / 3)) ** (1 / 0.3)
    got = KUMARASWAMY.misses(np.array([np.log(0.3), np.log(3.0), free("scale", 0.1)]), KS)
    assert got == pytest.approx([np.mean((1 - p) ** k) for k in KS], abs=3e-3)
    assert 1 - got[-1] == pytest.approx(0.701, abs=3e-3)


@pytest.mark.parametrize("family", [LOGIT_NORMAL, KUMARASWAMY], ids=lambda f: f.name)
def test_the_grid_sums_the_same_likelihood_as_fine_quadrature(family: Family) -> None:
    data = counts([20, 100, 1000, 10_000], [0, 3, 400, 70])
    theta = {LOGIT_NORMAL.name: np.array([-3.0, 0.5]), KUMARASWAMY.name: np.array([-0.7, 0.5, 1.0])}[family.name]
    likelihood = Likelihood(data)
    ends = np.linspace(-32, 16, 400_001)
    middle = (ends[1:] + ends[:-1]) / 2
    log_p, log_q = -np.logaddexp(0, -middle), -np.logaddexp(0, middle)
    masses = family.masses(theta, ends)  # type: ignore[attr-defined]
    for i, (n, c) in enumerate(zip(data.n, data.c, strict=True)):
        exact = np.log(np.exp(c * log_p + (n - c) * log_q) @ masses) + likelihood.log_choose[i]
        assert family.log_chances(theta, likelihood)[i] == pytest.approx(exact, abs=2e-3)


def thetas(family: Family) -> st.SearchStrategy[np.ndarray]:
    ends = [(free(name, BOUNDS[name][0]), free(name, BOUNDS[name][1])) for name in family.parameters]
    return st.tuples(*(st.floats(low, high) for low, high in ends)).map(np.array)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
@settings(max_examples=25)
@given(data=st.data())
def test_every_law_rises_from_the_mean_rate_and_stays_a_probability(family: Family, data: st.DataObject) -> None:
    theta = data.draw(thetas(family))
    ks = np.array([1, 2, 3, 10, 100, 10_000, 1_000_000])
    cover = 1 - family.misses(theta, ks)
    assert np.all(cover >= -1e-9)
    assert np.all(cover <= 1 + 1e-9)
    assert np.all(np.diff(cover) >= -1e-9)
    # A law is as good as its chances of one draw: the log chance of one success in one is its coverage at 1.
    one = np.exp(family.log_chances(theta, Likelihood(counts([1, 1], [0, 1]))))
    assert one.sum() == pytest.approx(1, abs=1e-6)
    # On a grid all of a narrow peak may lie at the edge of a cell: half a cell off in each of the two, in log-odds.
    closed = family in (BETA_BINOMIAL, ZERO_INFLATED)
    assert one[1] == pytest.approx(cover[0], rel=1e-6 if closed else 0.75 * WIDEST_STEP, abs=1e-6)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_the_chances_of_all_counts_sum_to_one(family: Family) -> None:
    data = counts(12, np.arange(13))
    theta = family.starts(data)[0]
    assert np.exp(family.log_chances(theta, Likelihood(data))).sum() == pytest.approx(1, abs=1e-6)


def test_many_thetas_at_once_are_each_alone() -> None:
    data = counts(12, [0, 0, 3, 5])
    likelihood = Likelihood(data)
    for family in FAMILIES:
        both = np.array(family.starts(data)[:2])
        assert family.log_chances(both, likelihood)[1] == pytest.approx(family.log_chances(both[1], likelihood))
        assert family.misses(both, KS)[1] == pytest.approx(family.misses(both[1], KS))


@pytest.mark.parametrize("name", BOUNDS)
def test_free_scales_have_an_inverse(name: str) -> None:
    assert natural(name, free(name, 0.37)) == pytest.approx(0.37)


def test_the_measured_curve_needs_no_law() -> None:
    assert measured(counts([10, 10], [3, 2]), [5])[0] == pytest.approx((11 / 12 + 7 / 9) / 2)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("is_held", [False, True])
def test_the_maximum_is_that_of_another_optimiser(family: Family, is_held: bool) -> None:
    """Nelder-Mead from the maximum found, which uses no slopes, climbs no higher; nor from the family's starts."""
    rng = np.random.default_rng(4)
    n = rng.integers(60, 101, 90)
    likelihood = Likelihood(counts(n, rng.binomial(n, rng.beta(0.4, 4, 90))))
    found = maximise(family, likelihood, is_held=is_held)
    low, high = ([free(name, BOUNDS[name][end]) for name in family.parameters] for end in (0, 1))

    def height(theta: np.ndarray) -> float:
        theta = np.clip(theta, low, high)
        value = float(family.log_chances(theta, likelihood) @ likelihood.data.weight)
        return value + (float(log_prior(family, theta)) if is_held else 0.0)

    assert found.loglik == pytest.approx(height(found.theta) - (log_prior(family, found.theta) if is_held else 0.0))
    for start in (found.theta, *family.starts(likelihood.data)):
        other = minimize(lambda theta: -height(theta), start, method="Nelder-Mead", options={"fatol": 1e-9})
        # The masses of the Kumaraswamy law have kinks at the ends of the grid's cells.
        assert height(found.theta) >= -other.fun - (0.05 if family is KUMARASWAMY else 1e-6)


def test_resamples_climb_to_their_own_maxima() -> None:
    """Each of many weightings is fitted as if it were the data, though all start at the data's maximum."""
    rng = np.random.default_rng(5)
    data = counts(50, rng.binomial(50, rng.beta(0.3, 5, 60)))
    likelihood = Likelihood(data)
    weights = rng.multinomial(60, data.weight / 60, 20).astype(float)
    for family in (BETA_BINOMIAL, ZERO_INFLATED, LOGIT_NORMAL):
        start = maximise(family, likelihood, is_held=True).theta
        _, logliks = again(family, likelihood, start, weights, is_held=True)
        for weight, loglik in zip(weights, logliks, strict=True):
            seen = weight > 0
            resample = Counts(data.n[seen], data.c[seen], weight[seen])
            alone = maximise(family, Likelihood(resample), is_held=True)
            assert loglik == pytest.approx(alone.loglik, abs=2e-3)


def test_the_curve_law_of_points_on_a_line_is_that_line() -> None:
    """Draws whose curve is exp(a k^b) exactly do not exist, but numpy's own line through the points is found."""
    data = counts(60, np.random.default_rng(6).binomial(60, np.random.default_rng(7).beta(0.4, 6, 40)))
    weights = np.stack([data.weight, data.weight * np.linspace(0.5, 1.5, len(data.weight))])
    laws = curve_law(data, weights)
    assert laws is not None
    ks = log_grid(60, first=3)
    for (a, b), weight in zip(laws, weights, strict=True):
        coverage = weight @ pass_at_ks(data.n, data.c, ks.tolist()) / weight.sum()
        slope, height = np.polyfit(np.log(ks), np.log(-np.log(coverage)), 1)
        assert (b, np.log(-a)) == pytest.approx((slope, height))
    solved = counts(8, [8, 7, 6])
    assert np.isnan(curve_law(solved, solved.weight[None])).all(), "all points but one are at coverage 1"
    assert curve_law(counts(3, [1, 0]), np.ones((1, 2))) is None
