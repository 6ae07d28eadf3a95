"""The stopping rules against their papers' arithmetic, and what they promise."""

import asyncio
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mull import Stopped, UsageError
from mull.strategies import pick
from mull.strategies.adaptive import (
    Adaptive,
    beta,
    beta_lead,
    curtail,
    eprocess,
    kt_evidence,
    lead_evidence,
    window,
)
from mull.testing import PROBLEM, fake_run

votes = st.lists(st.none() | st.sampled_from("abc"), min_size=1, max_size=40)


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


def simulate(strategy: Adaptive, weights: tuple[float, ...], n_runs: int, seed: int) -> tuple[float, float, float]:
    """Mean draws, share that return answer 0, share that differ from the full vote: one draw at a time."""
    rng = random.Random(seed)
    n_draws = n_first = n_different = 0
    for _ in range(n_runs):
        answers = rng.choices([str(i) for i in range(len(weights))], weights, k=strategy.n)
        n = next(n for n in range(1, strategy.n + 1) if n == strategy.n or beta(answers[:n], strategy.level))
        early, full = smallest_mode(answers[:n]), smallest_mode(answers)
        n_draws, n_first, n_different = n_draws + n, n_first + (early == "0"), n_different + (early != full)
    return n_draws / n_runs, n_first / n_runs, n_different / n_runs


def smallest_mode(answers: list[str]) -> str:
    counts = Counter(answers)
    return min(counts, key=lambda a: (-counts[a], a))


@pytest.mark.parametrize(
    ("weights", "draws", "first", "different"),
    [
        ((0.9, 0.06, 0.04), 5.38, 1.0, 0.0),
        ((0.6, 0.25, 0.15), 19.96, 0.9920, 0.0077),
        ((0.45, 0.46, 0.09), 43.71, 0.4905, 0.0732),
    ],
)
def test_adaptive_consistency_as_simulated_elsewhere(
    weights: tuple[float, ...], draws: float, first: float, different: float
) -> None:
    """Against 4,000 independent runs with a cap of 64; 1,000 runs here, each bound about four standard errors."""
    got = simulate(Adaptive(n=64, level=0.95), weights, 1000, 3)
    assert got[0] == pytest.approx(draws, abs=0.05 * draws + 0.6)
    assert got[1] == pytest.approx(first, abs=0.07)
    assert got[2] == pytest.approx(different, abs=0.036)


@settings(max_examples=200)
@given(votes, st.sampled_from(["curtail", "beta", "window", "eprocess"]))
def test_a_wave_never_runs_past_the_first_place_where_the_rule_could_stop(answers: list[str | None], rule: str) -> None:
    strategy = Adaptive(n=48, rule=rule, classes=3)  # type: ignore[arg-type]
    wave = strategy.next_wave(answers)
    assert 1 <= wave <= 48 - len(answers)
    leader = Counter(a for a in answers if a is not None).most_common(1)
    for k in range(1, wave):
        for answer in [*(a for a, _ in leader), "z"]:
            assert not strategy.is_enough([*answers, *[answer] * k])


@pytest.mark.parametrize("rule", ["curtail", "beta", "window", "eprocess"])
def test_adaptive_draws_fewer_and_says_that_it_stopped_early(rule: str) -> None:
    run = fake_run()
    outcome = asyncio.run(Adaptive(n=64, rule=rule, classes=3)(PROBLEM, run))  # type: ignore[arg-type]
    assert outcome.stopped is Stopped.EARLY
    assert len(outcome.candidates) < 64
    assert outcome.answer == "a"
    assert sum(n for _, n in outcome.tally) == sum(s.text != "" for s in outcome.candidates)


@pytest.mark.parametrize(
    "options", [{"level": 0.5}, {"level": 1.0}, {"delta": 0.0}, {"rule": "betta"}, {"wave": 0}, {"n": 0}]
)
def test_options_out_of_range_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Adaptive(**options)  # type: ignore[arg-type]
