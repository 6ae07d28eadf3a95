"""Curves against brute force over all subsets, and against the estimator's known values."""

import itertools
import math
import random
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mull.files.recording import Recording, of_columns, of_counts
from mull.lab import windows
from mull.lab.metrics import best_at_k, curves, default_ks, majority_at_k
from mull.lab.numbered import NumberedDraws
from mull.stats.estimators import pass_at_k
from mull.stats.intervals import SHARE, bootstrap
from mull.stats.paired import permutation_test


@pytest.mark.parametrize(
    ("n", "c", "k", "value"),
    [
        (10, 3, 5, 11 / 12), (10, 3, 1, 0.3), (10, 3, 8, 1.0), (10, 2, 5, 0.7777778), (200, 10, 100, 0.99922897),
        (10_000, 1, 100, 0.01), (5, 0, 5, 0.0), (5, 5, 1, 1.0),
    ],
)  # fmt: skip
def test_pass_at_k(n: int, c: int, k: int, value: float) -> None:
    assert pass_at_k(n, c, k) == pytest.approx(value, abs=5e-8)


@given(st.integers(1, 60), st.data())
def test_pass_at_k_is_one_minus_a_ratio_of_binomials(n: int, data: st.DataObject) -> None:
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    assert pass_at_k(n, c, k) == pytest.approx(1 - math.comb(n - c, k) / math.comb(n, k), abs=1e-9)


def test_pass_at_k_is_unbiased_where_the_plug_in_is_not() -> None:
    """p = .07, n = 20, k = 5: the mean over many c is 1 - .93^5 = .3043; the plug-in's is .2790."""
    counts = np.random.default_rng(0).binomial(20, 0.07, 20_000)
    unbiased = statistics.fmean(pass_at_k(20, int(c), 5) for c in counts)
    plug_in = statistics.fmean(1 - (1 - c / 20) ** 5 for c in counts)
    assert unbiased == pytest.approx(1 - 0.93**5, abs=0.008)
    assert plug_in == pytest.approx(0.2790, abs=0.008)


@pytest.mark.parametrize(("n", "c", "k"), [(5, 6, 1), (5, -1, 1), (5, 1, 6), (5, 1, 0)])
def test_pass_at_k_outside_its_range_is_an_error(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match="pass@k needs"):
        pass_at_k(n, c, k)


def brute_force_best(scores: list[float | None], correct: list[bool], k: int) -> float:
    values = []
    for subset in itertools.combinations(range(len(scores)), k):
        known = [scores[i] for i in subset if scores[i] is not None]
        tied = [i for i in subset if known and scores[i] == max(known)]  # type: ignore[type-var]
        values.append(statistics.fmean(correct[i] for i in tied) if tied else 0.0)
    return statistics.fmean(values)


@given(st.lists(st.tuples(st.none() | st.sampled_from([0.1, 0.5, 0.9]), st.booleans()), min_size=1, max_size=7))
def test_best_at_k_is_exact(draws: list[tuple[float | None, bool]]) -> None:
    scores, correct = [s for s, _ in draws], [c for _, c in draws]
    ks = list(range(1, len(draws) + 1))
    assert best_at_k(scores, correct, ks) == pytest.approx([brute_force_best(scores, correct, k) for k in ks])


def brute_force_majority(answers: list[str | None], correct: list[bool], k: int) -> float:
    values = []
    for subset in itertools.combinations(range(len(answers)), k):
        counts: dict[str, int] = {}
        for i in subset:
            if (answer := answers[i]) is not None:
                counts[answer] = counts.get(answer, 0) + 1
        tied = [a for a, n in counts.items() if n == max(counts.values())]
        rights = [statistics.fmean(c for a, c in zip(answers, correct, strict=True) if a == t) for t in tied]
        values.append(statistics.fmean(rights) if rights else 0.0)
    return statistics.fmean(values)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.none() | st.sampled_from("abc"), st.booleans()), min_size=1, max_size=9))
def test_majority_at_k_is_the_mean_over_all_subsets(draws: list[tuple[str | None, bool]]) -> None:
    """Also where one answer has both grades."""
    answers, correct = [answer for answer, _ in draws], [right for _, right in draws]
    ks = list(range(1, len(draws) + 1))
    exact = [brute_force_majority(answers, correct, k) for k in ks]
    assert majority_at_k(answers, correct, ks) == pytest.approx(exact, abs=1e-9)


def test_a_vote_by_equal_weights_is_a_vote_without_weights() -> None:
    """The first is enumerated and the second counted."""
    answers, correct = list("aabbbcdaab"), [answer == "a" for answer in "aabbbcdaab"]
    ks = [1, 2, 5, 9, 10]
    assert majority_at_k(answers, correct, ks, weights=[0.5] * 10) == pytest.approx(majority_at_k(answers, correct, ks))


@pytest.mark.parametrize("n", [20, 60])
def test_votes_do_not_depend_on_the_order_of_the_draws(n: int) -> None:
    """Counted at 20 draws and averaged over random orders at 60; with weights both are over random orders."""
    rng = random.Random(n)
    draws = [(rng.choice("abcd"), rng.random() < 0.5, rng.random()) for _ in range(n)]
    shuffled = rng.sample(draws, n)
    for is_weighted in (False, True):
        one, other = (
            majority_at_k([a for a, *_ in rows], [c for _, c, _ in rows], [1, 7, n], 0, weights)
            for rows in (draws, shuffled)
            for weights in [[w for *_, w in rows] if is_weighted else None]
        )
        assert one.tolist() == other.tolist()


@pytest.mark.parametrize("weights", ["none", "any", "quarters", "whole"])
@pytest.mark.parametrize("n", [40, 450])
def test_votes_are_those_of_each_order_counted_draw_by_draw(n: int, weights: str) -> None:
    """Quarters often tie, and have exact sums. No vote differs from a vote of weight 0."""
    rng = random.Random(f"{n} {weights}")
    choices = {"quarters": [0.0, 0.25, 0.5, 0.75], "whole": [0.0, 1.0]}.get(weights)
    answers = [rng.choice(["a", "b", "c", "d", None]) for _ in range(n)]
    draws = [
        (answer, answer == "a" or rng.random() < 0.1, rng.choice(choices) if choices else rng.random())
        for answer in answers
    ]
    given = None if weights == "none" else [weight for *_, weight in draws]
    drawn = NumberedDraws([a for a, *_ in draws], [c for _, c, _ in draws], given or ())
    poll = drawn.poll() if given is None else drawn.weighted_poll()
    shuffle = windows.shuffles(n, 0).tolist()
    step = 1 if n <= windows.N_ORDERS else n / windows.N_ORDERS
    orders = [row[s:] + row[:s] for row in shuffle for s in (int(i * step) for i in range(min(n, windows.N_ORDERS)))]
    for k in (2, 7, n):
        values = []
        for order in orders:
            tally: dict[int, float] = {}
            for draw in order[:k]:
                if (name := int(poll.ids[draw])) < len(poll.right):
                    tally[name] = tally.get(name, 0.0) + (1.0 if poll.weight is None else float(poll.weight[draw]))
            leads = [float(poll.right[name]) for name, votes in tally.items() if votes == max(tally.values())]
            values.append(statistics.fmean(leads) if leads else 0.0)
        found = majority_at_k([a for a, *_ in draws], [c for _, c, _ in draws], [2, 7, n], 0, given)
        assert found[(2, 7, n).index(k)] == pytest.approx(statistics.fmean(values), abs=1e-12)


def test_a_majority_converges_to_the_mode_and_not_to_the_truth() -> None:
    """(.45 right, .46 wrong, .09 wrong): up, then down. Of 1,000 draws in these shares the mode is wrong."""
    answers = ["right"] * 450 + ["wrong"] * 460 + ["other"] * 90
    correct = [answer == "right" for answer in answers]
    one, eleven, whole = majority_at_k(answers, correct, [1, 11, 1000])
    assert one == pytest.approx(0.45)
    assert eleven == pytest.approx(0.539 - 0.054, abs=0.08)
    assert whole == 0.0


def pools(n_problems: int = 30, n: int = 16) -> list[Recording]:
    rng = np.random.default_rng(1)
    made = []
    for i in range(n_problems):
        right = rng.random(n) < rng.beta(1, 2)
        answers = tuple("a" if r else rng.choice(list("bcd")) for r in right)
        scores = tuple(float(x) for x in rng.random(n) * 0.5 + right * 0.3)
        made.append(of_columns(str(i), tuple(map(bool, right)), answers, scores))
    return made


def test_curves_have_intervals_around_their_values() -> None:
    measured = curves(pools())
    assert measured.problems == 30
    assert measured.samples == 480
    assert [p.k for p in measured.coverage] == [1, 2, 4, 8, 10, 16]
    for points in (measured.coverage, measured.majority, measured.best, measured.gap):
        assert all(p.ci95.low <= p.value <= p.ci95.high for p in points)
    values = [p.value for p in measured.coverage]
    assert values == sorted(values)
    for cover, best, gap in zip(measured.coverage, measured.best, measured.gap, strict=True):
        assert gap.value == pytest.approx(cover.value - best.value)
    assert curves(pools()) == measured


def test_curves_of_counts_have_coverage_alone() -> None:
    measured = curves([of_counts("a", 100, 3), of_counts("b", 50, 0)])
    assert measured.coverage[-1].k == 50
    assert measured.majority == measured.best == measured.gap == []


def test_the_ks_are_powers_of_two_and_ten_and_the_end() -> None:
    assert default_ks(1) == [1]
    assert default_ks(40) == [1, 2, 4, 8, 10, 16, 32, 40]
    assert curves(pools(), [1, 5, 99]).coverage[-1].k == 5


def test_many_equal_problems_are_resampled_together_by_the_same_law() -> None:
    """3,000 problems of four values: the interval is that of Student's t, and a sign test that of the normal law."""
    values = np.repeat([0.0, 0.25, 0.5, 1.0], [1500, 600, 600, 300])
    half = 1.96 * values.std(ddof=1) / math.sqrt(len(values))
    low, high = bootstrap(values, 0, SHARE)
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)
    differences = np.repeat([-0.5, 0.0, 0.25], [200, 2500, 475])
    z = abs(differences.sum()) / math.sqrt((differences**2).sum())
    expected = math.erfc(z / math.sqrt(2))
    assert 0.01 < expected < 0.5
    assert permutation_test(differences.tolist()) == pytest.approx(expected, rel=0.2)


def test_a_problem_without_scores_is_one_on_which_nothing_is_chosen() -> None:
    """Beside a problem with scores: its curves over all pairs of draws, and zero there, as `best` and `weighted` do."""
    scored = of_columns("a", [True, False, False], ["1", "2", "2"], [0.9, 0.5, 0.2])
    silent = of_columns("b", [True, True, False], ["1", "1", "2"], [None, None, None])
    found = curves([silent, scored], [2])
    assert found.best[0].value == pytest.approx((0 + 2 / 3) / 2)  # the right draw is in two of three pairs, and best
    assert found.weighted[0].value == pytest.approx((0 + 2 / 3) / 2)
    assert found.majority[0].value == pytest.approx(((1 + 0.5 + 0.5) / 3 + (0.5 + 0.5 + 0) / 3) / 2)
    assert found.gaps["best"][0].value == pytest.approx((1 + 2 / 3) / 2 - 1 / 3)
    assert not curves([silent], [2]).best
