"""The stopping rules against their papers' arithmetic, and what they promise."""

import itertools
import math
import random
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betainc

from mull.allocate.stop import (
    FRACTIONS,
    beta,
    beta_lead,
    certified,
    curtail,
    eprocess,
    full_evidence,
    kt_evidence,
    lead_evidence,
    window,
)
from mull.strategies import pick


@pytest.mark.parametrize(
    ("first", "second", "probability"),
    [
        (1, 0, 0.75), (2, 0, 0.875), (3, 0, 0.9375), (4, 0, 0.96875), (5, 1, 0.9375), (6, 1, 0.964844),
        (7, 2, 0.945312), (8, 3, 0.927002), (10, 4, 0.940765), (20, 11, 0.944908),
    ],
)  # fmt: skip
def test_the_probability_of_a_lead(first: int, second: int, probability: float) -> None:
    assert beta_lead(first, second) == pytest.approx(probability, abs=5e-7)


def test_the_smallest_leader_that_stops() -> None:
    """Adaptive-Consistency at .95: 4, 6, 8, 9, 11, 12 votes against 0 to 5."""
    smallest = [next(n for n in range(1, 99) if beta_lead(n, second) >= 0.95) for second in range(6)]
    assert smallest == [4, 6, 8, 9, 11, 12]
    assert beta(["a"] * 4, 0.95)
    assert not beta(["a"] * 4 + ["b"], 0.95)
    assert not beta([None] * 10, 0.5001)


@given(st.lists(st.sampled_from("abcd"), min_size=12, max_size=12), st.integers(0, 99))
def test_curtailment_never_changes_the_full_vote(answers: list[str], seed: int) -> None:
    """Wherever it stops the winner is the full vote's, ties included."""
    for n in range(1, 13):
        if curtail(answers[:n], 12):
            early = pick.majority(answers[:n], random.Random(seed)).answer
            assert early == pick.majority(answers, random.Random(seed)).answer


def test_curtailment_on_ten_thousand_sequences() -> None:
    rng = random.Random(0)
    n_early = 0
    for i in range(10_000):
        answers = rng.choices("abc", (5, 4, 1), k=16)
        n = next(n for n in range(1, 17) if n == 16 or curtail(answers[:n], 16))
        n_early += n < 16
        assert pick.majority(answers[:n], random.Random(i)).answer == pick.majority(answers, random.Random(i)).answer
    assert n_early > 5000


def test_windows_are_disjoint_and_unanimous() -> None:
    assert window(["a"] * 5, 5)
    assert not window(["b", *["a"] * 5], 5), "five in a row, but not one window"
    assert window(["b", "a", "b", "a", "b", *["a"] * 5], 5)
    assert not window([None] * 5, 5), "five without an answer agree on nothing"
    assert not window(["a"] * 4, 5)


def test_a_window_is_unanimous_as_often_as_its_answers_say() -> None:
    """.9^5 = .59049 of windows; 20,000 windows: outside +- .02 with a probability under 1e-8."""
    rng = random.Random(1)
    n = sum(window(rng.choices("ab", (9, 1), k=5), 5) for _ in range(20_000))
    assert n / 20_000 == pytest.approx(0.9**5 + 0.1**5, abs=0.02)


@pytest.mark.parametrize(
    ("first", "second", "evidence"), [(5, 0, 10.5), (6, 0, 18.143), (7, 0, 31.875), (8, 1, 11.256), (10, 2, 9.441)]
)
def test_the_mixture_e_value(first: int, second: int, evidence: float) -> None:
    assert lead_evidence(first, second) == pytest.approx(evidence, abs=5e-4)


def test_the_plug_in_e_value_of_straight_wins() -> None:
    wins = [kt_evidence([True] * n) for n in range(1, 8)]
    assert wins == pytest.approx([1, 1.5, 2.5, 4.375, 7.875, 14.4375, 26.8125])
    assert next(n for n, e in enumerate(wins, 1) if e >= 20) == 7


def latest_plug_in(n_won: int, n: int) -> float:
    """Not a martingale: the whole history bet on with the lead that it ended with."""
    lead = max(0.5, n_won / n)
    lost = (1 - lead) ** (n - n_won) if n > n_won else 1.0
    return float(2**n * lead**n_won * lost)


def false_alarms(evidence: str, n_runs: int = 2000, n_draws: int = 200, lead: float = 0.5) -> float:
    """The share of runs in which the evidence ever reaches 20 though the lead is not above one half."""
    rng = random.Random(2)
    n_alarms = 0
    for _ in range(n_runs):
        wins: list[bool] = []
        running, n_won = 1.0, 0
        for n in range(1, n_draws + 1):
            won = rng.random() < lead
            if evidence == "kt":
                bet = max(0.5, (n_won + 0.5) / n)
                running *= 2 * bet if won else 2 * (1 - bet)
            n_won += won
            wins.append(won)
            if evidence == "mixture":
                running = lead_evidence(n_won, n - n_won)
            elif evidence == "latest":
                running = latest_plug_in(n_won, n)
            if running >= 20:
                n_alarms += 1
                if evidence == "kt":
                    assert kt_evidence(wins) == pytest.approx(running)
                break
    return n_alarms / n_runs


@pytest.mark.parametrize("evidence", ["mixture", "kt"])
def test_e_processes_keep_their_level_at_any_time(evidence: str) -> None:
    """At most .05 of runs under the null: 2,000 runs would show over .065 with a probability under .002."""
    assert false_alarms(evidence) <= 0.05
    assert false_alarms(evidence, n_runs=500, lead=0.3) <= 0.01


def test_a_plug_in_that_looks_back_does_not() -> None:
    """The test above can fail: what is not a martingale exceeds .05 (.0752 in 20,000 runs)."""
    assert false_alarms("latest") > 0.055


def test_the_e_process_rule_pays_for_all_pairs() -> None:
    assert not eprocess(["a"] * 8, 0.05, 3)
    assert lead_evidence(8, 0) < 60 <= lead_evidence(9, 0) * 1.1
    fewest = next(n for n in range(1, 99) if eprocess(["a"] * n, 0.05, 3))
    assert lead_evidence(fewest, 0) >= 60 > lead_evidence(fewest - 1, 0)
    assert not eprocess([], 0.05, 3)
    assert eprocess(["a"] * 9 + [None], 0.05, 3, "kt") == (kt_evidence([True] * 9) >= 60)


@pytest.mark.parametrize(("first", "second"), [(1, 0), (2, 0), (5, 1), (8, 3), (20, 11)])
def test_the_lead_is_a_tail_of_the_beta_law(first: int, second: int) -> None:
    """Against the regularised incomplete beta function: P = 1 - I_1/2(first + 1, second + 1)."""
    assert beta_lead(first, second) == pytest.approx(1 - betainc(first + 1, second + 1, 0.5), abs=1e-12)


@pytest.mark.parametrize(
    ("p", "lead", "error", "draws"),
    [
        (0.6, 3, 0.228571, 8.142857), (0.7, 3, 0.072973, 6.405405), (0.6, 5, 0.116364, 19.181818),
        (0.8, 2, 0.058824, 2.941176),
    ],
)  # fmt: skip
def test_a_race_to_a_fixed_lead(p: float, lead: int, error: float, draws: float) -> None:
    """The vote that stops at a lead errs 1 / (1 + (p/(1-p))^lead): what a guarantee has to beat on close calls."""
    at, steps, lost = {0: 1.0}, 0.0, 0.0
    while sum(at.values()) > 1e-12:
        steps += sum(at.values())
        after: dict[int, float] = {}
        for d, mass in at.items():
            for e, part in ((d + 1, p * mass), (d - 1, (1 - p) * mass)):
                if e == -lead:
                    lost += part
                elif e != lead:
                    after[e] = after.get(e, 0.0) + part
        at = after
    assert lost == pytest.approx(error, abs=1e-6) == 1 / (1 + (p / (1 - p)) ** lead)
    assert steps == pytest.approx(draws, abs=1e-5)


def test_the_full_vote_curtailed_saves_what_was_simulated_elsewhere() -> None:
    """With a cap of 64: 35.83 draws at .9 and 48.58 at .6 (4,000 runs); 1,000 here, within four standard errors."""
    for weights, draws in (((0.9, 0.06, 0.04), 35.83), ((0.6, 0.25, 0.15), 48.58), ((0.45, 0.46, 0.09), 59.32)):
        assert mean_draws(weights, 64, lambda answers: curtail(answers, 64)) == pytest.approx(draws, abs=0.7)


@pytest.mark.parametrize(
    ("weights", "paper", "careful", "windows"),
    [((0.9, 0.06, 0.04), 5.38, 8.68, 8.48), ((0.6, 0.25, 0.15), 19.96, 34.59, 40.87)],
)
def test_rules_need_the_draws_that_were_simulated_elsewhere(
    weights: tuple[float, ...], paper: float, careful: float, windows: float
) -> None:
    """With a cap of 64: Adaptive-Consistency at .95 and .99, windows of 5 (4,000 runs); 1,000 here, within about four
    standard errors."""
    assert mean_draws(weights, 64, lambda answers: beta(answers, 0.95)) == pytest.approx(paper, rel=0.02, abs=2.0)
    assert mean_draws(weights, 64, lambda answers: beta(answers, 0.99)) == pytest.approx(careful, rel=0.02, abs=2.0)
    assert mean_draws(weights, 64, lambda answers: window(answers, 5)) == pytest.approx(windows, rel=0.02, abs=2.5)


def mean_draws(
    weights: tuple[float, ...], n: int, is_enough: Callable[[list[str | None]], bool], runs: int = 1000
) -> float:
    rng = random.Random(4)
    total = 0
    for _ in range(runs):
        answers = rng.choices("abc"[: len(weights)], weights, k=n)
        total += next(m for m in range(1, n + 1) if m == n or is_enough([*answers[:m]]))
    return total / runs


def test_evidence_on_the_full_vote_by_hand() -> None:
    """The bet c on the next step pays 1 + c (step - mean) / (1 + mean), and the null's mean is -lead / left."""
    assert full_evidence([], 10) == 1
    assert full_evidence([1], 10) == pytest.approx(np.mean([1 + c for c in FRACTIONS]))
    after_two = [(1 + c) * (1 + c * (1 + 1 / 9) / (1 - 1 / 9)) for c in FRACTIONS]
    assert full_evidence([1, 1], 10) == pytest.approx(np.mean(after_two))
    assert full_evidence([1] * 6, 10) == math.inf, "six of ten are decided"
    assert full_evidence([1] * 5, 10) < math.inf, "five of ten can be caught up with"
    assert full_evidence([1] * 5 + [0], 10) == math.inf
    assert full_evidence([-1] * 5 + [1] * 5, 10) < 1


@pytest.mark.parametrize("lead", [0, -2])
def test_evidence_on_the_full_vote_is_fair_where_the_vote_is_tied_or_lost(lead: int) -> None:
    """Over all orders of five votes against five its mean is 1 after every draw, exactly: a martingale; below a tie
    it is at most 1."""
    orders = set(itertools.permutations([1] * (5 + lead // 2) + [-1] * (5 - lead // 2)))
    for k in range(1, 11):
        mean = np.mean([full_evidence(order[:k], 10) for order in orders])
        assert mean == pytest.approx(1, abs=1e-9) if lead == 0 else mean < 1


def ever_certified(paths: np.ndarray, delta: float) -> np.ndarray:
    """The draw after which each path of 1 (answer a) and -1 (answer b) is certified, 0 for never: written anew."""
    runs, n = paths.shape
    fractions = np.array(FRACTIONS)[:, None]
    stopped = np.zeros(runs, int)
    first_is_a = paths[:, 0] == 1
    starts = {1: np.argmax(paths == 1, axis=1), -1: np.argmax(paths == -1, axis=1)}
    stakes = {(side, rival): np.ones((len(FRACTIONS), runs)) for side in (1, -1) for rival in (1, 0)}
    counts = {1: np.zeros(runs), -1: np.zeros(runs)}
    for k in range(n):
        for side in (1, -1):
            is_on = (k > starts[side]) & (counts[side] > 0)
            for rival in (1, 0):
                lead = counts[side] - rival * counts[-side]
                mean = -lead / (n - k)
                step = np.where(paths[:, k] == side, 1.0, -1.0 * rival)
                with np.errstate(divide="ignore", invalid="ignore"):
                    bet = np.where(mean > -1, 1 + fractions * (step - mean) / (1 + mean), 1.0)
                stakes[side, rival] *= np.where(is_on & (lead <= n - k), bet, 1.0)
        for side in (1, -1):
            counts[side] += paths[:, k] == side
        left = n - k - 1
        for side in (1, -1):
            rank = np.where(first_is_a == (side == 1), 1, 2)
            sure = counts[side] > counts[-side]
            for rival in (1, 0):
                lead = counts[side] - rival * counts[-side]
                value = np.where(lead > left, np.inf, stakes[side, rival].mean(0))
                sure &= value >= rank * (rank + 1) / delta
            stopped = np.where((stopped == 0) & sure & (counts[side] > 0), (k + 1) * side, stopped)
    return stopped


@pytest.mark.parametrize("delta", [0.05, 0.2])
@pytest.mark.parametrize("tie", ["31 to 33", "32 to 32", "fair coin"])
def test_the_guarantee_holds_on_ten_thousand_near_ties(delta: float, tie: str) -> None:
    """It answers otherwise than the full vote of 64 in at most `delta` of runs, and it does stop early.

    Were the true rate `delta`, 10,000 runs would show more than the bound below with a probability under 1e-4.
    """
    rng = np.random.default_rng(5)
    if tie == "fair coin":
        paths = rng.choice([1, -1], (10_000, 64))
    else:
        ahead = 33 if tie == "31 to 33" else 32
        paths = rng.permuted(np.tile([-1] * ahead + [1] * (64 - ahead), (10_000, 1)), axis=1)
    stopped = ever_certified(paths, delta)
    final = np.sign(paths.sum(1))
    is_wrong = (stopped != 0) & (np.sign(stopped) != final) & (np.abs(stopped) < 64)
    assert is_wrong.mean() <= delta + 3.8 * math.sqrt(delta * (1 - delta) / 10_000)
    assert (np.abs(stopped[stopped != 0]) < 60).any()
    for path, draws in zip(paths[:40], stopped[:40], strict=True):
        answers = ["a" if step == 1 else "b" for step in path]
        mine = next((k for k in range(1, 65) if certified(answers[:k], 64, delta)), 0)
        assert mine == abs(draws)


def test_without_a_guarantee_near_ties_are_got_wrong() -> None:
    """The test above can fail: Adaptive-Consistency at .95 differs on far more than .05 of votes of 31 to 33."""
    rng = random.Random(6)
    wrong = 0
    for _ in range(1500):
        answers = rng.sample("a" * 31 + "b" * 33, 64)
        k = next(k for k in range(1, 65) if k == 64 or beta(answers[:k], 0.95))
        wrong += Counter(answers[:k]).most_common(1)[0][0] == "a" and k < 64
    assert wrong / 1500 > 0.065


def test_the_guarantee_needs_no_number_of_answers_and_fewer_draws_than_the_e_process() -> None:
    """At (.9, .06, .04) and a cap of 64; the e-process must be told that there are three answers."""
    weights = (0.9, 0.06, 0.04)
    ours = mean_draws(weights, 64, lambda answers: certified(answers, 64, 0.05), 150)
    theirs = mean_draws(weights, 64, lambda answers: eprocess(answers, 0.05, 3), 150)
    assert theirs == pytest.approx(13.03, abs=1.2)
    assert ours < theirs - 1
    assert not certified([], 64, 0.05)
    assert not certified([None] * 20, 64, 0.05)
    assert certified(["a"] * 8, 40, 0.05)
    assert not certified(["a"] * 7, 40, 0.05)
    assert not certified(["b", *["a"] * 8], 40, 0.05), "the second answer to appear has a sixth of the risk, not half"
