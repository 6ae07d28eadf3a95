"""Tournaments against the exact values of their theory, by simulation and by running them."""

import asyncio
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull import Budget, Cost, Draw, Pair, Params, Preference, Problem, Prompt, Run, Stopped, UsageError
from mull.run import Strategy
from mull.strategies.pivot import Pivot, Swiss
from mull.strategies.tournament import (
    League,
    Match,
    MatchResult,
    Tournament,
    knockout_bound,
    knockout_failure,
    league_bound,
    match_chance,
    orders,
    pairings,
    result,
    schedule,
    winner,
)
from mull.types import Calls
from told_model import ToldModel

PROBLEM = Problem("p", Prompt.user("q"))
N_SIMULATED = 200_000


@pytest.mark.parametrize(
    ("n", "k", "p_gen", "p_comp", "bound", "exact"),
    [
        (8, 5, 0.5, 0.8, 1.223615, 0.0207542),
        (16, 20, 0.3, 0.7, 0.810909, 0.0124484),
        (64, 32, 0.2, 0.8, 0.0189073, 7.8182e-07),
        (8, 1, 0.5, 0.8, None, 0.1127493),
    ],
)
def test_the_values_of_the_theory(
    n: int, k: int, p_gen: float, p_comp: float, bound: float | None, exact: float
) -> None:
    assert knockout_failure(n, k, p_gen, p_comp) == pytest.approx(exact, rel=2e-5)
    if bound is not None:
        assert knockout_bound(n, k, p_gen, p_comp) == pytest.approx(bound, rel=1e-5)


def test_the_chance_of_a_match_and_the_power_law_of_failure() -> None:
    assert match_chance(5, 0.8) == pytest.approx(0.94208)
    assert match_chance(2, 0.8) == pytest.approx(0.8)
    assert math.log2(1 / (2 * (1 - match_chance(1, 0.6)))) == pytest.approx(0.321928, abs=1e-6)
    assert math.log2(1 / (2 * (1 - match_chance(5, 0.8)))) == pytest.approx(3.109795, abs=1e-6)
    assert knockout_failure(2**10, 1, 0.3, 0.6) == pytest.approx(0.237786, abs=1e-6)


def test_the_bound_of_a_league() -> None:
    assert league_bound(64, 63, 0.3, 0.4) == pytest.approx(72.6, abs=0.05)
    assert league_bound(512, 400, 0.3, 0.4) == pytest.approx(0.38082, abs=1e-5)
    assert league_bound(1024, 1023, 0.3, 0.4) == pytest.approx(5.33e-06, rel=1e-3)
    for delta, n in ((0.2, 2438), (0.4, 535), (0.6, 219)):
        small, large = league_bound(n - 1, n - 2, 0.3, delta), league_bound(n, n - 1, 0.3, delta)
        assert small is not None
        assert large is not None
        assert large <= 0.05 < small


def simulated(n: int, k: int, p_gen: float, p_comp: float, seed: int) -> float:
    """The share of failures of so many tournaments, all at once, by the strategy's own pairings."""
    rng = np.random.default_rng(seed)
    right = rng.random((N_SIMULATED, n)) < p_gen
    while right.shape[1] > 1:
        pairs, bye = pairings(right.shape[1])
        a, b = right[:, [i for i, _ in pairs]], right[:, [j for _, j in pairs]]
        wins = rng.binomial(k, p_comp, a.shape)
        better = (2 * wins > k) | ((2 * wins == k) & (rng.random(a.shape) < 0.5))
        ahead = (a & b) | ((a ^ b) & better)
        right = ahead if bye is None else np.concatenate([right[:, [bye]], ahead], axis=1)
    return float(1 - right[:, 0].mean())


@pytest.mark.parametrize(
    ("n", "k", "p_gen", "p_comp", "known"),
    [(8, 5, 0.5, 0.8, 0.0207542), (16, 20, 0.3, 0.7, 0.0124484), (8, 1, 0.5, 0.8, 0.1127493), (6, 5, 0.5, 0.8, 0.0476)],
)
def test_simulated_tournaments_match_the_exact_recursion(
    n: int, k: int, p_gen: float, p_comp: float, known: float
) -> None:
    """Within four standard errors: wrong once in 16,000 seeds. The last has byes, and its known value is simulated."""
    failed = simulated(n, k, p_gen, p_comp, seed=11)
    exact = knockout_failure(n, k, p_gen, p_comp)
    assert exact is not None
    error = math.sqrt(exact * (1 - exact) / N_SIMULATED)
    assert failed == pytest.approx(exact, abs=4 * error)
    assert known == pytest.approx(exact, abs=4 * error)


@dataclass
class Coins(ToldModel):
    """A model whose draws are right with probability `p_gen`; every wrong one is wrong in its own way."""

    name = "coins"
    p_gen: float

    def says(self, prompt: Prompt, params: Params, draw: Draw) -> str:
        is_right = random.Random(draw.seed).random() < self.p_gen
        return "answer: right" if is_right else f"answer: wrong {draw.number}"


@dataclass
class Referee:
    """Prefers the right of two with probability `p_comp`; between two wrong ones it throws a coin."""

    p_comp: float = 1.0
    bias: float = 0.0
    seed: int = 0
    name: str = "referee"
    identity: None = None
    asked: int = 0

    def quote(self, problem: Problem, pairs: Sequence[Pair]) -> Cost:
        return Cost(len(pairs))

    async def prefer(self, problem: Problem, pairs: Sequence[Pair], calls: Calls) -> Sequence[Preference]:
        rng = random.Random(self.seed + self.asked)
        self.asked += len(pairs)
        verdicts = []
        for pair in pairs:
            first, second = "right" in pair.first.text, "right" in pair.second.text
            p = 0.5 if first == second else self.p_comp if first else 1 - self.p_comp
            verdicts.append(Preference(float(rng.random() < p + self.bias), Cost(1)))
        return verdicts


def played(
    strategy: Tournament | League | Pivot | Swiss,
    p_gen: float,
    judge: Referee,
    seed: int = 0,
    budget: Budget | None = None,
):  # type: ignore[no-untyped-def]
    run = Run(Coins(p_gen), judge=judge, seed=seed, budget=budget)
    return asyncio.run(strategy(PROBLEM, run)), run


def test_the_strategy_itself_fails_as_often_as_the_theory_says() -> None:
    """Wrong once in 16,000 seeds. Equal answers skip their match, which changes nothing in the theory."""
    n_runs, exact = 1500, knockout_failure(8, 1, 0.5, 0.8)
    assert exact is not None
    failed = sum(
        played(Tournament(8, 1), 0.5, Referee(0.8, seed=1000 * seed), seed)[0].answer != "right"
        for seed in range(n_runs)
    )
    assert failed / n_runs == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / n_runs))


@pytest.mark.parametrize("strategy", [Tournament(16, 2), Tournament(7, 3), League(16, 5, 2)])
def test_a_judge_that_always_prefers_the_better_text_has_a_p_comp_of_one(strategy: Tournament | League) -> None:
    """Were the two sides of a pair ever confused, it would not."""
    for seed in range(20):
        outcome, _ = played(strategy, 0.3, Referee(), seed)
        if any("right" in sample.text for sample in outcome.candidates):
            assert outcome.answer == "right"
            assert outcome.notes["p_comp"] == 1.0


def test_a_judge_that_always_prefers_the_first_decides_nothing() -> None:
    """Both orders, always: a disagreement is a tie, so p_comp is one half and no bound holds."""
    outcome, _ = played(Tournament(16, 4), 0.5, Referee(0.5, bias=1.0))
    assert outcome.notes["p_comp"] == 0.5
    assert outcome.notes["failure_bound"] is None
    assert (outcome.notes["won"], outcome.notes["unjudged"]) == (0, 0)


@pytest.mark.parametrize("strategy", [Tournament(8, 1), League(8, 3), Pivot(8), Swiss(8)])
def test_the_matches_that_the_winner_won_are_told(strategy: Strategy) -> None:
    """With a right draw, it wins each of its matches; where all are wrong, the judge throws a coin for each match."""
    outcome, _ = played(strategy, 0.2, Referee(), seed=3)
    assert outcome.answer == "right"
    assert outcome.notes["won"] >= 1
    outcome, _ = played(strategy, 1.0, Referee())
    assert outcome.notes["won"] == 0  # all are equal


def test_the_calls_are_counted_and_equal_answers_cost_none() -> None:
    outcome, run = played(Tournament(8, 5), 0.0, Referee())
    assert outcome.notes["comparisons"] == (8 - 1) * 5
    assert run.spent.calls == 8 + 35
    outcome, run = played(Tournament(8, 5), 1.0, Referee())
    assert (outcome.answer, outcome.notes["comparisons"], run.spent.calls) == ("right", 0, 8)
    assert outcome.notes["p_comp"] is None
    assert outcome.notes["failure_exact"] is None


def test_a_round_is_one_request_to_the_judge() -> None:
    requests: list[int] = []

    class Counting(Referee):
        async def prefer(self, problem: Problem, pairs: Sequence[Pair], calls: Calls) -> Sequence[Preference]:
            requests.append(len(pairs))
            return await super().prefer(problem, pairs, calls)

    played(Tournament(8, 2), 0.0, Counting())
    assert requests == [8, 4, 2]
    requests.clear()
    played(League(8, 4, 2), 0.0, Counting())
    assert requests == [8 * 4 // 2 * 2]


def test_a_budget_that_ends_early_still_gives_an_answer() -> None:
    outcome, run = played(Tournament(8, 2), 0.7, Referee(), budget=Budget(calls=11))
    assert outcome.stopped is Stopped.BUDGET
    assert outcome.answer is not None
    assert run.spent.calls is not None
    assert run.spent.calls <= 11


def test_without_a_judge_nothing_is_drawn() -> None:
    run = Run(Coins(0.5))
    with pytest.raises(UsageError, match="needs a judge"):
        asyncio.run(Tournament()(PROBLEM, run))
    assert run.spent.calls == 0


@given(st.integers(1, 9), st.integers(0, 10_000))
def test_comparisons_are_shared_out_over_both_orders(k: int, seed: int) -> None:
    split = orders(k, random.Random(seed))
    assert len(split) == k
    assert abs(2 * sum(split) - k) == k % 2


def test_an_odd_comparison_falls_to_either_side() -> None:
    firsts = [orders(1, random.Random(seed))[0] for seed in range(40)]
    assert 8 < sum(firsts) < 32


@given(st.integers(2, 24), st.integers(1, 24), st.integers(0, 1000))
def test_a_league_gives_all_as_many_opponents_and_no_pair_twice(n: int, opponents: int, seed: int) -> None:
    pairs = schedule(n, opponents, random.Random(seed))
    assert len({frozenset(pair) for pair in pairs}) == len(pairs)
    degrees = [sum(i in pair for pair in pairs) for i in range(n)]
    assert len(set(degrees)) == 1
    assert min(opponents, n - 1) <= degrees[0] <= opponents + 1


def test_disagreeing_orders_are_a_tie_and_no_verdict_is_none() -> None:
    match = Match(0, 1, (True, False))
    both_first = result(match, [Preference(0.9), Preference(0.9)])
    assert (both_first.wins_a, both_first.wins_b) == (1.0, 1.0)
    assert result(match, [Preference(0.9), Preference(0.1)]) == MatchResult(match, 2.0, 0.0, 0)
    assert result(match, [Preference(None), Preference(0.5)]) == MatchResult(match, 0.5, 0.5, 1)
    assert {winner(both_first, random.Random(seed)) for seed in range(20)} == {0, 1}
