"""Votes that stop early: what they draw, when they stop, and which answer they give."""

import asyncio
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mull import Stopped, UsageError
from mull.allocate.stop import beta
from mull.strategies.adaptive import Adaptive
from mull.testing import PROBLEM, fake_run

votes = st.lists(st.none() | st.sampled_from("abc"), min_size=1, max_size=40)


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
@given(votes, st.sampled_from(["curtail", "beta", "window", "eprocess", "guarantee", "learned"]))
def test_a_wave_never_runs_past_the_first_place_where_the_rule_could_stop(answers: list[str | None], rule: str) -> None:
    strategy = Adaptive(n=48, rule=rule, classes=3)  # type: ignore[arg-type]
    wave = strategy.next_wave(answers)
    assert 1 <= wave <= 48 - len(answers)
    leader = Counter(a for a in answers if a is not None).most_common(1)
    for k in range(1, wave):
        for answer in [*(a for a, _ in leader), "z"]:
            assert not strategy.is_enough([*answers, *[answer] * k])


@pytest.mark.parametrize("rule", ["curtail", "beta", "window", "eprocess", "guarantee", "learned"])
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
